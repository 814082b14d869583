//! The objects around a workload that only the controller reads.

use anyhow::Result;
use serde_json::{Value, json};

use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::create;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared: the_controller_reads_the_autoscaler_of_a_workload]
}

fn autoscaler(name: &str, least: u32) -> Value {
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": least,
            "maxReplicas": 9,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
            }}],
        },
    })
}

async fn the_controller_reads_the_autoscaler_of_a_workload(namespace: Namespace) -> Result<()> {
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}});
    // Without an autoscaler, a rollout could stop the only pod of `large`, and not all five of `small`.
    for (name, replicas, least) in [("large", 1, 4), ("small", 5, 1)] {
        namespace.accepts(create(&autoscaler(name, least))).await?;
        let manifest = deployment(name).with_budget().with("/spec/strategy", strategy.clone());
        namespace.accepts(manifest.with("/spec/replicas", replicas)).await?;
    }
    // The webhooks do not know it, so this is an Event of the controller.
    let all =
        "RolloutTakesAllCapacity: spec.strategy.rollingUpdate.maxUnavailable: 1 allows a rollout to stop the only pod";
    namespace.wait_for_event("small", all).await?;
    let events = namespace.events_about("large").await?;
    assert!(events.iter().all(|event| event.starts_with("BudgetApplied: ")), "{events:?}");
    Ok(())
}
