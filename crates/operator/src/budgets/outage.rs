//! Whether the API server fails for all budgets, or only for some. Without clock and requests.

use std::sync::Arc;
use std::time::Instant;

use super::queue::retry;
use winddown_core::observation::WorkloadRef;

/// Failed writes of this many budgets, in more than one namespace and without a success between them, count as an outage. The
/// failures of fewer can have a reason of their own, such as a webhook for one namespace.
const SEVERAL: usize = 3;
/// An outage that lasts for so many pauses is logged.
const LASTING: u32 = 2;

/// The failures since the last success.
#[derive(Debug, Default)]
pub(super) struct Outage {
    failing: Vec<Arc<WorkloadRef>>,
    pauses: u32,
    until: Option<Instant>,
}

impl Outage {
    /// Until when nothing is written.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// Whether it lasts.
    pub(super) fn is_lasting(&self) -> bool {
        self.pauses >= LASTING
    }

    /// The API server answered as it should.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// A write failed; `unreachable` if the API server was not even reached.
    pub(super) fn failed(&mut self, workload: &Arc<WorkloadRef>, unreachable: bool, now: Instant) {
        // One of each namespace and some more suffice.
        let namespace = |failing: &Arc<WorkloadRef>| failing.namespace == workload.namespace;
        if !self.failing.contains(workload) && (self.failing.len() < SEVERAL || !self.failing.iter().any(namespace)) {
            self.failing.push(workload.clone());
        }
        let is_general = self.failing.len() >= SEVERAL && !self.failing.iter().all(namespace);
        // Writes that ran at the same time fail together.
        if (unreachable || is_general) && !self.is_paused(now) {
            self.pauses = self.pauses.saturating_add(1);
            self.until = Some(now + retry(self.pauses));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winddown_core::kind::Kind;

    fn workload(namespace: &str, name: &str) -> Arc<WorkloadRef> {
        Arc::new(WorkloadRef { kind: Kind::Deployment, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    #[test]
    fn several_budgets_of_more_than_one_namespace_are_an_outage() {
        let now = Instant::now();
        let paused = |failing: &[(&str, &str)]| {
            let mut outage = Outage::default();
            for (namespace, name) in failing {
                outage.failed(&workload(namespace, name), false, now);
            }
            outage.is_paused(now)
        };
        assert!(!paused(&[("a", "1"), ("a", "1"), ("a", "1"), ("a", "1")]), "one budget");
        assert!(!paused(&[("a", "1"), ("b", "1"), ("a", "1"), ("b", "1")]), "two");
        assert!(!paused(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]), "one namespace");
        assert!(paused(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("b", "1")]));
        assert!(paused(&[("a", "1"), ("b", "1"), ("c", "1")]));
    }

    #[test]
    fn an_api_server_that_is_not_reached_is_an_outage_and_one_that_lasts_is_told_from_a_short_one() {
        let (mut outage, mut now, web) = (Outage::default(), Instant::now(), workload("shop", "web"));
        let mut pauses = Vec::new();
        for _ in 0..3 {
            outage.failed(&web, true, now);
            outage.failed(&web, true, now);
            let until = outage.until().unwrap();
            pauses.push((until.duration_since(now).as_secs(), outage.is_lasting()));
            now = until;
        }
        assert_eq!(pauses, [(1, false), (2, true), (4, true)]);
        outage.end();
        assert!(!outage.is_lasting() && outage.until().is_none());
    }
}
