//! The stop of one pod.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::annotations::INJECTED;
use crate::duration::Seconds;
use crate::injection::Record;
use crate::observation::cause::stopped_at;
use crate::observation::ends::Ends;
use crate::observation::ledger::MAX_AHEAD;
use crate::observation::tracked::{Stopping, Tracked};
use crate::observation::{Cause, Outcome, PodView, Promise, Timestamp, Unseen, WorkloadRef};
use crate::plan::lanes::Role;
use crate::policy::Numbers;
use crate::sanitize::{escaped, truncated};

/// How much later than its own estimate the API server's clock can be: a whole second, and the latency of the watch.
const CLOCK_SLACK: Seconds = Seconds::new(5);

/// How long a watch can be silent before its connection ends. What it learned from a timestamp can be that far behind.
const MAX_DELAY: Seconds = Seconds::new(120);

/// The stop of one pod: once for each UID and observer.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// `metadata.uid` of the pod.
    pub uid: String,
    /// The pod's name.
    pub pod: String,
    /// Its workload.
    pub workload: Arc<WorkloadRef>,
    /// When the pod was created.
    pub created: Timestamp,
    /// The hash of its template; empty if unknown.
    pub template: Arc<str>,
    /// The budget in the record of its template; `None` without a record, or if the end was not seen.
    pub budget: Option<Numbers>,
    /// The end of its last container, by the clock of its node. If that end is unknown: the deletion request, the first sign
    /// of the end, or when it was seen.
    pub at: Timestamp,
    /// What the ledger knows of its time.
    pub end: End,
    /// Why it was stopped.
    pub cause: Cause,
    /// How the app stopped.
    pub outcome: Outcome,
    /// Its main containers; empty if the end was not seen.
    pub containers: Vec<ContainerStop>,
    /// The grace period that it was given; `None` without a deletion request.
    pub grace_period: Option<Seconds>,
    /// `terminationGracePeriodSeconds`; `None` if the end was not seen.
    pub own_grace_period: Option<Seconds>,
    /// From the deletion request to the end of the last container.
    pub duration: Option<Seconds>,
    /// From SIGTERM to the end of the app: without the preStop sleep and the time until the kubelet started.
    pub app_time: Option<Seconds>,
    /// From the deletion request until the kubelet started; `None` if that was not seen, as before Kubernetes 1.34.
    pub latency: Option<Seconds>,
    /// Whether the clocks of API server and node disagree, so that the durations are from the observer's clock.
    pub clocks_disagree: bool,
    /// From the deletion until the last slice withdrew the pod; `None` unless both were seen live.
    pub withdrawal: Option<Duration>,
}

/// When a stop ended, for the ledger. Observers that see different parts of the same stop may differ, but `earliest` of each
/// is at most `latest` of every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Not before this.
    pub earliest: Timestamp,
    /// Not after this.
    pub latest: Timestamp,
}

impl End {
    /// Whether it is too far in the future to be counted: then the clock of the node is ahead, or that of the caller behind.
    #[must_use]
    pub fn is_ahead(self, now: Timestamp) -> bool {
        self.latest > now.plus(MAX_AHEAD)
    }
}

/// The stop of one main container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerStop {
    /// Its name.
    pub name: String,
    /// Whether drain and deadline are about it.
    pub role: Role,
    /// How it stopped; `None` if it was not running.
    pub outcome: Option<Outcome>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Whether the runtime reported that it was out of memory.
    pub out_of_memory: bool,
    /// From the deletion request to its end.
    pub duration: Option<Seconds>,
    /// From SIGTERM to its end; `None` also if its preStop hook has an unknown length. If it was killed, at most what its
    /// grace period left: a kubelet that starts late or restarts grants more.
    pub after_signal: Option<Seconds>,
}

/// The event that ends a stop.
#[derive(Clone, Copy)]
pub(crate) struct Sighting {
    pub(crate) at: Instant,
    /// Whether it is from a watch and not from a list.
    pub(crate) live: bool,
    /// Whether the pod was removed.
    pub(crate) removed: bool,
    /// A lower bound of the API server's clock.
    pub(crate) clock: Option<Timestamp>,
}

