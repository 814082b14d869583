//! Writes that the API server may have carried out although it did not answer.

use winddown_core::observation::Stop;
use winddown_core::report::Event;
use winddown_core::shutdown_budget::{Next, ShutdownBudgetStatus};

/// More attempts in a row without an answer are not remembered: the API server ends each request after a minute.
const MOST: usize = 8;

/// The attempts at the write of one budget.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent(Vec<Attempt>);

#[derive(Clone, Debug)]
struct Attempt {
    /// What the status remembers; `None` if the budget was to be deleted.
    memory: Option<Memory>,
    events: Vec<Event>,
    /// The UIDs of the pods whose stops it counts.
    counted: Vec<String>,
}

/// Every status that counts a stop or that an Event follows from differs in it. A CRD of another version may drop other
/// fields.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Memory {
    checkpoint: Option<String>,
    reported: Option<String>,
}

impl Memory {
    fn of(status: &ShutdownBudgetStatus) -> Self {
        Self { checkpoint: status.checkpoint.clone(), reported: status.reported.clone() }
    }
}

impl Sent {
    /// A status was sent, and there was no answer.
    pub(super) fn status(&mut self, next: Next, stops: &[Stop]) {
        let counted = next.admitted.iter().filter_map(|position| Some(stops.get(*position)?.uid.clone())).collect();
        self.add(Attempt { memory: Some(Memory::of(&next.status)), events: next.events, counted });
    }

    /// A deletion was sent, and there was no answer.
    pub(super) fn deletion(&mut self, events: Vec<Event>) {
        self.add(Attempt { memory: None, events, counted: Vec::new() });
    }

    fn add(&mut self, attempt: Attempt) {
        if attempt.events.is_empty() && attempt.counted.is_empty() {
            return;
        }
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(attempt);
    }

    /// The Events of the attempt after which the budget is as it was read, and the UIDs that it counts. All of the attempts
    /// are over then: each one required the version before.
    pub(super) fn carried_out(&mut self, read: Option<&ShutdownBudgetStatus>) -> (Vec<Event>, Vec<String>) {
        if self.0.is_empty() {
            return Default::default();
        }
        let read = read.map(Memory::of);
        let Some(position) = self.0.iter().position(|attempt| attempt.memory == read) else {
            return Default::default();
        };
        let Attempt { events, counted, .. } = std::mem::take(&mut self.0).swap_remove(position);
        (events, counted)
    }
}
