//! The operator comes and goes, and nobody's pods notice.

use serde_json::json;

use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::apply;
use crate::suite::{Result, Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![alone:
        an_upgrade_of_winddown_replaces_no_pods,
        a_restart_tells_nothing_twice,
    ]
}

async fn an_upgrade_of_winddown_replaces_no_pods(namespace: Namespace) -> Result {
    let manifest = deployment("web").budgeted().annotated("readiness", "grpc:8080");
    namespace.accepts(apply(manifest.as_ref())).await?;
    let before = namespace.deployment("web").await?["spec"].clone();
    let revisions = namespace.revisions("web").await?;
    namespace.world.stop_operator().await?;
    namespace.world.start_operator().await?;
    let touched =
        namespace.accepts(namespace.merge("web", json!({"metadata": {"labels": {"touched": "yes"}}}))).await?;
    assert_eq!(touched["spec"], before);
    namespace.accepts(apply(manifest.as_ref())).await?;
    assert_eq!(namespace.deployment("web").await?["spec"], before);
    assert_eq!(namespace.revisions("web").await?, revisions);
    Ok(())
}

async fn a_restart_tells_nothing_twice(namespace: Namespace) -> Result {
    namespace.accepts(deployment("web").budgeted()).await?;
    assert_eq!(namespace.is_told("web", "BudgetApplied: ").await?, 1);
    namespace.world.stop_operator().await?;
    namespace.world.start_operator().await?;
    // One that comes after it is told of, and so it was passed.
    namespace.accepts(deployment("later").budgeted()).await?;
    namespace.is_told("later", "BudgetApplied: ").await?;
    assert_eq!(namespace.told("web").await?.len(), 1);
    Ok(())
}
