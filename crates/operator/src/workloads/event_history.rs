//! What this replica has seen of each workload, so that it tells of changes, and of each once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Watched;
use winddown_core::report::Seen;

/// By UID: a workload that is made again under the same name is another one.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<String, Entry>>);

struct Entry {
    seen: Seen,
    /// A change that was noticed while another replica led, who should have told it: when, and from what.
    untold: Option<(Instant, Option<Seen>)>,
}

/// How long a Lease can be without a holder: as long as it lasts. A change from that time was told by nobody, or by a
/// leader that is no more; told twice is better than never.
const HANDOVER: Duration = Duration::from_secs(15);

impl Memory {
    /// What was last told of, by this replica or, as far as it can know, by another; `None` where nothing ever was.
    pub(super) fn last_told(&self, uid: &str, now: Instant) -> Option<Seen> {
        let entries = self.locked();
        let entry = entries.get(uid)?;
        match &entry.untold {
            Some((when, before)) if now.duration_since(*when) < HANDOVER => before.clone(),
            _ => Some(entry.seen.clone()),
        }
    }

    /// This is how the workload looks, and everybody was told.
    pub(super) fn told(&self, uid: &str, seen: Seen) {
        self.locked().insert(uid.to_owned(), Entry { seen, untold: None });
    }

    /// This is how the workload looks, and whoever leads has to tell.
    pub(super) fn noticed(&self, uid: &str, seen: Seen, now: Instant) {
        let before = self.last_told(uid, now);
        let mut entries = self.locked();
        match entries.get_mut(uid) {
            Some(entry) if entry.seen == seen => {}
            _ => drop(entries.insert(uid.to_owned(), Entry { seen, untold: Some((now, before)) })),
        }
    }

    pub(super) fn forget(&self, watched: &Watched) {
        if let Some(uid) = &watched.metadata.uid {
            self.locked().remove(uid);
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use winddown_core::evaluation::{Before, Origin, settle};
    use winddown_core::policy::Policy;

    fn annotated() -> Seen {
        let deployment = json!({
            "kind": "Deployment",
            "metadata": {"annotations": {"winddown.dev/drain": "5s"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}},
        });
        let settlement = settle(&deployment, Before::Nothing, &Policy::default(), Origin::ApiServer).unwrap();
        Seen::new(&settlement.desired, &settlement)
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let (memory, now) = (Memory::default(), Instant::now());
        assert_eq!(memory.last_told("u", now), None);
        memory.told("u", annotated());
        assert_eq!(memory.last_told("u", now), Some(annotated()));
    }

    #[test]
    fn a_change_from_the_time_without_a_leader_is_still_to_be_told() {
        let (memory, now) = (Memory::default(), Instant::now());
        memory.told("u", Seen::default());
        memory.noticed("u", annotated(), now);
        memory.noticed("u", annotated(), now + HANDOVER / 2);
        assert_eq!(memory.last_told("u", now + HANDOVER / 2), Some(Seen::default()));
    }

    #[test]
    fn a_change_from_before_was_told_by_the_leader_of_that_time() {
        let (memory, now) = (Memory::default(), Instant::now());
        memory.told("u", Seen::default());
        memory.noticed("u", annotated(), now);
        assert_eq!(memory.last_told("u", now + HANDOVER), Some(annotated()));
    }

    #[test]
    fn of_several_changes_in_the_time_without_a_leader_the_first_one_counts() {
        let (memory, now) = (Memory::default(), Instant::now());
        memory.told("u", annotated());
        memory.noticed("u", Seen::default(), now);
        memory.noticed("u", annotated(), now + HANDOVER / 2);
        assert_eq!(memory.last_told("u", now + HANDOVER / 2), Some(annotated()));
    }
}
