//! What the controller tells: Events with the numbers, on a change and only then.

use serde_json::{Value, json};

use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::suite::{Result, Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    [
        tests![together: a_budget_that_comes_changes_and_goes_is_told_each_time],
        tests![alone: a_budget_that_does_not_fit_is_told_with_the_numbers],
    ]
    .concat()
}

impl Namespace {
    /// The Events about a Deployment, as `reason: note`, in the order of their making.
    pub(crate) async fn told(&self, name: &str) -> Result<Vec<String>> {
        let mut events = self.list("events.k8s.io/v1", "events").await?;
        events.retain(|event| event["regarding"]["name"] == name && event["reportingController"] == "winddown");
        events.sort_by_key(|event| event["eventTime"].as_str().map(str::to_owned));
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        Ok(events.iter().map(|event| format!("{}: {}", text(event, "reason"), text(event, "note"))).collect())
    }

    /// Waits until the last Event about a Deployment is this one, and gives back how many there are.
    pub(crate) async fn is_told(&self, name: &str, wanted: &str) -> Result<usize> {
        until(&format!("the last Event said {wanted:?}"), async || {
            let told = self.told(name).await?;
            Ok(told.last().is_some_and(|last| last.starts_with(wanted)).then_some(told.len()))
        })
        .await
    }
}

async fn a_budget_that_comes_changes_and_goes_is_told_each_time(namespace: Namespace) -> Result {
    let annotate = |annotations: Value| namespace.merge("web", json!({"metadata": {"annotations": annotations}}));
    namespace.accepts(deployment("web").budgeted()).await?;
    let applied = "BudgetApplied: drain 5s + deadline 25s + margin 5s = 35s of 35s: preStop sleep 5s into app";
    assert_eq!(namespace.is_told("web", applied).await?, 1);
    namespace.accepts(annotate(json!({"winddown.dev/drain": "6s"}))).await?;
    assert_eq!(namespace.is_told("web", "BudgetApplied: drain 6s + deadline 25s + margin 5s = 36s of 36s").await?, 2);
    // Nothing of ours changes here, so nothing is told.
    namespace.accepts(annotate(json!({"team": "shop"}))).await?;
    namespace.accepts(annotate(Value::Null)).await?;
    assert_eq!(namespace.is_told("web", "BudgetRemoved: ").await?, 3);

    let events = namespace.list("events.k8s.io/v1", "events").await?;
    let event = events.iter().find(|event| event["reason"] == "BudgetApplied").ok_or("no Event")?;
    let web = namespace.deployment("web").await?;
    assert_eq!((&event["type"], &event["regarding"]["kind"]), (&json!("Normal"), &json!("Deployment")));
    assert_eq!(event["regarding"]["apiVersion"], "apps/v1");
    assert_eq!(event["regarding"]["uid"], web["metadata"]["uid"]);
    Ok(())
}

async fn a_budget_that_does_not_fit_is_told_with_the_numbers(namespace: Namespace) -> Result {
    namespace.world.remove_webhooks().await?;
    let misfit = namespace.accepts(deployment("web").budgeted().grace_period(20)).await?;
    namespace.is_told("web", "BudgetDoesNotFit: spec.template.spec.terminationGracePeriodSeconds: drain 5s + ").await?;
    assert!(
        namespace.told("web").await?.iter().all(|told| told.contains("= 35s, 15s more than the grace period of 20s"))
    );
    // Told, and otherwise left alone.
    assert_eq!(namespace.deployment("web").await?["spec"], misfit["spec"]);
    let events = namespace.list("events.k8s.io/v1", "events").await?;
    assert!(events.iter().any(|event| event["type"] == "Warning" && event["reason"] == "BudgetDoesNotFit"));
    Ok(())
}
