//! Changes while the webhooks were not called: the controller updates the workloads.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, deployment, workload};
use crate::namespace::Namespace;
use crate::request::{apply, merge};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![exclusive:
        the_controller_updates_workloads_created_during_an_outage,
        the_controller_updates_workloads_created_without_webhooks,
        the_controller_removes_an_injection_without_annotations,
        audit_set_during_an_outage_removes_the_injection,
        missed_workloads_are_rolled_out_one_at_a_time,
        invalid_workloads_do_not_delay_others,
        an_update_that_is_reverted_three_times_is_reported_and_not_repeated,
        workloads_in_kube_system_are_left_alone,
    ]
}

impl Namespace {
    /// Whether the workload has the grace period for its budget.
    async fn is_updated(&self, kind: &str, name: &str) -> Result<bool> {
        Ok(self.workload(kind, name).await?.pointer(GRACE_PERIOD) == Some(&json!(35)))
    }

    /// Checks that the owner can change the grace period with server-side apply, without a conflict.
    async fn assert_owner_can_apply(&self, name: &str) -> Result<()> {
        let applied = self.accepts(apply(deployment(name).with_budget().grace_period(60).as_ref())).await?;
        assert_eq!(applied.pointer(GRACE_PERIOD), Some(&json!(60)));
        Ok(())
    }

    /// Sets the status of the pods to ready, as the kubelet would.
    async fn mark_pods_ready(&self, name: &str) -> Result<()> {
        for pod in self.list("v1", "pods").await? {
            let path = format!(
                "/api/v1/namespaces/{}/pods/{}/status",
                self.name,
                pod["metadata"]["name"].as_str().unwrap_or_default()
            );
            if pod["metadata"]["labels"]["app"] == name && pod["status"]["phase"] != "Running" {
                let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]);
                self.accepts(merge(&path, json!({"status": {"phase": "Running", "conditions": ready}}))).await?;
            }
        }
        Ok(())
    }
}

async fn the_controller_updates_workloads_created_during_an_outage(namespace: Namespace) -> Result<()> {
    namespace.environment.stop_operator().await?;
    let created = namespace.accepts(apply(deployment("web").with_budget().as_ref())).await?;
    assert_eq!(created.pointer(GRACE_PERIOD), Some(&json!(30)));
    namespace.environment.start_operator().await?;
    let updated = namespace.wait_for_grace_period("Deployment", "web", 35).await?;
    let budget = &updated["metadata"]["annotations"]["winddown.dev/budget"];
    assert_eq!(budget, "drain 5s + deadline 25s + margin 5s = 35s of 35s");
    let managed_fields = updated["metadata"]["managedFields"].to_string();
    assert!(!managed_fields.contains("\"winddown\""), "{managed_fields}");
    namespace.assert_owner_can_apply("web").await
}

async fn the_controller_updates_workloads_created_without_webhooks(namespace: Namespace) -> Result<()> {
    namespace.environment.remove_webhooks().await?;
    namespace.accepts(apply(deployment("web").with_budget().as_ref())).await?;
    namespace.wait_for_grace_period("Deployment", "web", 35).await?;
    namespace.wait_for_event("web", "BudgetApplied: ").await?;
    namespace.environment.install_webhooks().await?;
    namespace.environment.wait_for_webhooks().await?;
    namespace.assert_owner_can_apply("web").await
}

async fn the_controller_removes_an_injection_without_annotations(namespace: Namespace) -> Result<()> {
    let unannotated = namespace.accepts(deployment("web")).await?;
    let set_drain = |drain: Value| namespace.annotate("web", json!({"winddown.dev/drain": drain}));
    namespace.accepts(set_drain(json!("5s"))).await?;
    namespace.environment.stop_operator().await?;
    namespace.accepts(set_drain(Value::Null)).await?;
    namespace.environment.start_operator().await?;
    assert_eq!(
        namespace.wait_for_grace_period("Deployment", "web", 30).await?["spec"]["template"],
        unannotated["spec"]["template"]
    );
    Ok(())
}

async fn audit_set_during_an_outage_removes_the_injection(namespace: Namespace) -> Result<()> {
    let unannotated = namespace.accepts(deployment("web")).await?;
    namespace.accepts(namespace.annotate("web", json!({"winddown.dev/drain": "5s"}))).await?;
    namespace.environment.stop_operator().await?;
    // The unknown container is an error, which must not prevent the removal.
    let audit = json!({"winddown.dev/mode": "Audit", "winddown.dev/containers": "unknown"});
    namespace.accepts(namespace.annotate("web", audit)).await?;
    namespace.environment.start_operator().await?;
    let removed = namespace.wait_for_grace_period("Deployment", "web", 30).await?;
    assert_eq!(removed["spec"]["template"], unannotated["spec"]["template"]);
    assert_eq!(removed["metadata"]["annotations"]["winddown.dev/budget"], Value::Null);
    Ok(())
}

