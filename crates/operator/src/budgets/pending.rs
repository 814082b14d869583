//! What waits to be written into the budget of one workload.

use std::time::{Duration, Instant};

use super::sent::Sent;
use winddown_core::observation::{Outcome, Stop};
use winddown_core::report::{Event, Reported};
use winddown_core::shutdown_budget::Computed;

/// How long a stop waits for others, unless the app was killed.
const STOPS: Duration = Duration::from_secs(10);
/// How long a change of the pods, or of the generation alone, waits for others.
const MINOR: Duration = Duration::from_secs(10);
/// With so many stops, they are written at once: half of what a ledger remembers.
const MANY: usize = 32;
/// More stops of one workload are lost.
const MOST_STOPS: usize = 256;

/// What is known of a workload.
#[derive(Clone, Debug)]
pub(super) struct Evaluated {
    /// The workload's UID.
    pub(super) uid: Box<str>,
    /// `None` for one that Winddown does not look at: it has no budget, and no Events.
    pub(super) computed: Option<Computed>,
    /// Whether the workload or its declaration is new, so that everything about it is reported.
    pub(super) is_new: bool,
    /// The state that is reported when this is written.
    pub(super) state: Option<Reported>,
}

impl Evaluated {
    pub(super) fn is_declared(&self) -> bool {
        self.computed.as_ref().is_some_and(Computed::is_declared)
    }
}

/// What waits. Everything in it can be written several times with the same result.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub(super) evaluated: Option<Evaluated>,
    pub(super) stops: Vec<Stop>,
    /// Events that follow from what is stored already.
    pub(super) events: Vec<Event>,
    /// Whether the pods are to be counted.
    pub(super) pods: bool,
    /// The attempts at writing this.
    pub(super) sent: Sent,
    since: Since,
}

/// When the first of each kind came.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    evaluated: Option<Instant>,
    stop: Option<Instant>,
    killed: Option<Instant>,
    many: Option<Instant>,
    minor: Option<Instant>,
    /// When something stored is to be looked at again.
    again: Option<Instant>,
}

/// Which of several pending writes is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Killed,
    Evaluated,
    Other,
}

impl Class {
    pub(super) const ALL: [Self; 3] = [Self::Killed, Self::Evaluated, Self::Other];
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.due(None).is_none()
    }

    /// The newer evaluation counts. What was new before it was written is still new, and so is a declaration after none.
    pub(super) fn evaluate(&mut self, evaluated: Evaluated, now: Instant) {
        self.replace(evaluated);
        self.since.evaluated.get_or_insert(now);
    }

    /// An evaluation that found only another generation, as after a change of `replicas`.
    pub(super) fn evaluate_alike(&mut self, evaluated: Evaluated, now: Instant) {
        self.replace(evaluated);
        self.since.minor.get_or_insert(now);
    }

    fn replace(&mut self, mut evaluated: Evaluated) {
        let before = self.evaluated.take().filter(|before| before.uid == evaluated.uid);
        evaluated.is_new |= before.is_some_and(|before| before.is_new || !before.is_declared());
        self.evaluated = Some(evaluated);
    }

    /// An evaluation that waits follows one without a declaration.
    pub(super) fn declared_again(&mut self) {
        if let Some(evaluated) = &mut self.evaluated {
            evaluated.is_new = true;
        }
    }

    /// False if there are too many.
    pub(super) fn stop(&mut self, stop: Stop, now: Instant) -> bool {
        if self.stops.len() >= MOST_STOPS {
            return false;
        }
        if stop.outcome == Outcome::Killed {
            self.since.killed.get_or_insert(now);
        }
        self.stops.push(stop);
        self.since.stop.get_or_insert(now);
        if self.stops.len() >= MANY {
            self.since.many.get_or_insert(now);
        }
        true
    }

    /// The stops do not wait for others.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.since.many.get_or_insert(now);
    }

    /// How long the evaluation has waited.
    pub(super) fn waited(&self, now: Instant) -> Option<Duration> {
        self.since.evaluated.map(|evaluated| now.saturating_duration_since(evaluated))
    }

    /// Forgets the stops.
    pub(super) fn lose_stops(&mut self) {
        self.stops.clear();
        (self.since.stop, self.since.killed, self.since.many) = (None, None, None);
    }

    /// Whether the first stop came this long ago.
    pub(super) fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.since.stop.is_some_and(|stop| now.saturating_duration_since(stop) > age)
    }

    pub(super) fn count_pods(&mut self, now: Instant) {
        self.pods = true;
        self.since.minor.get_or_insert(now);
    }

    /// Nothing new about the pods.
    pub(super) fn pods_unchanged(&mut self) {
        (self.pods, self.since.minor) = (false, None);
    }

    /// Whether there is nothing but a change of the pods.
    pub(super) fn is_pods_only(&self) -> bool {
        self.pods
            && self.evaluated.is_none()
            && Self { pods: false, since: Since { minor: None, ..self.since }, ..Self::default() }.is_empty()
    }

    /// The budget is to be looked at again at this time, and these Events published.
    pub(super) fn look_again(&mut self, at: Instant, events: Vec<Event>) {
        self.since.again = Some(self.since.again.map_or(at, |again| again.min(at)));
        self.events.extend(events);
    }

    /// Together with what came later.
    pub(super) fn followed_by(mut self, later: Self) -> Self {
        let earliest = |one: Option<Instant>, other: Option<Instant>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let since = Since {
            evaluated: earliest(self.since.evaluated, later.since.evaluated),
            stop: earliest(self.since.stop, later.since.stop),
            killed: earliest(self.since.killed, later.since.killed),
            many: earliest(self.since.many, later.since.many),
            minor: earliest(self.since.minor, later.since.minor),
            again: earliest(self.since.again, later.since.again),
        };
        if let Some(evaluated) = later.evaluated {
            self.replace(evaluated);
        }
        self.stops.extend(later.stops);
        // The later ones are more likely to be counted.
        let excess = self.stops.len().saturating_sub(MOST_STOPS);
        self.stops.drain(..excess);
        self.events.extend(later.events);
        Self { pods: self.pods || later.pods, since, ..self }
    }

    /// When it is to be written, and its class, if the last write is not followed by another one before `quiet_until`; `None`
    /// if it is empty. An evaluation, a kill and many stops do not wait for that.
    pub(super) fn due(&self, quiet_until: Option<Instant>) -> Option<(Instant, Class)> {
        let Since { evaluated, stop, killed, many, minor, again } = self.since;
        let later = [stop.map(|at| at + STOPS), minor.map(|at| at + MINOR), again].into_iter().flatten().min();
        let candidates = [
            killed.map(|at| (at, Class::Killed)),
            evaluated.map(|at| (at, Class::Evaluated)),
            many.map(|at| (at, Class::Other)),
            later.map(|at| (quiet_until.map_or(at, |until| at.max(until)), Class::Other)),
        ];
        let due = candidates.iter().flatten().map(|(at, _)| *at).min()?;
        let class = candidates.iter().flatten().map(|(_, class)| *class).min()?;
        Some((due, class))
    }
}
