//! Two replicas: both answer reviews, one writes.

use serde_json::json;

use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::suite::{Result, Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![alone:
        of_two_replicas_one_writes,
        a_second_replica_takes_over_when_the_first_goes,
    ]
}

async fn of_two_replicas_one_writes(namespace: Namespace) -> Result {
    let world = &namespace.world;
    let mut second = world.another_replica("winddown-1")?;
    second.ready().await?;
    world.remove_webhooks().await?;
    namespace.accepts(deployment("web").budgeted()).await?;
    assert_eq!(namespace.is_told("web", "BudgetApplied: ").await?, 1);
    let patched = |log: &str| log.matches(&format!("\"Deployment {}/web\"", namespace.name)).count();
    assert!(patched(&world.log().await) > 0, "the leader's log:\n{}", world.last_words().await);
    assert_eq!(patched(&second.log()), 0, "the other's log:\n{}", second.last_words());
    // Made, patched by the controller, and seen by the deployment controller.
    let web = namespace.deployment("web").await?;
    assert_eq!((&web["metadata"]["generation"], web.pointer(GRACE_PERIOD)), (&json!(2), Some(&json!(35))));
    assert_eq!(world.leader().await?.as_deref(), Some("winddown-0"));
    Ok(())
}

async fn a_second_replica_takes_over_when_the_first_goes(namespace: Namespace) -> Result {
    let world = &namespace.world;
    let mut second = world.another_replica("winddown-1")?;
    second.ready().await?;
    namespace.accepts(deployment("unfit").budgeted().grace_period(10).annotated("mode", "Audit")).await?;
    assert_eq!(namespace.is_told("unfit", "BudgetDoesNotFit: ").await?, 1);
    world.stop_operator().await?;
    // Nobody answers reviews here, but the new leader sees to what they missed.
    namespace.accepts(deployment("web").budgeted()).await?;
    world.wait_for_leader("winddown-1").await?;
    namespace.is_told("web", "BudgetApplied: ").await?;
    // It cannot know that the first one has told of this.
    let told = async || Ok((namespace.told("unfit").await?.len() == 2).then_some(()));
    until("the new leader had told of it, too", told).await?;
    until("the Deployment was brought to plan", async || {
        let web = namespace.deployment("web").await?;
        Ok((web.pointer(GRACE_PERIOD) == Some(&json!(35))).then_some(()))
    })
    .await?;
    // Killed, it would keep the Lease for a while.
    assert!(second.terminate().await?.success());
    Ok(())
}
