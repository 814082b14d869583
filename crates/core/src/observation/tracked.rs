//! What an observer keeps of a pod. There are tens of thousands, so a pod that runs has only its names here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::duration::Seconds;
use crate::fingerprint;
use crate::observation::nodes::Place;
use crate::observation::siblings::Revision;
use crate::observation::{Cause, EndpointSliceView, PodView, Timestamp, WorkloadRef};

/// In how many slices a pod is looked for: one for each Service and IP family.
const MAX_SLICES: usize = 8;

/// How many seconds after the request a deletion is still seen in time. Times have whole seconds.
const MAX_DELAY: i64 = 2;

#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) name: Box<str>,
    pub(crate) workload: Arc<WorkloadRef>,
    pub(crate) revision: Arc<Revision>,
    pub(crate) created: Timestamp,
    /// The last list that contained it.
    pub(crate) list: u32,
    /// Whether a main container runs or has run.
    pub(crate) started: bool,
    pub(crate) phase: Phase,
    /// While it runs.
    pub(crate) place: Option<Place>,
    /// Apart from the phase, because the slices are watched on another connection and can be ahead of the pods.
    pub(crate) withdrawal: Option<Box<Withdrawal>>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// It is not being deleted, and not terminal.
    Standing,
    /// Its deletion was requested.
    Stopping(Box<Stopping>),
    /// Its stop was returned. It remains in the API until its owner or the garbage collection removes it.
    Closed,
}

/// A deletion.
#[derive(Debug)]
pub(crate) struct Stopping {
    /// The first time of the request, and the smallest grace period: a later deletion can only shorten it.
    pub(crate) requested: Timestamp,
    pub(crate) grace: Seconds,
    /// When the request was seen, unless that was late, as in a list.
    pub(crate) seen: Option<Instant>,
    pub(crate) start: Start,
    /// The positions of the containers that were seen running since.
    pub(crate) ran: u64,
    /// The cause that the pod names.
    pub(crate) named: Option<Cause>,
}

/// When the kubelet started to stop the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Not yet, as far as the observer saw; never before Kubernetes 1.34.
    NotSeen,
    At(Instant),
    /// Some time before the observer saw it.
    Before,
}

/// The slices that no longer send requests to a terminating pod.
#[derive(Debug, Default)]
pub(crate) struct Withdrawal {
    slices: Vec<u64>,
    last: Option<Instant>,
    /// Whether one was seen too late to measure.
    late: bool,
}

impl Tracked {
    pub(crate) fn stopping(&self) -> Option<&Stopping> {
        if let Phase::Stopping(stopping) = &self.phase { Some(stopping) } else { None }
    }

    /// From the deletion as seen by the observer until the last slice that was seen to withdraw the pod.
    pub(crate) fn withdrawn_after(&self) -> Option<Duration> {
        let withdrawal = self.withdrawal.as_ref().filter(|withdrawal| !withdrawal.late)?;
        Some(withdrawal.last?.saturating_duration_since(self.stopping()?.seen?))
    }
}

impl Stopping {
    /// The deletion that a pod shows, if it shows one. `clock` is a lower bound of the API server's clock.
    pub(crate) fn of(pod: &PodView, now: Option<Instant>, clock: Option<Timestamp>) -> Option<Self> {
        let (requested, grace) = pod.deletion()?;
        // After a silent break of its connection, a watch delivers late.
        let is_late = clock.is_some_and(|clock| clock.since(requested) > MAX_DELAY);
        let seen = now.filter(|_| !is_late);
        Some(Self { requested, grace, seen, start: Start::NotSeen, ran: 0, named: None })
    }

    /// Adds what a later event shows.
    pub(crate) fn update(&mut self, pod: &PodView, now: Option<Instant>) {
        if let Some((_, grace)) = pod.deletion() {
            self.grace = self.grace.min(grace);
        }
        self.ran |= pod.running();
        self.named = Cause::named_by(pod).or(self.named);
        if self.start == Start::NotSeen && pod.is_acknowledged() {
            self.start = now.filter(|_| !pod.is_terminal()).map_or(Start::Before, Start::At);
        }
    }

    /// Whether the container at this position was seen running.
    pub(crate) fn saw_running(&self, position: usize) -> bool {
        u32::try_from(position).ok().and_then(|bit| 1_u64.checked_shl(bit)).is_some_and(|bit| self.ran & bit != 0)
    }

    /// How long the kubelet needed to start, in whole seconds.
    pub(crate) fn latency(&self) -> Option<Seconds> {
        let Start::At(start) = self.start else { return None };
        let latency = start.saturating_duration_since(self.seen?);
        Some(Seconds::new(u32::try_from(latency.as_secs()).unwrap_or(u32::MAX)))
    }
}

impl Withdrawal {
    /// A slice shows the pod as terminating and not ready; `now` is `None` if that is from a list.
    pub(crate) fn add(&mut self, slice: u64, now: Option<Instant>) {
        if self.slices.len() >= MAX_SLICES || self.slices.contains(&slice) {
            return;
        }
        self.slices.push(slice);
        self.last = now.or(self.last);
        self.late |= now.is_none();
    }
}

/// The UIDs of the pods that a slice withdraws because they are being deleted. A Service with `publishNotReadyAddresses`
/// keeps them ready.
pub(crate) fn withdrawn(slice: &EndpointSliceView) -> impl Iterator<Item = &str> {
    // The API server accepts at most 1,000.
    let endpoints = slice.endpoints.iter().take(1000);
    let gone = endpoints.filter(|it| it.conditions.ready == Some(false) && it.conditions.terminating == Some(true));
    gone.filter_map(|endpoint| endpoint.target_ref.as_ref()?.uid.as_deref())
}

/// Tells slices apart.
pub(crate) fn slice_id(slice: &EndpointSliceView) -> u64 {
    fingerprint::in_process(&(&slice.metadata.namespace, &slice.metadata.name))
}
