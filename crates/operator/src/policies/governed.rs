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
    workloads: HashMap<String, (Kind, Option<Standing>)>,
    /// The UIDs of a list that is not complete yet.
    listed: HashMap<Kind, HashSet<String>>,
    /// The kinds that were listed at least once.
    complete: HashSet<Kind>,
}

impl Governed {
    /// A list of a kind begins.
    pub(crate) fn list(&self, kind: Kind) {
        self.state().listed.insert(kind, HashSet::new());
    }

    /// A workload exists. One without annotations is kept only if its namespace opts it in.
    pub(crate) fn exists(&self, kind: Kind, uid: &str, annotated: bool) {
        let mut state = self.state();
        if annotated {
            state.workloads.entry(uid.to_owned()).or_insert((kind, None));
        }
        if state.workloads.contains_key(uid)
            && let Some(listed) = state.listed.get_mut(&kind)
        {
            listed.insert(uid.to_owned());
        }
    }

    /// A list is complete: what is not in it no longer exists.
    pub(crate) fn listed(&self, kind: Kind) {
        let mut state = self.state();
        state.complete.insert(kind);
        if let Some(listed) = state.listed.remove(&kind) {
            state.workloads.retain(|uid, (of, _)| *of != kind || listed.contains(uid));
        }
    }

    /// The result of the evaluation of an annotated workload, unless it was deleted meanwhile.
    pub(crate) fn evaluated(&self, uid: &str, standing: Standing) {
        if let Some((_, known)) = self.state().workloads.get_mut(uid) {
            *known = Some(standing);
        }
    }

    /// A workload without annotations, which its namespace opts in.
    pub(crate) fn opted_in(&self, kind: Kind, uid: &str, standing: Standing) {
        self.state().workloads.insert(uid.to_owned(), (kind, Some(standing)));
    }

    /// A workload was deleted, or Winddown does not handle it.
    pub(crate) fn forget(&self, uid: &str) {
        self.state().workloads.remove(uid);
    }

    /// The workloads of each policy; `None` until every workload was evaluated once.
    pub(super) fn counts(&self) -> Option<BTreeMap<String, Count>> {
        let state = self.state();
        if Kind::ALL.iter().any(|kind| !state.complete.contains(kind)) {
            return None;
        }
        let mut counts = BTreeMap::<String, Count>::new();
        for (_, standing) in state.workloads.values() {
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
        governed.list(Kind::Deployment);
        governed.exists(Kind::Deployment, "a", true);
        governed.exists(Kind::Deployment, "unannotated", false);
        assert_eq!(governed.counts(), None, "the list is not complete");
        for kind in Kind::ALL {
            governed.listed(kind);
        }
        assert_eq!(governed.counts(), None, "one was not evaluated");
        governed.evaluated("a", standing("gold", true));
        governed.evaluated("deleted", standing("gold", true));
        governed.opted_in(Kind::Deployment, "b", standing("gold", false));
        governed.opted_in(Kind::StatefulSet, "c", Standing::default());
        let count = |workloads, waiting| Some(BTreeMap::from([("gold".to_owned(), Count { workloads, waiting })]));
        assert_eq!(governed.counts(), count(2, 1));
        governed.forget("a");
        assert_eq!(governed.counts(), count(1, 0));
    }

    #[test]
    fn a_workload_that_a_later_list_does_not_have_is_not_counted() {
        let governed = Governed::default();
        for kind in Kind::ALL {
            governed.listed(kind);
        }
        for uid in ["a", "b"] {
            governed.opted_in(Kind::Deployment, uid, standing("gold", false));
        }
        governed.opted_in(Kind::DaemonSet, "c", standing("gold", false));
        governed.list(Kind::Deployment);
        governed.exists(Kind::Deployment, "b", true);
        governed.listed(Kind::Deployment);
        let expected = Count { workloads: 2, waiting: 0 };
        assert_eq!(governed.counts(), Some(BTreeMap::from([("gold".to_owned(), expected)])));
    }
}
