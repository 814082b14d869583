//! What was last reported for each workload, so that each change is reported once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::leadership;
use winddown_core::report::Reported;

/// By UID: a workload that is created again under the same name is a different one.
#[derive(Default)]
pub(super) struct EventHistory(Mutex<HashMap<String, Entry>>);

struct Entry {
    state: Reported,
    /// A change that this replica saw as a follower and that the leader should have reported: when, and the state before.
    seen_by_follower: Option<(Instant, Option<Reported>)>,
}

/// The Lease duration: how long a Lease can be without a live holder. A change in this time may not have been reported, so
/// the new leader reports it. Reporting it twice is better than not at all.
const HANDOVER: Duration = Duration::from_secs(leadership::DURATION);

impl EventHistory {
    /// The state last reported, by this replica or presumably by another leader; `None` if there is none.
    pub(super) fn last_reported(&self, uid: &str, now: Instant) -> Option<Reported> {
        let entries = self.entries();
        let entry = entries.get(uid)?;
        match &entry.seen_by_follower {
            Some((when, before)) if now.duration_since(*when) < HANDOVER => before.clone(),
            _ => Some(entry.state.clone()),
        }
    }

    /// Records the workload's state after its Events were published.
    pub(super) fn mark_reported(&self, uid: &str, state: Reported) {
        self.entries().insert(uid.to_owned(), Entry { state, seen_by_follower: None });
    }

    /// The workload had no annotations, so that a first one counts as a change.
    pub(super) fn was_unannotated(&self, uid: &str) {
        let unannotated = || Entry { state: Reported::default(), seen_by_follower: None };
        self.entries().entry(uid.to_owned()).or_insert_with(unannotated);
    }

    /// Records the workload's state while another replica leads and reports it.
    pub(super) fn mark_seen_by_follower(&self, uid: &str, state: Reported, now: Instant) {
        let before = self.last_reported(uid, now);
        let mut entries = self.entries();
        match entries.get_mut(uid) {
            Some(entry) if entry.state == state => {}
            _ => drop(entries.insert(uid.to_owned(), Entry { state, seen_by_follower: Some((now, before)) })),
        }
    }

    pub(super) fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    #[cfg(test)]
    pub(super) fn knows(&self, uid: &str) -> bool {
        self.entries().contains_key(uid)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use winddown_core::evaluation::{Existing, Origin, evaluate};
    use winddown_core::policy::Policy;
    use winddown_core::report::Current;

    fn annotated() -> Reported {
        let deployment = json!({
            "kind": "Deployment",
            "metadata": {"annotations": {"winddown.dev/drain": "5s"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}},
        });
        let evaluated =
            |workload| evaluate(workload, Existing::Unchanged, &Policy::default(), Origin::ApiServer).unwrap();
        let desired = evaluated(&deployment).changes.apply(&deployment);
        Current::new(&desired, &evaluated(&desired)).reported()
    }

    #[test]
    fn a_reported_state_is_the_last_reported() {
        let (history, now) = (EventHistory::default(), Instant::now());
        assert_eq!(history.last_reported("u", now), None);
        history.mark_reported("u", annotated());
        assert_eq!(history.last_reported("u", now), Some(annotated()));
    }

    #[test]
    fn a_change_during_a_handover_is_not_reported_yet() {
        let (history, now) = (EventHistory::default(), Instant::now());
        history.mark_reported("u", Reported::default());
        history.mark_seen_by_follower("u", annotated(), now);
        history.mark_seen_by_follower("u", annotated(), now + HANDOVER / 2);
        assert_eq!(history.last_reported("u", now + HANDOVER / 2), Some(Reported::default()));
    }

    #[test]
    fn a_change_before_the_handover_was_reported_by_the_leader() {
        let (history, now) = (EventHistory::default(), Instant::now());
        history.mark_reported("u", Reported::default());
        history.mark_seen_by_follower("u", annotated(), now);
        assert_eq!(history.last_reported("u", now + HANDOVER), Some(annotated()));
    }

    #[test]
    fn several_changes_during_a_handover_are_compared_with_the_state_before_the_first() {
        let (history, now) = (EventHistory::default(), Instant::now());
        history.mark_reported("u", annotated());
        history.mark_seen_by_follower("u", Reported::default(), now);
        history.mark_seen_by_follower("u", annotated(), now + HANDOVER / 2);
        assert_eq!(history.last_reported("u", now + HANDOVER / 2), Some(annotated()));
    }
}