impl Stop {
    /// The stop of a pod that is terminal or removed. `None` if no app was running, as in a pod that the node rejected.
    pub(crate) fn seen(uid: &str, tracked: &Tracked, pod: &PodView, cause: Cause, sighting: Sighting) -> Option<Self> {
        let record = record(pod);
        let stopping = tracked.stopping();
        let Ends { containers, latency, clocks_disagree } = Ends::of(tracked, pod, record.as_ref(), cause, sighting);
        let apps = || containers.iter().filter(|container| container.role == Role::App);
        // An evicting kubelet can report a container that it no longer finds as one that waits for its start.
        let lost = || (tracked.started && stopping.is_none()).then_some(Outcome::Unknown(Unseen::Status));
        let outcome = apps().filter_map(|app| app.outcome).max().or_else(lost)?;
        let finished = finished(pod);
        let sign = first_sign(tracked, pod);
        let end = end(tracked, pod, finished, sign, sighting);
        Some(Self {
            budget: record.as_ref().and_then(Record::numbers),
            at: finished.or(sign).or(sighting.clock).unwrap_or(tracked.created),
            end,
            cause,
            outcome,
            own_grace_period: Some(pod.grace_period()),
            duration: containers.iter().filter_map(|container| container.duration).max(),
            app_time: apps().filter_map(|app| app.after_signal).max(),
            latency,
            clocks_disagree,
            containers,
            ..Self::unseen(uid, tracked, cause, sighting)
        })
    }

    /// The stop of a pod whose end came between two lists.
    pub(crate) fn missed(uid: &str, tracked: &Tracked, cause: Cause, sighting: Sighting) -> Option<Self> {
        tracked.started.then(|| Self::unseen(uid, tracked, cause, sighting))
    }

    fn unseen(uid: &str, tracked: &Tracked, cause: Cause, sighting: Sighting) -> Self {
        let stopping = tracked.stopping();
        let requested = stopping.map_or(tracked.created, |stopping| stopping.requested);
        let killed = stopping.map_or(requested, |stopping| killed(stopping, sighting.clock));
        let latest = sighting.clock.map_or(killed, |clock| clock.max(killed)).plus(CLOCK_SLACK);
        Self {
            uid: uid.to_owned(),
            pod: tracked.name.to_string(),
            workload: tracked.workload.clone(),
            created: tracked.created,
            template: tracked.revision.hash.clone(),
            budget: None,
            at: requested,
            end: End { earliest: requested, latest },
            cause,
            outcome: Outcome::Unknown(Unseen::End),
            containers: Vec::new(),
            grace_period: stopping.map(|stopping| stopping.grace),
            own_grace_period: None,
            duration: None,
            app_time: None,
            latency: None,
            clocks_disagree: false,
            withdrawal: tracked.withdrawn_after(),
        }
    }

    /// Whether the app honoured its promise. Node, memory and a caller's shorter grace period are not its fault.
    #[must_use]
    pub fn promise(&self) -> Promise {
        match self.outcome {
            _ if self.cause.is_node() => Promise::NotJudged,
            Outcome::Failed if self.is_shortened() => Promise::NotJudged,
            Outcome::Killed => Promise::Killed,
            Outcome::Failed => Promise::Failed,
            Outcome::Clean if self.overran() => Promise::Overran,
            Outcome::Clean => Promise::Honoured,
            Outcome::Unknown(_) | Outcome::KilledOtherwise | Outcome::OutOfMemory | Outcome::CutShort => {
                Promise::NotJudged
            }
        }
    }

    /// Whether an app ran longer than its deadline. Times have whole seconds. False also if the start of the kubelet is not
    /// known: a busy node adds its delay.
    fn overran(&self) -> bool {
        let Some((budget, _)) = self.budget.zip(self.latency) else { return false };
        let promised = budget.deadline.plus(Seconds::new(1));
        let mut apps = self.containers.iter().filter(|container| container.role == Role::App);
        apps.any(|app| app.after_signal.is_some_and(|time| time > promised))
    }

    /// Whether the deletion gave the pod less than its own grace period.
    fn is_shortened(&self) -> bool {
        self.grace_period.zip(self.own_grace_period).is_some_and(|(grace, own)| grace < own)
    }

