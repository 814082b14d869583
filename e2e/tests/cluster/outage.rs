//! Winddown away, as a whole or in part.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};
use kube::runtime::conditions::is_deleted;
use tokio::time::sleep;
use winddown_e2e::cluster::watch_until;
use winddown_e2e::demo::BUDGET;
use winddown_e2e::release;

use crate::example::{Example, is_bare, is_injected};
use crate::suite::{Result, Test, tests};
use crate::world::World;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        what_is_annotated_while_winddown_is_away_is_brought_to_plan_when_it_is_back,
        no_apply_passes_winddown_by_while_a_replica_is_deleted,
        no_apply_passes_winddown_by_while_it_is_rolled_out,
    ]
}

/// From the first new replica, over the old leader's Lease, to the Deployment.
const REPAIR: Duration = Duration::from_mins(2);

async fn what_is_annotated_while_winddown_is_away_is_brought_to_plan_when_it_is_back(world: World) -> Result {
    world.ready().await?;
    let operator = world.operator();
    let app = Example::new("app").start(&world).await?;

    let away = operator.before_rollout().await?;
    operator.kubectl("scale deployment winddown --replicas 0").run().await?;
    away.over().await?;
    app.kubectl("annotate deployment app winddown.dev/drain=5s winddown.dev/deadline=25s").run().await?;
    let missed = app.deployment().await?;
    assert!(is_bare(&missed) && !missed.annotations().contains_key(BUDGET), "{missed:#?}");

    let start = Instant::now();
    let repair = app.before_rollout().await?;
    operator.kubectl("scale deployment winddown --replicas 2").run().await?;
    app.until("it is brought to plan", REPAIR, is_injected).await?;
    eprintln!("  brought to plan {:.1} s after winddown was wanted back", start.elapsed().as_secs_f32());
    repair.over().await?;
    let note = world.event("BudgetApplied", "app", REPAIR).await?;
    assert!(note.starts_with("drain 5s + deadline 25s + margin 5s = 35s of 35s"), "{note}");
    operator.available().await?;
    world.clear().await
}

async fn no_apply_passes_winddown_by_while_a_replica_is_deleted(world: World) -> Result {
    world.ready().await?;
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), release::NAME);
    for pod in world.operator().all_pods().await? {
        let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
        let applied = while_applying(&world, &name, async {
            pods.delete(&name, &DeleteParams::default()).await?;
            watch_until(pods.clone(), &name, "the replica is gone", REPAIR, is_deleted(&uid)).await?;
            Ok(world.operator().available().await?)
        });
        eprintln!("  {} Deployments were injected while {name} was deleted", applied.await?);
    }
    world.clear().await
}

async fn no_apply_passes_winddown_by_while_it_is_rolled_out(world: World) -> Result {
    world.ready().await?;
    let applied = while_applying(&world, "app", async {
        world.operator().restart().await?;
        Ok(())
    });
    eprintln!("  {} Deployments were injected while winddown was rolled out", applied.await?);
    world.clear().await
}

/// About so many are applied in a second.
const PAUSE: Duration = Duration::from_millis(50);

/// Creates annotated Deployments one after the other, until something else is done. Each has to come out of admission
/// with what its annotations ask for: then it was the webhook that did it, and not the controller later on. Gives back
/// how many.
async fn while_applying(world: &World, prefix: &str, act: impl Future<Output = Result>) -> Result<u32> {
    let mut act = pin!(act);
    let mut applied = 0;
    loop {
        let apply: Pin<Box<dyn Future<Output = Result>>> = Box::pin(async {
            let example = Example::new(&format!("{prefix}-{applied}")).annotated().without_pods();
            let created = example.create(world).await?;
            assert!(is_injected(&created), "after {applied} others, this one was passed by: {created:#?}");
            sleep(PAUSE).await;
            Ok(())
        });
        tokio::select! {
            done = &mut act => return done.map(|()| applied),
            result = apply => result?,
        }
        applied += 1;
    }
}
