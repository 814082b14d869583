//! Events of the controller: published on a change only, with the numbers of the budget.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    [
        tests![shared:
            an_event_is_published_when_the_budget_changes,
            a_forged_budget_text_is_restored_and_not_published,
        ],
        tests![exclusive: an_event_reports_a_budget_over_the_grace_period],
    ]
    .concat()
}

// Parts of Winddown's Events.
const APPLIED: &str = "BudgetApplied: drain 5s + deadline 25s + margin 5s = 35s of 35s: preStop sleep 5s into app";
const OVER_BUDGET_START: &str = "BudgetDoesNotFit: spec.template.spec.terminationGracePeriodSeconds: drain 5s + ";
const OVER_BUDGET: &str = "= 35s, 15s more than the grace period of 20s";

impl Namespace {
    /// Winddown's Events about a workload as `reason: note`, oldest first.
    pub(crate) async fn events_about(&self, name: &str) -> Result<Vec<String>> {
        let mut events = self.list("events.k8s.io/v1", "events").await?;
        events.retain(|event| event["regarding"]["name"] == name && event["reportingController"] == "winddown");
        events.sort_by_key(|event| event["eventTime"].as_str().map(str::to_owned));
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        Ok(events.iter().map(|event| format!("{}: {}", text(event, "reason"), text(event, "note"))).collect())
    }

    /// Waits until the latest Event about a workload starts with this text, and returns the number of Events.
    pub(crate) async fn wait_for_event(&self, name: &str, prefix: &str) -> Result<usize> {
        until(&format!("an Event about {name} that starts with {prefix:?}"), async || {
            let events = self.events_about(name).await?;
            Ok(events.last().is_some_and(|last| last.starts_with(prefix)).then_some(events.len()))
        })
        .await
    }
}

async fn an_event_is_published_when_the_budget_changes(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget()).await?;
    assert_eq!(namespace.wait_for_event("web", APPLIED).await?, 1);
    namespace.accepts(namespace.annotate("web", json!({"winddown.dev/drain": "6s"}))).await?;
    assert_eq!(
        namespace.wait_for_event("web", "BudgetApplied: drain 6s + deadline 25s + margin 5s = 36s of 36s").await?,
        2
    );
    // This changes neither the budget nor the template: no Event.
    namespace.accepts(namespace.annotate("web", json!({"team": "shop"}))).await?;
    namespace.accepts(namespace.annotate("web", Value::Null)).await?;
    assert_eq!(namespace.wait_for_event("web", "BudgetRemoved: ").await?, 3);

    let events = namespace.list("events.k8s.io/v1", "events").await?;
    let event = events.iter().find(|event| event["reason"] == "BudgetApplied").context("no Event BudgetApplied")?;
    let web = namespace.deployment("web").await?;
    assert_eq!((&event["type"], &event["regarding"]["kind"]), (&json!("Normal"), &json!("Deployment")));
    assert_eq!(event["regarding"]["apiVersion"], "apps/v1");
    assert_eq!(event["regarding"]["uid"], web["metadata"]["uid"]);
    Ok(())
}

async fn a_forged_budget_text_is_restored_and_not_published(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget()).await?;
    namespace.wait_for_event("web", APPLIED).await?;
    let forged = json!({"winddown.dev/budget": "reviewed by security\n\u{1b}[2Jok"});
    let restored = namespace.accepts(namespace.annotate("web", forged)).await?;
    let budget = &restored["metadata"]["annotations"]["winddown.dev/budget"];
    assert_eq!(budget, "drain 5s + deadline 25s + margin 5s = 35s of 35s");
    // The Event about a later change shows that this one was reconciled.
    namespace.accepts(namespace.annotate("web", json!({"winddown.dev/drain": "6s"}))).await?;
    namespace.wait_for_event("web", "BudgetApplied: drain 6s").await?;
    let events = namespace.events_about("web").await?;
    assert!(events.iter().all(|event| event.starts_with("BudgetApplied: drain")), "{events:?}");
    Ok(())
}

async fn an_event_reports_a_budget_over_the_grace_period(namespace: Namespace) -> Result<()> {
    namespace.environment.remove_webhooks().await?;
    let created = namespace.accepts(deployment("web").with_budget().grace_period(20)).await?;
    namespace.wait_for_event("web", OVER_BUDGET_START).await?;
    assert!(namespace.events_about("web").await?.iter().all(|event| event.contains(OVER_BUDGET)));
    // The workload is not changed.
    assert_eq!(namespace.deployment("web").await?["spec"], created["spec"]);
    let events = namespace.list("events.k8s.io/v1", "events").await?;
    assert!(events.iter().any(|event| event["type"] == "Warning" && event["reason"] == "BudgetDoesNotFit"));
    Ok(())
}
