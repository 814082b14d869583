//! Pods of `StatefulSet`s and `DaemonSet`s during a rollout.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use winddown_e2e::cluster::watch_until;
use winddown_e2e::command::CommandLine;

use crate::example::{DRAIN, Example, GRACE_PERIOD};
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![pods_of_a_stateful_set_and_a_daemon_set_exit_after_the_drain]
}

/// For the replacement of one pod per node, one at a time.
const LIMIT: Duration = Duration::from_mins(3);

async fn pods_of_a_stateful_set_and_a_daemon_set_exit_after_the_drain(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    for kind in ["StatefulSet", "DaemonSet"] {
        let name = kind.to_lowercase();
        Example::new(&name).annotated().probed().start_as(kind, &environment).await?;
        rollout(&environment, "status", &name).await?;

        let old = pods(&environment, &name).await?;
        let exits = old.iter().map(|pod| seconds_to_exit(&environment, pod));
        let (exits, ()) = tokio::try_join!(try_join_all(exits), rollout(&environment, "restart", &name))?;
        for (pod, seconds) in old.iter().zip(exits) {
            eprintln!("  {} exited after {seconds} s", pod.name_any());
            assert!((DRAIN..GRACE_PERIOD).contains(&seconds), "{} exited after {seconds} s", pod.name_any());
        }
        rollout(&environment, "status", &name).await?;
        let uids = |pods: &[Pod]| pods.iter().map(|pod| pod.uid().unwrap_or_default()).collect::<Vec<_>>();
        let (old, new) = (uids(&old), uids(&pods(&environment, &name).await?));
        assert_eq!(new.len(), old.len());
        let all_replaced = new.iter().all(|uid| !old.contains(uid));
        assert!(!old.is_empty() && all_replaced, "{kind}: pods {old:?} before, {new:?} after the rollout");
    }
    environment.clean_up().await
}

/// `kubectl rollout VERB KIND/NAME`. The name of each workload in this test is its kind in lower case.
async fn rollout(environment: &Environment, verb: &str, name: &str) -> Result<()> {
    let command = CommandLine::new("kubectl --namespace").word(&environment.namespace).word("rollout").word(verb);
    command.word(format!("{name}/{name}")).run().await?;
    Ok(())
}

async fn pods(environment: &Environment, name: &str) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(environment.client.clone(), &environment.namespace);
    Ok(pods.list(&ListParams::default().labels(&format!("app={name}"))).await?.items)
}

/// Waits until the container of a pod exits with status 0, and returns the seconds since the pod was deleted.
async fn seconds_to_exit(environment: &Environment, pod: &Pod) -> Result<i64> {
    let pods: Api<Pod> = Api::namespaced(environment.client.clone(), &environment.namespace);
    let (name, uid) = (pod.name_any(), pod.uid());
    let exited = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.uid() == uid && terminated(pod).is_some());
    let pod = watch_until(pods, &name, &format!("the container of Pod {name} to exit"), LIMIT, exited).await?;
    let pod = pod.with_context(|| format!("Pod {name} does not exist"))?;
    let terminated = terminated(&pod).with_context(|| format!("Pod {name} has no terminated container"))?;
    assert_eq!(terminated.exit_code, 0, "{name}: {terminated:?}");
    let finished = terminated.finished_at.as_ref().with_context(|| format!("Pod {name} has no finishedAt"))?.0;
    let deleted = deleted_at(&pod).with_context(|| format!("Pod {name} was not deleted"))?;
    Ok(finished.as_second() - deleted.as_second())
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    container.state.as_ref()?.terminated.as_ref()
}

/// When the deletion was requested. `deletionTimestamp` is the end of the grace period.
fn deleted_at(pod: &Pod) -> Option<Timestamp> {
    let grace_period = pod.metadata.deletion_grace_period_seconds?;
    let end = pod.metadata.deletion_timestamp.as_ref()?.0;
    Timestamp::from_second(end.as_second() - grace_period).ok()
}
