//! The supported kinds: those that create pods from a template and replace them when it changes.
//!
//! `ReplicaSet`s are managed by their Deployment, and pods of a `Job` terminate without a request: both are not supported.

use std::fmt;

use serde_json::Value;

/// A kind of `apps/v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Interchangeable pods: new ones may start before old ones stop.
    Deployment,
    /// Pods with a fixed name and often a volume: each stops before its replacement starts.
    StatefulSet,
    /// One pod for each node.
    DaemonSet,
}

impl Kind {
    /// The API group of all of them.
    pub const GROUP: &'static str = "apps";
    /// The API version of all of them.
    pub const VERSION: &'static str = "v1";
    /// `apiVersion` of all of them.
    pub const API_VERSION: &'static str = "apps/v1";
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    /// The kind with that name in the field `kind`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind in an object's field `kind`.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        Self::named(object.get("kind")?.as_str()?)
    }

    /// The name in the field `kind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    /// The name in API paths and RBAC rules.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }

    /// The API path of the workloads of a namespace, for example `/apis/apps/v1/namespaces/shop/deployments`.
    #[must_use]
    pub fn path(self, namespace: &str) -> String {
        format!("/apis/{}/namespaces/{namespace}/{}", Self::API_VERSION, self.resource())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
