//! How the pods of an app stopped: exit codes, times, and the logs, which vanish with the pods.

use std::collections::BTreeMap;
use std::future::ready;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, LogParams};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use winddown_e2e::environment::Environment;

/// One pod that was deleted and ended.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) exit_code: i32,
    /// When the deletion was requested, and when the container ended: whole seconds.
    pub(crate) deleted: Timestamp,
    pub(crate) finished: Timestamp,
    pub(crate) lines: Vec<Line>,
}

/// One line of a log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// When the runtime read it.
    pub(crate) at: Timestamp,
    /// JSON, or null if the line is something else.
    pub(crate) fields: Value,
}

/// A watch of the pods of an app.
pub(crate) struct Stops {
    end: oneshot::Sender<()>,
    watch: JoinHandle<Result<Vec<Stop>>>,
}

/// This watch may be behind the one that saw the removal.
const LAG: Duration = Duration::from_secs(1);

/// At the end, for the removal of deleted pods.
const REMOVAL_LIMIT: Duration = Duration::from_secs(30);

/// A pod as it was seen last, and the reader of its log.
struct Seen {
    pod: Pod,
    deleted: Option<Timestamp>,
    removed: bool,
    log: Option<JoinHandle<Result<Vec<Line>>>>,
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
        sleep(LAG).await;
        // Fails only if the watch has ended already; then the next line returns its error.
        let _ = self.end.send(());
        self.watch.await?
    }
}

async fn watch(pods: Api<Pod>, labels: String, mut ended: oneshot::Receiver<()>) -> Result<Vec<Stop>> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut events = watcher(pods.clone(), watcher::Config::default().labels(&labels)).boxed();
    let mut end = None;
    while end.is_none() || seen.values().any(|seen| seen.deleted.is_some() && !seen.removed) {
        let event = tokio::select! {
            event = events.next() => event.context("the watch of the pods ended")?,
            _ = &mut ended, if end.is_none() => {
                end = Some(Instant::now() + REMOVAL_LIMIT);
                continue;
            }
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
        };
        let event = match event {
            Ok(event) => event,
            // The watcher starts again. A pod that is removed meanwhile has no Delete event.
            Err(error) => {
                eprintln!("  watch pods: {error}");
                sleep(LAG).await;
                continue;
            }
        };
        let removed = matches!(event, Event::Delete(_));
        if let Event::Apply(pod) | Event::InitApply(pod) | Event::Delete(pod) = event {
            let entry = seen.entry(pod.uid().unwrap_or_default());
            let entry = entry.or_insert_with(|| Seen { pod: pod.clone(), deleted: None, removed: false, log: None });
            if entry.log.is_none() && container(&pod).is_some_and(|container| container.started == Some(true)) {
                entry.log = Some(tokio::spawn(read(pods.clone(), pod.name_any())));
            }
            // The first sight counts: the kubelet deletes the pod once more, without a grace period, when it has ended.
            entry.deleted = entry.deleted.or_else(|| deleted_at(&pod));
            entry.removed = removed;
            entry.pod = pod;
        }
    }
    let mut stops = Vec::new();
    for Seen { pod, deleted, log, .. } in seen.into_values() {
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
    stops.sort_by_key(|stop| stop.deleted);
    Ok(stops)
}

/// Reads a log until the container ends, or until the stream breaks.
async fn read(pods: Api<Pod>, name: String) -> Result<Vec<Line>> {
    let context = || format!("log of Pod {name}");
    let parameters = LogParams { follow: true, timestamps: true, ..LogParams::default() };
    let lines = pods.log_stream(&name, &parameters).await.with_context(context)?.lines();
    let lines: Vec<String> =
        lines.take_while(|line| ready(line.is_ok())).filter_map(|line| ready(line.ok())).collect().await;
    // The kubelet ends the stream with a message of its own, without a time, if it removes the container meanwhile.
    let line = |line: &String| {
        let (at, text) = line.split_once(' ')?;
        Some(Line { at: at.parse().ok()?, fields: serde_json::from_str(text).unwrap_or_default() })
    };
    Ok(lines.iter().filter_map(line).collect())
}

impl Stop {
    fn of(pod: &Pod, deleted: Timestamp, lines: Vec<Line>) -> Result<Self> {
        let name = pod.name_any();
        let terminated = terminated(pod).with_context(|| format!("Pod {name} has no terminated container"))?;
        let finished = terminated.finished_at.as_ref().with_context(|| format!("Pod {name} has no finishedAt"))?.0;
        Ok(Self { exit_code: terminated.exit_code, deleted, finished, lines })
    }

    /// From the request of the deletion to the end of the container.
    pub(crate) fn seconds(&self) -> i64 {
        self.finished.as_second() - self.deleted.as_second()
    }

    /// What the app logged after it was ready, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let is_event = |line: &&Line| !line.fields["event"].is_null() && line.fields["event"] != ORDER_FAILED;
        let is_begin = |line: &&Line| line.fields["event"] == READY || line.fields["event"] == BEGUN;
        let lines = self.lines.iter().filter(is_event).skip_while(|line| !is_begin(line));
        lines.filter(|line| line.fields["event"] != READY).map(event).collect()
    }

    /// What it logged of orders that failed.
    pub(crate) fn failed_orders(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().map(|line| &line.fields).filter(|fields| fields["event"] == ORDER_FAILED)
    }

    /// The first line with this event.
    pub(crate) fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.fields["event"] == name)
    }
}

/// The last event before requests.
const READY: &str = "ready";

const ORDER_FAILED: &str = "order failed";

/// The first event of the library.
pub(crate) const BEGUN: &str = "begun";

/// `closed mongodb`, `phase-finished 2`: the event, and what it is about.
fn event(line: &Line) -> String {
    let about = ["client", "step", "phase", "signal"].iter().find_map(|field| match &line.fields[*field] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let event = line.fields["event"].as_str().unwrap_or_default();
    about.map_or_else(|| event.to_owned(), |about| format!("{event} {about}"))
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
