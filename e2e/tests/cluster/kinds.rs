//! What is not a Deployment has real pods, too: they are replaced one after the other, and each ends in good order.

use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use winddown_e2e::cluster::watch_until;
use winddown_e2e::command::Line;

use crate::example::{DRAIN, Example, GRACE_PERIOD};
use crate::suite::{Result, Test, tests};
use crate::world::World;

pub(crate) fn tests() -> Vec<Test> {
    tests![pods_of_a_stateful_set_and_a_daemon_set_are_replaced_in_good_order]
}

/// A pod for each node, one after the other.
const LIMIT: Duration = Duration::from_mins(3);

async fn pods_of_a_stateful_set_and_a_daemon_set_are_replaced_in_good_order(world: World) -> Result {
    world.ready().await?;
    for kind in ["StatefulSet", "DaemonSet"] {
        let name = kind.to_lowercase();
        Example::new(&name).annotated().probed().start_as(kind, &world).await?;
        rollout(&world, "status", &name).await?;

        let old = pods(&world, &name).await?;
        let ends = old.iter().map(|pod| end(&world, pod));
        let (ends, ()) = tokio::try_join!(try_join_all(ends), rollout(&world, "restart", &name))?;
        for (pod, seconds) in old.iter().zip(ends) {
            eprintln!("  {} ended after {seconds} s", pod.name_any());
            assert!((DRAIN..GRACE_PERIOD).contains(&seconds), "{} ended after {seconds} s", pod.name_any());
        }
        rollout(&world, "status", &name).await?;
        let uids = |pods: &[Pod]| pods.iter().map(|pod| pod.uid().unwrap_or_default()).collect::<Vec<_>>();
        let (old, new) = (uids(&old), uids(&pods(&world, &name).await?));
        assert_eq!(new.len(), old.len());
        assert!(!old.is_empty() && new.iter().all(|uid| !old.contains(uid)), "{kind}: {old:?}, then {new:?}");
    }
    world.clear().await
}

/// `kubectl rollout` with one of its verbs; `KIND/NAME` is `NAME/NAME` here.
async fn rollout(world: &World, verb: &str, name: &str) -> Result {
    let line = Line::new("kubectl --namespace").word(&world.namespace).word("rollout").word(verb);
    line.word(format!("{name}/{name}")).run().await?;
    Ok(())
}

async fn pods(world: &World, name: &str) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    Ok(pods.list(&ListParams::default().labels(&format!("app={name}"))).await?.items)
}

/// Waits until the process in a pod has ended, which must be by itself, and gives back how many seconds after the pod was
/// deleted that was.
async fn end(world: &World, pod: &Pod) -> Result<i64> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    let (name, uid) = (pod.name_any(), pod.uid());
    let ended = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.uid() == uid && terminated(pod).is_some());
    let pod = watch_until(pods, &name, &format!("{name} has ended"), LIMIT, ended).await?.unwrap_or_default();
    let terminated = terminated(&pod).ok_or("it has not ended")?;
    assert_eq!(terminated.exit_code, 0, "{name}: {terminated:?}");
    let at = terminated.finished_at.as_ref().ok_or("it ended at no time")?.0;
    Ok(at.as_second() - deleted(&pod).ok_or("it ended without being deleted")?.as_second())
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    container.state.as_ref()?.terminated.as_ref()
}

/// When somebody asked for its end; the API server writes down when that has to come.
fn deleted(pod: &Pod) -> Option<Timestamp> {
    let grace_period = pod.metadata.deletion_grace_period_seconds?;
    let latest = pod.metadata.deletion_timestamp.as_ref()?.0;
    Timestamp::from_second(latest.as_second() - grace_period).ok()
}
