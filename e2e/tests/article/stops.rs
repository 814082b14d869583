//! How the pods of an app stopped: exit codes, times, and the logs, which vanish with the pods.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, LogParams};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use winddown_e2e::environment::Environment;

/// One pod that was deleted and ended.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) exit_code: i32,
    /// From the request of the deletion to the end of the container.
    pub(crate) seconds: i64,
    /// The log.
    pub(crate) lines: Vec<String>,
}

/// A watch of the pods of an app.
pub(crate) struct Stops {
    end: oneshot::Sender<()>,
    watch: JoinHandle<Result<Vec<Stop>>>,
}

/// A pod as it was seen last, and the reader of its log.
struct Seen {
    pod: Pod,
    deleted: Option<Timestamp>,
    log: Option<JoinHandle<Result<Vec<String>>>>,
}

impl Stops {
    /// Watches the pods with the label `app` of this value.
    pub(crate) fn watch(environment: &Environment, app: &str) -> Self {
        let pods: Api<Pod> = Api::namespaced(environment.client.clone(), &environment.namespace);
        let (end, ended) = oneshot::channel();
        Self { end, watch: tokio::spawn(watch(pods, format!("app={app}"), ended)) }
    }

    /// The stops of all pods that were deleted. Call it after they are removed.
    pub(crate) async fn finish(self) -> Result<Vec<Stop>> {
        // Fails only if the watch has ended already; then the next line returns its error.
        let _ = self.end.send(());
        self.watch.await?
    }
}

async fn watch(pods: Api<Pod>, labels: String, mut ended: oneshot::Receiver<()>) -> Result<Vec<Stop>> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut events = watcher(pods.clone(), watcher::Config::default().labels(&labels)).boxed();
    loop {
        let event = tokio::select! {
            event = events.try_next() => event.context("watch pods")?.context("the watch of the pods ended")?,
            _ = &mut ended => break,
        };
        if let Event::Apply(pod) | Event::InitApply(pod) | Event::Delete(pod) = event {
            let entry = seen.entry(pod.uid().unwrap_or_default());
            let entry = entry.or_insert_with(|| Seen { pod: pod.clone(), deleted: None, log: None });
            if entry.log.is_none() && container(&pod).is_some_and(|container| container.started == Some(true)) {
                entry.log = Some(tokio::spawn(read(pods.clone(), pod.name_any())));
            }
            // The first sight counts: the kubelet deletes the pod once more, without a grace period, when it has ended.
            entry.deleted = entry.deleted.or_else(|| deleted_at(&pod));
            entry.pod = pod;
        }
    }
    let mut stops = Vec::new();
    for Seen { pod, deleted, log } in seen.into_values() {
        if let Some(deleted) = deleted {
            let lines = match log {
                Some(log) => log.await??,
                None => Vec::new(),
            };
            stops.push(Stop::of(&pod, deleted, lines).with_context(|| format!("{:#?}", pod.status))?);
        } else if let Some(log) = log {
            log.abort();
        }
    }
    Ok(stops)
}

/// Reads a log until the container ends.
async fn read(pods: Api<Pod>, name: String) -> Result<Vec<String>> {
    let parameters = LogParams { follow: true, ..LogParams::default() };
    let lines = pods.log_stream(&name, &parameters).await.with_context(|| format!("log of Pod {name}"))?.lines();
    lines.try_collect().await.with_context(|| format!("log of Pod {name}"))
}

impl Stop {
    fn of(pod: &Pod, deleted: Timestamp, lines: Vec<String>) -> Result<Self> {
        let name = pod.name_any();
        let terminated = terminated(pod).with_context(|| format!("Pod {name} has no terminated container"))?;
        let finished = terminated.finished_at.as_ref().with_context(|| format!("Pod {name} has no finishedAt"))?.0;
        let seconds = finished.as_second() - deleted.as_second();
        Ok(Self { exit_code: terminated.exit_code, seconds, lines })
    }

    /// The phases that the app logged, in order.
    pub(crate) fn phases(&self) -> Vec<String> {
        let phase = |line: &String| {
            let value: Value = serde_json::from_str(line).ok()?;
            value["phase"].as_str().map(str::to_owned)
        };
        self.lines.iter().filter_map(phase).collect()
    }
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container(pod)?.state.as_ref()?.terminated.as_ref()
}

/// When the deletion was requested. `deletionTimestamp` is the end of the grace period.
fn deleted_at(pod: &Pod) -> Option<Timestamp> {
    let grace_period = pod.metadata.deletion_grace_period_seconds?;
    let end = pod.metadata.deletion_timestamp.as_ref()?.0;
    Timestamp::from_second(end.as_second() - grace_period).ok()
}
