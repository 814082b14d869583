//! A restart of the operator changes no workload and repeats no Event.

use anyhow::Result;
use serde_json::json;

use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::apply;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![exclusive:
        a_restart_of_winddown_starts_no_rollout,
        a_restart_of_winddown_repeats_no_event,
    ]
}

async fn a_restart_of_winddown_starts_no_rollout(namespace: Namespace) -> Result<()> {
    let manifest = deployment("web").with_budget().annotated("readiness", "grpc:8080");
    namespace.accepts(apply(manifest.as_ref())).await?;
    let before = namespace.deployment("web").await?["spec"].clone();
    let revisions = namespace.revisions("web").await?;
    namespace.environment.stop_operator().await?;
    namespace.environment.start_operator().await?;
    let touched =
        namespace.accepts(namespace.merge("web", json!({"metadata": {"labels": {"touched": "yes"}}}))).await?;
    assert_eq!(touched["spec"], before);
    namespace.accepts(apply(manifest.as_ref())).await?;
    assert_eq!(namespace.deployment("web").await?["spec"], before);
    assert_eq!(namespace.revisions("web").await?, revisions);
    Ok(())
}

async fn a_restart_of_winddown_repeats_no_event(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget()).await?;
    assert_eq!(namespace.wait_for_event("web", "BudgetApplied: ").await?, 1);
    namespace.environment.stop_operator().await?;
    namespace.environment.start_operator().await?;
    // The Event about the later Deployment shows that the first one was reconciled.
    namespace.accepts(deployment("later").with_budget()).await?;
    namespace.wait_for_event("later", "BudgetApplied: ").await?;
    assert_eq!(namespace.events_about("web").await?.len(), 1);
    Ok(())
}
