//! What changes the number of pods: a `HorizontalPodAutoscaler`, or a `ScaledObject` of KEDA.

use serde::Deserialize;
use serde_json::Value;

use crate::kind::Kind;

/// An autoscaler, with the defaults of its API filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Autoscaler {
    target: (Kind, String),
    /// The fewest pods while the workload runs; at least 1.
    pub(crate) least: u32,
    /// The most pods.
    pub(crate) most: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    scale_target_ref: Target,
    min_replicas: Option<u32>,
    max_replicas: Option<u32>,
    min_replica_count: Option<u32>,
    max_replica_count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    api_version: Option<String>,
    kind: Option<String>,
    name: String,
}

/// The default of a `ScaledObject` (KEDA: `ScaledObject` specification).
const KEDA_MOST: u32 = 100;

impl Autoscaler {
    /// `None` if it scales something else, or cannot be read.
    pub(super) fn read(object: &Value) -> Option<Self> {
        let Spec { scale_target_ref: target, min_replicas, max_replicas, min_replica_count, max_replica_count } =
            Spec::deserialize(object.get("spec")?).ok()?;
        // The autoscaler looks for the group and the kind, in any version.
        if target.api_version.is_some_and(|version| version.split('/').next() != Some(Kind::GROUP)) {
            return None;
        }
        // Only KEDA has a default for the kind.
        let kind = Kind::named(target.kind.as_deref().unwrap_or("Deployment"))?;
        // A ScaledObject without work scales to 0. With work it keeps at least one pod.
        let least = min_replicas.or(min_replica_count).unwrap_or(1).max(1);
        let most = max_replicas.or(max_replica_count).unwrap_or(KEDA_MOST).max(least);
        Some(Self { target: (kind, target.name), least, most })
    }

    pub(super) fn scales(&self, kind: Kind, name: &str) -> bool {
        self.target.0 == kind && self.target.1 == name
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Autoscaler;

    fn read(spec: &Value) -> Option<(u32, u32)> {
        Autoscaler::read(&json!({"spec": spec})).map(|autoscaler| (autoscaler.least, autoscaler.most))
    }

    #[test]
    fn minimum_and_maximum_have_the_defaults_of_their_api() {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"});
        for (spec, expected) in [
            (json!({"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 10}), Some((3, 10))),
            (json!({"scaleTargetRef": target, "maxReplicas": 10}), Some((1, 10))),
            (json!({"scaleTargetRef": target, "minReplicas": 0, "maxReplicas": 10}), Some((1, 10))),
            (json!({"scaleTargetRef": {"name": "shop"}, "minReplicaCount": 2}), Some((2, 100))),
            (json!({"scaleTargetRef": {"name": "shop"}}), Some((1, 100))),
            (json!({"scaleTargetRef": target, "minReplicas": "3"}), None),
            (json!({"scaleTargetRef": {"kind": "Rollout", "name": "shop"}}), None),
            (
                json!({"scaleTargetRef": {"apiVersion": "extensions/v1beta1", "kind": "Deployment", "name": "shop"}}),
                None,
            ),
            (json!({}), None),
        ] {
            assert_eq!(read(&spec), expected, "{spec}");
        }
    }
}