async fn missed_workloads_are_rolled_out_one_at_a_time(namespace: Namespace) -> Result<()> {
    // Two kinds, which separate controllers reconcile concurrently.
    let kinds = BTreeMap::from([("one", "Deployment"), ("two", "StatefulSet")]);
    namespace.environment.stop_operator().await?;
    for (name, kind) in &kinds {
        namespace.accepts(workload(kind, name).with_budget().with("/spec/replicas", 1)).await?;
        until(&format!("{kind} {name} to be available"), async || {
            namespace.mark_pods_ready(name).await?;
            let workload = namespace.workload(kind, name).await?;
            Ok((workload["status"]["availableReplicas"] == 1).then_some(()))
        })
        .await?;
    }
    namespace.environment.start_operator().await?;

    let is_updated = async |name: &str| namespace.is_updated(kinds[name], name).await;
    let first = until("one of the workloads to be updated", async || {
        let (one, two) = (is_updated("one").await?, is_updated("two").await?);
        Ok((one || two).then_some(if one { "one" } else { "two" }))
    })
    .await?;
    let second = if first == "one" { "two" } else { "one" };
    // No condition to poll for: the controller retries the second workload every three seconds, so wait for two retries.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(!is_updated(second).await?, "{second} was updated during the rollout of {first}");

    until("the second workload to be updated", async || {
        namespace.mark_pods_ready(first).await?;
        Ok(is_updated(second).await?.then_some(()))
    })
    .await?;
    let first = namespace.workload(kinds[first], first).await?;
    assert_eq!((&first["status"]["updatedReplicas"], &first["status"]["availableReplicas"]), (&json!(1), &json!(1)));
    Ok(())
}

async fn an_update_that_is_reverted_three_times_is_reported_and_not_repeated(namespace: Namespace) -> Result<()> {
    namespace.environment.remove_webhooks().await?;
    let created = namespace.accepts(deployment("web").with_budget()).await?;
    let mut original = created["spec"]["template"].clone();
    original["metadata"]["annotations"] = Value::Null;
    original["metadata"]["labels"]["winddown.dev/managed"] = Value::Null;
    let original = json!({"spec": {"template": original}});
    let mut reverts = 0;
    until("the Event InjectionReverted", async || {
        if namespace.is_updated("Deployment", "web").await? {
            namespace.accepts(namespace.merge("web", original.clone())).await?;
            reverts += 1;
        }
        let events = namespace.events_about("web").await?;
        let reported = events.iter().find(|event| event.starts_with("InjectionReverted: ")).cloned();
        Ok(reported.inspect(|event| assert!(event.contains("last by field manager \""), "{event}")))
    })
    .await?;
    assert_eq!(reverts, 3);
    // No condition to poll for: earlier patches came within this time.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!namespace.is_updated("Deployment", "web").await?);
    Ok(())
}

async fn workloads_in_kube_system_are_left_alone(namespace: Namespace) -> Result<()> {
    let system = Namespace { name: "kube-system".to_owned(), ..namespace.clone() };
    let created = system.accepts(deployment("dns").with_budget()).await?;
    assert_eq!(created.pointer(GRACE_PERIOD), Some(&json!(30)));
    // Another workload that needs an update shows that the controller has passed over this one.
    namespace.environment.remove_webhooks().await?;
    namespace.accepts(deployment("web").with_budget()).await?;
    namespace.wait_for_grace_period("Deployment", "web", 35).await?;
    let kept = system.deployment("dns").await?;
    assert_eq!(kept["spec"], created["spec"]);
    assert_eq!(system.events_about("dns").await?, Vec::<String>::new());
    system.delete_workloads().await
}

async fn invalid_workloads_do_not_delay_others(namespace: Namespace) -> Result<()> {
    namespace.environment.stop_operator().await?;
    let record = "/spec/template/metadata/annotations/winddown.dev~1injected";
    namespace.accepts(deployment("a-unknown-annotation").annotated("drian", "5s")).await?;
    namespace.accepts(deployment("b-invalid-annotation").annotated("drain", &"[".repeat(100_000))).await?;
    namespace.accepts(deployment("c-invalid-record").with_budget().with(record, "{\"v\":1,\"template\":7}")).await?;
    namespace.accepts(deployment("d-over-budget").with_budget().grace_period(10)).await?;
    namespace.accepts(deployment("z-valid").with_budget()).await?;
    namespace.environment.start_operator().await?;
    namespace.wait_for_grace_period("Deployment", "z-valid", 35).await?;
    assert!(namespace.environment.is_healthy().await);
    namespace.wait_for_event("a-unknown-annotation", "UnknownAnnotation: ").await?;
    namespace.wait_for_event("b-invalid-annotation", "InvalidAnnotation: ").await?;
    namespace.wait_for_event("d-over-budget", "BudgetDoesNotFit: ").await?;
    Ok(())
}
