//! The kinds of objects that Winddown plans: those that make pods from a template and replace them when it changes.
//!
//! A `ReplicaSet` belongs to its Deployment, and a `Job`'s pods end by themselves: both are left alone.

use std::fmt;

use serde_json::Value;

/// A kind of `apps/v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pods that are all alike: new ones may start before old ones stop.
    Deployment,
    /// Pods with a name and often a volume of their own: each stops before its successor starts.
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

    /// The kind of that name, as in an object's `kind`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind that an object says it is of.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        Self::named(object.get("kind")?.as_str()?)
    }

    /// As in an object's `kind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    /// As in the API's paths and in RBAC rules.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
