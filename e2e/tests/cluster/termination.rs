//! What the template says is what the pods get.

use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, LogParams};
use winddown_e2e::rollout::App;
use winddown_e2e::until::{Elapsed, within};

use crate::example::{DRAIN, Example};
use crate::suite::{Result, Test, tests};
use crate::world::World;

pub(crate) fn tests() -> Vec<Test> {
    tests![a_deleted_pod_gets_sigterm_after_the_drain_and_not_before]
}

/// With room for a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

async fn a_deleted_pod_gets_sigterm_after_the_drain_and_not_before(world: World) -> Result {
    world.ready().await?;
    let drain = Duration::from_secs(DRAIN.unsigned_abs());

    let bare = time_to_sigterm(&world, &Example::new("bare").start(&world).await?).await?;
    let drained = time_to_sigterm(&world, &Example::new("drained").annotated().start(&world).await?).await?;
    eprintln!("  SIGTERM after {:.1} s without a drain, {:.1} s with", bare.as_secs_f32(), drained.as_secs_f32());
    assert!(bare < drain, "the control took {bare:?}");
    assert!((drain..drain + drain).contains(&drained), "{drained:?}");
    world.clear().await
}

/// Deletes the app's pod, and waits until the process in it says that it was told to stop.
async fn time_to_sigterm(world: &World, app: &App) -> Result<Duration> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    let pod = app.all_pods().await?.pop().ok_or("there is no pod")?.name_any();
    let parameters = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(&pod, &parameters).await?.lines();
    let start = Instant::now();
    pods.delete(&pod, &DeleteParams::default()).await?;
    let told = async {
        while let Some(line) = lines.try_next().await? {
            if line.contains("shutdown begun") {
                return Ok(start.elapsed());
            }
        }
        Err("it ended without a word about SIGTERM".into())
    };
    within::<_, Failure>("the app is told to stop", LIMIT, async { Ok(told.await) }).await?
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failure(#[from] Elapsed);