    /// The container that decided the outcome.
    #[must_use]
    pub fn decisive(&self) -> Option<&ContainerStop> {
        let mut apps = self.containers.iter().filter(|container| container.role == Role::App);
        apps.find(|app| app.outcome == Some(self.outcome))
    }
}

impl fmt::Display for Stop {
    /// One line, at most 400 characters: `2026-01-31T21:00:03Z web-7d9f-x2 Rollout: 11s of 35s, app 6s, exit code 143`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: ", self.at, truncated(&escaped(&self.pod), 100), self.cause)?;
        let mut parts = Vec::new();
        if self.outcome != Outcome::Clean {
            parts.push(self.outcome.to_string());
        }
        match (self.duration, self.grace_period) {
            (Some(duration), Some(grace)) => parts.push(format!("{duration} of {grace}")),
            (None, Some(grace)) => parts.push(format!("grace period {grace}")),
            (_, None) => {}
        }
        if let (Some(grace), Some(own)) = (self.grace_period, self.own_grace_period)
            && self.outcome == Outcome::CutShort
        {
            parts.push(format!("shortened from {own} to {grace} by the deletion"));
        }
        if let Some(app) = self.decisive() {
            let name = escaped(&app.name);
            parts.extend(app.after_signal.map(|time| format!("{} {time}", truncated(&name, 63))));
            parts.extend(app.exit_code.map(|code| format!("exit code {code}")));
            if app.out_of_memory && self.outcome == Outcome::Killed {
                parts.push("or out of memory".to_owned());
            }
        }
        let is_worse = |helper: &&ContainerStop| helper.role != Role::App && helper.outcome == Some(Outcome::Killed);
        if let Some(helper) = self.containers.iter().find(is_worse) {
            parts.push(format!("helper {} killed", truncated(&escaped(&helper.name), 63)));
        }
        f.write_str(&parts.join(", "))
    }
}

fn record(pod: &PodView) -> Option<Record> {
    let text = pod.metadata.annotations.as_ref()?.get(INJECTED)?;
    Record::parse(text).ok()
}

/// The end of the last container; `None` unless the ends of all main containers are known.
fn finished(pod: &PodView) -> Option<Timestamp> {
    let ends: Option<Vec<_>> = pod.containers().map(|(_, status)| status?.terminated()?.finished()).collect();
    ends?.into_iter().max()
}

/// With a grace period above 0, `deletionTimestamp` is in the future.
fn removed_at(pod: &PodView) -> Option<Timestamp> {
    pod.deleted().filter(|_| pod.is_removed())
}

/// The first sign that the API has of the stop, apart from the ends of the containers.
fn first_sign(tracked: &Tracked, pod: &PodView) -> Option<Timestamp> {
    let requested = tracked.stopping().map(|stopping| stopping.requested);
    let removed = removed_at(pod);
    let forced = removed.filter(|_| !pod.is_terminal());
    requested.or(forced).or_else(|| stopped_at(pod)).or(removed)
}

/// When the grace period ends; sooner if the stop was seen long before, because that was after its end.
fn killed(stopping: &Stopping, clock: Option<Timestamp>) -> Timestamp {
    let killed = stopping.requested.plus(stopping.grace);
    let clock = clock.filter(|clock| *clock >= stopping.requested);
    clock.map_or(killed, |clock| killed.min(clock.plus(MAX_DELAY)))
}

fn end(
    tracked: &Tracked,
    pod: &PodView,
    finished: Option<Timestamp>,
    sign: Option<Timestamp>,
    sighting: Sighting,
) -> End {
    let requested = tracked.stopping().map(|stopping| stopping.requested);
    let removed = removed_at(pod);
    if let Some(finished) = finished {
        // The node's clock may be ahead or behind.
        let earliest = sighting.clock.or(requested).or(removed).map_or(finished, |time| time.min(finished));
        return End { earliest, latest: requested.max(removed).map_or(finished, |time| time.max(finished)) };
    }
    let earliest = sign.unwrap_or(tracked.created);
    let killed = tracked.stopping().map(|stopping| killed(stopping, sighting.clock));
    let latest = [Some(earliest), killed, removed, sighting.clock].into_iter().flatten().max().unwrap_or(earliest);
    End { earliest, latest: latest.plus(CLOCK_SLACK) }
}
