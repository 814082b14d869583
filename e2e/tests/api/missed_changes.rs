//! Deployments that the webhook missed: the controller brings them to plan.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, deployment, workload};
use crate::namespace::Namespace;
use crate::request::{apply, merge};
use crate::suite::{Result, Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![alone:
        one_annotated_while_the_operator_was_away_is_brought_to_plan,
        one_annotated_without_the_webhooks_is_brought_to_plan,
        annotations_taken_away_while_the_operator_was_away_are_undone,
        audit_chosen_while_the_operator_was_away_undoes_even_with_an_error,
        two_that_were_missed_are_rolled_one_after_the_other,
        a_broken_deployment_does_not_keep_the_others_waiting,
    ]
}

impl Namespace {
    /// Waits until the Deployment carries this grace period.
    async fn comes_to(&self, name: &str, grace_period: i64) -> Result<Value> {
        until(&format!("{name} had a grace period of {grace_period} s"), async || {
            let deployment = self.deployment(name).await?;
            Ok((deployment.pointer(GRACE_PERIOD) == Some(&json!(grace_period))).then_some(deployment))
        })
        .await
    }

    /// Whether it has the grace period that its budget asks for.
    async fn is_planned(&self, kind: &str, name: &str) -> Result<bool> {
        Ok(self.workload(kind, name).await?.pointer(GRACE_PERIOD) == Some(&json!(35)))
    }

    /// Its owner applies another grace period, as if nobody else had touched it: no conflict.
    async fn lets_its_owner_apply(&self, name: &str) -> Result {
        let own = self.accepts(apply(deployment(name).budgeted().grace_period(60).as_ref())).await?;
        assert_eq!(own.pointer(GRACE_PERIOD), Some(&json!(60)));
        Ok(())
    }

    /// Plays the kubelet: everything that was asked for runs and is ready.
    async fn makes_pods_ready(&self, name: &str) -> Result {
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

async fn one_annotated_while_the_operator_was_away_is_brought_to_plan(namespace: Namespace) -> Result {
    namespace.world.stop_operator().await?;
    let bare = namespace.accepts(apply(deployment("web").budgeted().as_ref())).await?;
    assert_eq!(bare.pointer(GRACE_PERIOD), Some(&json!(30)));
    namespace.world.start_operator().await?;
    let planned = namespace.comes_to("web", 35).await?;
    let budget = &planned["metadata"]["annotations"]["winddown.dev/budget"];
    assert_eq!(budget, "drain 5s + deadline 25s + margin 5s = 35s of 35s");
    let owners = planned["metadata"]["managedFields"].to_string();
    assert!(!owners.contains("\"winddown\""), "{owners}");
    namespace.lets_its_owner_apply("web").await
}

async fn one_annotated_without_the_webhooks_is_brought_to_plan(namespace: Namespace) -> Result {
    namespace.world.remove_webhooks().await?;
    namespace.accepts(apply(deployment("web").budgeted().as_ref())).await?;
    namespace.comes_to("web", 35).await?;
    namespace.is_told("web", "BudgetApplied: ").await?;
    namespace.world.install_webhooks().await?;
    namespace.world.wait_for_webhooks().await?;
    namespace.lets_its_owner_apply("web").await
}

async fn annotations_taken_away_while_the_operator_was_away_are_undone(namespace: Namespace) -> Result {
    let bare = namespace.accepts(deployment("web")).await?;
    let annotate =
        |drain: Value| namespace.merge("web", json!({"metadata": {"annotations": {"winddown.dev/drain": drain}}}));
    namespace.accepts(annotate(json!("5s"))).await?;
    namespace.world.stop_operator().await?;
    namespace.accepts(annotate(Value::Null)).await?;
    namespace.world.start_operator().await?;
    assert_eq!(namespace.comes_to("web", 30).await?["spec"]["template"], bare["spec"]["template"]);
    Ok(())
}

async fn audit_chosen_while_the_operator_was_away_undoes_even_with_an_error(namespace: Namespace) -> Result {
    let bare = namespace.accepts(deployment("web")).await?;
    let annotate = |annotations: Value| namespace.merge("web", json!({"metadata": {"annotations": annotations}}));
    namespace.accepts(annotate(json!({"winddown.dev/drain": "5s"}))).await?;
    namespace.world.stop_operator().await?;
    let audited = json!({"winddown.dev/mode": "Audit", "winddown.dev/containers": "gone"});
    namespace.accepts(annotate(audited)).await?;
    namespace.world.start_operator().await?;
    let undone = namespace.comes_to("web", 30).await?;
    assert_eq!(undone["spec"]["template"], bare["spec"]["template"]);
    assert_eq!(undone["metadata"]["annotations"]["winddown.dev/budget"], Value::Null);
    Ok(())
}

async fn two_that_were_missed_are_rolled_one_after_the_other(namespace: Namespace) -> Result {
    // Of two kinds, which two controllers look after at the same time.
    let kinds = BTreeMap::from([("one", "Deployment"), ("two", "StatefulSet")]);
    namespace.world.stop_operator().await?;
    for (name, kind) in &kinds {
        namespace.accepts(workload(kind, name).budgeted().with("/spec/replicas", 1)).await?;
        until("its pod was there and ready", async || {
            namespace.makes_pods_ready(name).await?;
            let standing = namespace.workload(kind, name).await?;
            Ok((standing["status"]["availableReplicas"] == 1).then_some(()))
        })
        .await?;
    }
    namespace.world.start_operator().await?;

    let is_planned = async |name: &str| namespace.is_planned(kinds[name], name).await;
    let first = until("one of them was brought to plan", async || {
        let (one, two) = (is_planned("one").await?, is_planned("two").await?);
        Ok((one || two).then_some(if one { "one" } else { "two" }))
    })
    .await?;
    let second = if first == "one" { "two" } else { "one" };
    // That nothing happens can only be waited for: the controller looks every three seconds whether it is the second's turn.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(!is_planned(second).await?, "{second} was set rolling while {first} still was");

    until("the second was brought to plan", async || {
        namespace.makes_pods_ready(first).await?;
        Ok(is_planned(second).await?.then_some(()))
    })
    .await?;
    let first = namespace.workload(kinds[first], first).await?;
    assert_eq!((&first["status"]["updatedReplicas"], &first["status"]["availableReplicas"]), (&json!(1), &json!(1)));
    Ok(())
}

async fn a_broken_deployment_does_not_keep_the_others_waiting(namespace: Namespace) -> Result {
    namespace.world.stop_operator().await?;
    let record = "/spec/template/metadata/annotations/winddown.dev~1injected";
    namespace.accepts(deployment("a-typo").annotated("drian", "5s")).await?;
    namespace.accepts(deployment("b-nonsense").annotated("drain", &"[".repeat(100_000))).await?;
    namespace.accepts(deployment("c-forged").budgeted().with(record, "{\"v\":1,\"template\":7}")).await?;
    namespace.accepts(deployment("d-misfit").budgeted().grace_period(10)).await?;
    namespace.accepts(deployment("z-good").budgeted()).await?;
    namespace.world.start_operator().await?;
    namespace.comes_to("z-good", 35).await?;
    assert!(namespace.world.is_alive().await);
    namespace.is_told("a-typo", "UnknownAnnotation: ").await?;
    namespace.is_told("b-nonsense", "InvalidAnnotation: ").await?;
    namespace.is_told("d-misfit", "BudgetDoesNotFit: ").await?;
    Ok(())
}
