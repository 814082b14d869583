//! The measuring container in the pod, and its log.

use std::time::Duration;

use futures::{AsyncBufReadExt as _, AsyncReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Api;
use kube::api::LogParams;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::container::{Container, NotStarted, deleted, shown};
use super::left_behind::Joined;
use crate::cluster::{Cluster, Error};
use winddown_core::measurement::Line;

/// How long the container may take to start; its image may have to be pulled.
const START: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(250);
/// The size of the log that is read, in bytes, and the lines that are kept.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
const MAX_LINES: usize = 500_000;
/// A container that samples the pod.
pub(super) struct Recording {
    lines: mpsc::Receiver<Line>,
    pub(super) received: Vec<Line>,
    /// When the line about SIGTERM arrived.
    pub(super) signalled: Option<Instant>,
}

impl Recording {
    /// Adds the container to the pod, and waits until it runs. If it cannot be added, or does not start, the reason.
    /// `joined` is set from the request on.
    pub(super) async fn start(
        container: &Container<'_>,
        joined: &mut Option<Joined>,
    ) -> Result<Result<Self, NotStarted>, Error> {
        let Container { cluster, pods, candidate, .. } = container;
        let pod = &candidate.name;
        let name = match container.free_name().await? {
            Ok(name) => name,
            Err(reason) => return Ok(Err(reason)),
        };
        let added = joined.insert(Joined { pod: pod.clone(), container: None });
        match container.add(&name).await {
            Ok(Ok(())) => added.container = Some(name.clone()),
            Ok(Err(reason)) => {
                *joined = None;
                return Ok(Err(reason));
            }
            Err(error) => {
                // Without an answer, or after an internal error, the container may be there.
                if error.is_refusal() {
                    *joined = None;
                }
                return Err(error);
            }
        }
        if let Err(reason) = started(cluster, pods, pod, &name).await? {
            return Ok(Err(NotStarted::Failed(shown(&reason))));
        }
        let parameters = LogParams { container: Some(name.clone()), follow: true, ..LogParams::default() };
        let call = format!("read the log of the container {name} in the pod {pod}");
        let log = match cluster.within(call, pods.log_stream(pod, &parameters)).await {
            Ok(log) => log,
            Err(error) if error.is_forbidden() => return Ok(Err(NotStarted::NotAllowed(shown(&error.to_string())))),
            Err(error) if error.is_not_found() => return Ok(Err(NotStarted::Failed(shown(&error.to_string())))),
            Err(error) => return Err(error),
        };
        let (sender, lines) = mpsc::channel(1_000);
        tokio::spawn(async move {
            let mut texts = log.take(MAX_BYTES).lines();
            while let Some(Ok(text)) = texts.next().await {
                let Some(line) = Line::parse(&text) else { continue };
                if sender.send(line).await.is_err() {
                    return;
                }
            }
        });
        Ok(Ok(Self { lines, received: Vec::new(), signalled: None }))
    }

    /// Whether the container has said that it ends, or its log has ended.
    pub(super) fn has_ended(&self) -> bool {
        let end = self.received.iter().any(|line| matches!(line, Line::End { .. }));
        end || (self.lines.is_closed() && self.lines.is_empty())
    }

    /// The next line; `None` at the end of the log.
    pub(super) async fn next(&mut self) -> Option<&Line> {
        let line = self.lines.recv().await?;
        if matches!(line, Line::Signal { .. }) {
            self.signalled.get_or_insert_with(Instant::now);
        }
        if self.received.len() < MAX_LINES {
            self.received.push(line);
        }
        self.received.last()
    }
}

/// Waits until the container runs. If it does not, the reason.
async fn started(cluster: &Cluster, pods: &Api<Pod>, pod: &str, name: &str) -> Result<Result<(), String>, Error> {
    let begun = Instant::now();
    loop {
        let current = match cluster.within(format!("read the pod {pod}"), pods.get(pod)).await {
            Ok(current) if current.metadata.deletion_timestamp.is_some() => return Ok(Err(deleted(pod))),
            Ok(current) => current,
            Err(error) if error.is_not_found() => return Ok(Err(deleted(pod))),
            Err(error) => return Err(error),
        };
        let statuses = current.status.and_then(|status| status.ephemeral_container_statuses).unwrap_or_default();
        let status = statuses.into_iter().find(|status| status.name == name);
        match status.map(state) {
            Some(State::Running) => return Ok(Ok(())),
            Some(State::Failed(reason)) => return Ok(Err(format!("the measuring container does not start: {reason}"))),
            Some(State::Waiting(reason)) if begun.elapsed() > START => {
                return Ok(Err(format!(
                    "the measuring container does not start within {} s: {reason}",
                    START.as_secs()
                )));
            }
            None if begun.elapsed() > START => {
                return Ok(Err(format!(
                    "the kubelet does not start the measuring container within {} s",
                    START.as_secs()
                )));
            }
            _ => sleep(POLL).await,
        }
    }
}

enum State {
    Running,
    Waiting(String),
    Failed(String),
}

fn state(status: ContainerStatus) -> State {
    let described = |reason: Option<String>, message: Option<String>| {
        [reason, message].into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ")
    };
    let Some(state) = status.state else { return State::Waiting(String::new()) };
    if state.running.is_some() {
        return State::Running;
    }
    if let Some(end) = state.terminated {
        return State::Failed(format!("exit code {}: {}", end.exit_code, described(end.reason, end.message)));
    }
    let waiting = state.waiting.unwrap_or_default();
    let is_final = waiting.reason.as_deref().is_some_and(|reason| {
        [
            "ErrImagePull",
            "ImagePullBackOff",
            "ErrImageNeverPull",
            "InvalidImageName",
            "CreateContainerConfigError",
            "CreateContainerError",
        ]
        .contains(&reason)
    });
    let reason = described(waiting.reason, waiting.message);
    if is_final { State::Failed(reason) } else { State::Waiting(reason) }
}
