//! What the API shows of the pod while it stops, as lines of a timeline.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::{Promised, candidate};
use crate::duration::Seconds;
use crate::observation::{EndpointSliceView, PodView};
use crate::sanitize::{escaped, truncated};

/// The reasons of the Events that a kubelet publishes while it stops a pod (`pkg/kubelet/events/event.go`).
const OF_STOPS: [&str; 4] = ["Killing", "FailedPreStopHook", "FailedKillPod", "ExceededGracePeriod"];
/// The longest message of an Event that is shown, in characters.
const LONGEST: usize = 200;

/// Events that are counted by name; later ones are not shown.
const MAX_EVENTS: usize = 1_000;
/// An end is late if it is later by more than this: the observer compares whole seconds, and has the same second.
const PRECISION: Duration = Duration::from_secs(1);

/// A line: what happened, and when it was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Since the eviction was requested, when the API showed it.
    pub at: Duration,
    /// The latest time that was promised: only for the end of a container of the app.
    pub promised: Option<Seconds>,
    /// What.
    pub moment: Moment,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The pod has a `deletionTimestamp`.
    Deleted {
        /// The grace period that it was given.
        grace_period: Seconds,
    },
    /// An endpoint of the pod is no longer ready.
    Withdrawn,
    /// The kubelet published an Event about it.
    Event {
        /// For example `Killing`.
        reason: String,
        /// Its message.
        message: String,
    },
    /// A container has ended.
    Ended {
        /// Its name.
        container: String,
        /// Its exit code.
        exit_code: i32,
        /// For example `Completed`.
        reason: String,
    },
    /// The pod is no longer in the API.
    Removed,
}

/// What was seen so far.
#[derive(Debug)]
pub struct Progress {
    uid: String,
    promised: Promised,
    deleted: bool,
    withdrawn: bool,
    /// Whether an endpoint was not ready before the pod was seen to stop: the two watches have no order.
    unready: bool,
    ended: BTreeSet<String>,
    events: BTreeMap<String, i64>,
}

impl Progress {
    /// Of the pod with this UID.
    #[must_use]
    pub fn new(uid: &str, promised: Promised) -> Self {
        let (ended, events) = Default::default();
        Self { uid: uid.to_owned(), promised, deleted: false, withdrawn: false, unready: false, ended, events }
    }

    /// Whether the API shows that the pod is stopping.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// A state of the pod. Another pod of the same name is ignored.
    pub fn see(&mut self, pod: &PodView, at: Duration) -> Vec<Mark> {
        let mut marks = Vec::new();
        if pod.uid() != Some(&self.uid) {
            return marks;
        }
        if pod.metadata.deletion_timestamp.is_some() && !self.deleted {
            self.deleted = true;
            let grace = pod.metadata.deletion_grace_period_seconds.map_or(pod.grace_period(), Seconds::from_api);
            marks.push(Mark { at, promised: None, moment: Moment::Deleted { grace_period: grace } });
            marks.extend(self.unready.then(|| self.withdraw(at)).flatten());
        }
        let apps = if self.deleted { candidate::apps(pod) } else { BTreeSet::new() };
        for (container, status) in pod.containers().filter(|_| self.deleted) {
            let Some(end) = status.and_then(|status| status.terminated()) else { continue };
            if self.ended.insert(container.name.clone()) {
                let moment = Moment::Ended {
                    container: container.name.clone(),
                    exit_code: end.exit_code,
                    reason: end.reason.clone().unwrap_or_default(),
                };
                // A helper may end after the app.
                let promised = self.promised.end().filter(|_| apps.contains(&container.name));
                marks.push(Mark { at, promised, moment });
            }
        }
        marks
    }

    /// A state of an endpoint slice.
    pub fn see_slice(&mut self, slice: &EndpointSliceView, at: Duration) -> Option<Mark> {
        let mut endpoints = slice.endpoints.iter();
        let own = endpoints.find(|endpoint| {
            endpoint.target_ref.as_ref().is_some_and(|target| target.uid.as_deref() == Some(&self.uid))
        })?;
        self.unready = own.conditions.ready == Some(false);
        (self.unready && self.deleted).then(|| self.withdraw(at)).flatten()
    }

    fn withdraw(&mut self, at: Duration) -> Option<Mark> {
        let is_known = std::mem::replace(&mut self.withdrawn, true);
        (!is_known).then_some(Mark { at, promised: None, moment: Moment::Withdrawn })
    }

    /// An Event about the stop of the pod; each count of one Event is shown once. A list of Events that arrives late also has
    /// those of its start.
    pub fn see_event(&mut self, name: &str, count: i64, reason: &str, message: &str, at: Duration) -> Option<Mark> {
        if !OF_STOPS.contains(&reason) || self.events.len() >= MAX_EVENTS && !self.events.contains_key(name) {
            return None;
        }
        let seen = self.events.insert(name.to_owned(), count);
        (self.deleted && seen.is_none_or(|seen| seen < count)).then(|| Mark {
            at,
            promised: None,
            moment: Moment::Event { reason: reason.to_owned(), message: message.to_owned() },
        })
    }

    /// The pod is gone.
    #[must_use]
    pub const fn removed(at: Duration) -> Mark {
        Mark { at, promised: None, moment: Moment::Removed }
    }
}

impl Promised {
    /// The latest end of the app, after the start of the termination: its deadline after the hook, or SIGKILL. `None`
    /// if it has a deadline, and a hook of unknown length.
    #[must_use]
    pub fn end(&self) -> Option<Seconds> {
        let Some(deadline) = self.deadline else { return Some(self.grace_period) };
        Some(self.hook?.plus(deadline).min(self.grace_period))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleted { grace_period } => write!(f, "the pod is stopping, with a grace period of {grace_period}"),
            Self::Withdrawn => f.write_str("its endpoint is no longer ready"),
            Self::Event { reason, message } => {
                write!(f, "{}: {}", truncated(&escaped(reason), 63), truncated(&escaped(message), LONGEST))
            }
            Self::Ended { container, exit_code, reason } => {
                write!(f, "{} ended with exit code {exit_code}", truncated(&escaped(container), 63))?;
                if reason.is_empty() { Ok(()) } else { write!(f, " ({})", truncated(&escaped(reason), 63)) }
            }
            Self::Removed => f.write_str("the pod is removed"),
        }
    }
}

impl Mark {
    /// Whether it came later than promised.
    #[must_use]
    pub fn is_late(&self) -> bool {
        let promised = self.promised.map(|promised| Duration::from_secs(promised.as_i64().unsigned_abs()));
        promised.is_some_and(|promised| self.at > promised + PRECISION)
    }
}

impl fmt::Display for Mark {
    /// `   5.1 s  <= 30s     app ended with exit code 0 (Completed)`, or with `, later than promised`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let promised = self.promised.map(|promised| format!("<= {promised}")).unwrap_or_default();
        let late = if self.is_late() { ", later than promised" } else { "" };
        write!(f, "{:>6.1} s  {promised:<9}  {}{late}", self.at.as_secs_f64(), self.moment)
    }
}
