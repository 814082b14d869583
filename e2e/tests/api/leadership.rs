//! Leader election: only the leader updates workloads and publishes Events.

use anyhow::Result;
use serde_json::json;

use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![exclusive:
        only_the_leader_updates_workloads,
        a_second_replica_takes_over_when_the_leader_stops,
    ]
}

async fn only_the_leader_updates_workloads(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let mut second = environment.start_additional_replica("winddown-1")?;
    second.wait_until_ready().await?;
    environment.remove_webhooks().await?;
    namespace.accepts(deployment("web").with_budget()).await?;
    assert_eq!(namespace.wait_for_event("web", "BudgetApplied: ").await?, 1);
    let patched = |log: &str| log.matches(&format!("\"Deployment {}/web\"", namespace.name)).count();
    assert!(patched(&environment.log().await) > 0, "log of the leader:\n{}", environment.log_tail().await);
    assert_eq!(patched(&second.log()), 0, "log of the other replica:\n{}", second.log_tail());
    // Generation 1 is the creation, generation 2 the patch of the controller.
    let web = namespace.deployment("web").await?;
    assert_eq!((&web["metadata"]["generation"], web.pointer(GRACE_PERIOD)), (&json!(2), Some(&json!(35))));
    assert_eq!(environment.leader().await?.as_deref(), Some("winddown-0"));
    Ok(())
}

async fn a_second_replica_takes_over_when_the_leader_stops(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let mut second = environment.start_additional_replica("winddown-1")?;
    second.wait_until_ready().await?;
    namespace.accepts(deployment("over-budget").with_budget().grace_period(10).annotated("mode", "Audit")).await?;
    assert_eq!(namespace.wait_for_event("over-budget", "BudgetDoesNotFit: ").await?, 1);
    environment.stop_operator().await?;
    // The API server cannot reach the webhooks of the second replica, so its controller updates the Deployment.
    namespace.accepts(deployment("web").with_budget()).await?;
    environment.wait_for_leader("winddown-1").await?;
    namespace.wait_for_event("web", "BudgetApplied: ").await?;
    namespace.wait_for_grace_period("Deployment", "web", 35).await?;
    // The budget tells the new leader which Events the old one published.
    assert_eq!(namespace.events_about("over-budget").await?.len(), 1);
    // A killed replica would not release the Lease.
    assert!(second.terminate().await?.success());
    Ok(())
}
