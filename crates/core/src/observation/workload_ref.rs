//! The workload of a pod.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::kind::Kind;

/// The label with the hash of the template that the Deployment controller sets.
const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// The label with the revision that the controllers of `StatefulSets` and `DaemonSets` set.
const REVISION_HASH: &str = "controller-revision-hash";

/// A Deployment, `StatefulSet` or `DaemonSet`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl WorkloadRef {
    /// The workload that controls a pod, and the hash of the pod's template. `None` for a pod of another kind, such as a
    /// Job.
    ///
    /// The pods of a Deployment are controlled by a `ReplicaSet` whose name is that of the Deployment, a `-` and the hash
    /// (`deployment/sync.go`).
    #[must_use]
    pub fn of(pod: &ObjectMeta) -> Option<(Self, &str)> {
        let owners = pod.owner_references.as_deref().unwrap_or_default();
        let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
        if owner.api_version != Kind::API_VERSION {
            return None;
        }
        let label = |key: &str| pod.labels.as_ref()?.get(key).map(String::as_str);
        let (kind, name, hash) = match owner.kind.as_str() {
            "ReplicaSet" => {
                let hash = label(POD_TEMPLATE_HASH)?;
                (Kind::Deployment, owner.name.strip_suffix(hash)?.strip_suffix('-')?, hash)
            }
            "StatefulSet" => (Kind::StatefulSet, owner.name.as_str(), label(REVISION_HASH).unwrap_or_default()),
            "DaemonSet" => (Kind::DaemonSet, owner.name.as_str(), label(REVISION_HASH).unwrap_or_default()),
            _ => return None,
        };
        let namespace = pod.namespace.clone().unwrap_or_default();
        (!name.is_empty()).then(|| (Self { kind, namespace, name: name.to_owned() }, hash))
    }
}

impl fmt::Display for WorkloadRef {
    /// `Deployment shop/web`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ObjectMeta, WorkloadRef};

    fn found(owner: &Value, labels: &Value) -> Option<String> {
        let metadata = json!({"namespace": "shop", "ownerReferences": [owner], "labels": labels});
        let metadata: ObjectMeta = serde_json::from_value(metadata).unwrap();
        WorkloadRef::of(&metadata).map(|(workload, hash)| format!("{workload} {hash}"))
    }

    #[test]
    fn the_workload_is_the_controlling_owner_or_the_one_of_the_replica_set() {
        for (api_version, kind, name, labels, expected) in [
            (
                "apps/v1",
                "ReplicaSet",
                "web-7d9f",
                json!({"pod-template-hash": "7d9f"}),
                Some("Deployment shop/web 7d9f"),
            ),
            ("apps/v1", "ReplicaSet", "web-7d9f", json!({}), None),
            ("apps/v1", "ReplicaSet", "web-7d9f", json!({"pod-template-hash": "7d9e"}), None),
            ("apps/v1", "ReplicaSet", "-7d9f", json!({"pod-template-hash": "7d9f"}), None),
            ("argoproj.io/v1", "ReplicaSet", "web-7d9f", json!({"pod-template-hash": "7d9f"}), None),
            (
                "apps/v1",
                "StatefulSet",
                "db",
                json!({"controller-revision-hash": "db-5"}),
                Some("StatefulSet shop/db db-5"),
            ),
            ("apps/v1", "DaemonSet", "log", json!({}), Some("DaemonSet shop/log ")),
            ("batch/v1", "Job", "import", json!({}), None),
        ] {
            let owner = json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": "1", "controller": true});
            assert_eq!(found(&owner, &labels).as_deref(), expected, "{owner} {labels}");
        }
        let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "1"});
        assert_eq!(found(&owner, &json!({})), None, "an owner that is not the controller");
    }
}
