//! Which policy governs which workload, as the controllers last saw it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use winddown_core::kind::Kind;

/// What a policy means for a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The policy; `None` for the built-in one.
    pub(crate) policy: Option<String>,
    /// Whether the template changes with its next change.
    pub(crate) waiting: bool,
}

/// The workloads of a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) workloads: i32,
    pub(super) waiting: i32,
}

/// The workloads that Winddown handles.
#[derive(Debug, Default)]
pub(crate) struct Governed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By UID; `None` until the workload was evaluated.
    workloads: HashMap<String, Option<Standing>>,
    /// The kinds that were listed at least once.
    listed: HashSet<Kind>,
}

impl Governed {
    /// An annotated workload exists.
    pub(crate) fn exists(&self, uid: &str) {
        self.state().workloads.entry(uid.to_owned()).or_default();
    }

    /// All workloads of a kind were listed.
    pub(crate) fn listed(&self, kind: Kind) {
        self.state().listed.insert(kind);
    }

    /// The result of the evaluation of an annotated workload, unless it was deleted meanwhile.
    pub(crate) fn evaluated(&self, uid: &str, standing: Standing) {
        if let Some(known) = self.state().workloads.get_mut(uid) {
            *known = Some(standing);
        }
    }

    /// A workload without annotations, which its namespace opts in.
    pub(crate) fn opted_in(&self, uid: &str, standing: Standing) {
        self.state().workloads.insert(uid.to_owned(), Some(standing));
    }

    /// A workload was deleted, or Winddown does not handle it.
    pub(crate) fn forget(&self, uid: &str) {
        self.state().workloads.remove(uid);
    }

    #[cfg(test)]
    pub(crate) fn knows(&self, uid: &str) -> bool {
        self.state().workloads.contains_key(uid)
    }

    /// The workloads of each policy; `None` until every workload was evaluated once.
    pub(super) fn counts(&self) -> Option<BTreeMap<String, Count>> {
        let state = self.state();
        if Kind::ALL.iter().any(|kind| !state.listed.contains(kind)) {
            return None;
        }
        let mut counts = BTreeMap::<String, Count>::new();
        for standing in state.workloads.values() {
            let Standing { policy, waiting } = standing.as_ref()?;
            if let Some(policy) = policy {
                let count = match counts.get_mut(policy) {
                    Some(count) => count,
                    None => counts.entry(policy.clone()).or_default(),
                };
                count.workloads = count.workloads.saturating_add(1);
                count.waiting = count.waiting.saturating_add(i32::from(*waiting));
            }
        }
        Some(counts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(policy: &str, waiting: bool) -> Standing {
        Standing { policy: Some(policy.to_owned()), waiting }
    }

    #[test]
    fn workloads_are_counted_once_all_of_them_were_evaluated() {
        let governed = Governed::default();
        governed.exists("a");
        assert_eq!(governed.counts(), None, "the list is not complete");
        for kind in Kind::ALL {
            governed.listed(kind);
        }
        assert_eq!(governed.counts(), None, "one was not evaluated");
        governed.evaluated("a", standing("gold", true));
        governed.evaluated("deleted", standing("gold", true));
        governed.opted_in("b", standing("gold", false));
        governed.opted_in("c", Standing::default());
        let count = |workloads, waiting| Some(BTreeMap::from([("gold".to_owned(), Count { workloads, waiting })]));
        assert_eq!(governed.counts(), count(2, 1));
        governed.forget("a");
        assert_eq!(governed.counts(), count(1, 0));
    }
}
