//! The budgets as the watch last reported them: of each one, only what tells whether there is something to write.

use std::collections::HashMap;
use std::sync::Arc;

use kube::runtime::watcher::Event;

use super::client::Budget;
use super::clock;
use winddown_core::fingerprint::in_process;
use winddown_core::observation::{Timestamp, WorkloadRef};
use winddown_core::shutdown_budget::{Computed, Pods, ShutdownBudgetStatus, name};

/// By namespace and name of the budget.
#[derive(Debug, Default)]
pub(super) struct Table {
    budgets: HashMap<String, Known>,
    /// The part of a list that has arrived.
    listed: Option<HashMap<String, Known>>,
    /// The newest `resourceVersion` that the watch reported. What was written before is in the table, or was deleted.
    seen: Option<u64>,
}

/// One budget.
#[derive(Clone, Debug)]
struct Known {
    workload: Option<Arc<WorkloadRef>>,
    /// A hash of its owner's UID.
    owner: u64,
    /// A hash of UID and `resourceVersion`.
    version: u64,
    resource_version: Option<u64>,
    /// What it says.
    fingerprint: u64,
    /// The same without the generation.
    content: u64,
    pods: Option<Pods>,
    /// When an Event about kills is due that was withheld.
    event_due: Option<Timestamp>,
    /// What it should say, if this replica evaluated the workload.
    expected: Option<Expected>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    fingerprint: u64,
    /// The budget that the pods should carry; 0 for none.
    carried: u64,
    /// The version with which it was stored. A CRD of another version may drop fields, so what is stored can differ.
    stored_as: Option<u64>,
    /// When the workload was created.
    created: Option<Timestamp>,
}

/// What a budget says, compared with what it should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Right,
    /// Except for the generation of the workload.
    Alike,
    Different,
}

impl Known {
    fn new(budget: &Budget) -> Self {
        Self {
            workload: budget.workload.clone(),
            owner: in_process(&budget.owner),
            version: version(budget),
            resource_version: resource_version(budget),
            fingerprint: budget.status.fingerprint(),
            content: budget.status.content_fingerprint(),
            pods: budget.status.pods,
            event_due: event_due(&budget.status),
            expected: None,
        }
    }

    fn is_right(&self) -> bool {
        self.expected
            .is_none_or(|expected| self.fingerprint == expected.fingerprint || expected.stored_as == Some(self.version))
    }
}

impl Table {
    /// Returns the workloads of budgets that somebody else deleted or changed.
    pub(super) fn apply(&mut self, event: &Event<Budget>) -> Vec<Arc<WorkloadRef>> {
        match event {
            Event::Init => self.listed = Some(HashMap::new()),
            Event::InitApply(budget) => {
                let key = key(&budget.namespace, &budget.name);
                let expected = self.budgets.get(&key).and_then(|known| known.expected);
                self.listed.get_or_insert_default().insert(key, Known { expected, ..Known::new(budget) });
            }
            Event::InitDone => {
                let before = std::mem::replace(&mut self.budgets, self.listed.take().unwrap_or_default());
                self.seen = self.budgets.values().filter_map(|known| known.resource_version).max();
                let gone = before.iter().filter(|(key, _)| !self.budgets.contains_key(*key)).map(|(_, known)| known);
                let changed = self.budgets.values().filter(|known| !known.is_right());
                return gone.chain(changed).filter_map(|known| known.workload.clone()).collect();
            }
            Event::Apply(budget) => {
                self.seen = self.seen.max(resource_version(budget));
                let key = key(&budget.namespace, &budget.name);
                let expected = self.budgets.get(&key).and_then(|known| known.expected);
                let known = Known { expected, ..Known::new(budget) };
                let changed = known.workload.clone().filter(|_| !known.is_right());
                self.budgets.insert(key, known);
                return changed.into_iter().collect();
            }
            Event::Delete(budget) => {
                self.seen = self.seen.max(resource_version(budget));
                self.budgets.remove(&key(&budget.namespace, &budget.name));
                return budget.workload.clone().into_iter().collect();
            }
        }
        Vec::new()
    }

    /// The resource does not exist. Returns the workloads that had a budget.
    pub(super) fn clear(&mut self) -> Vec<Arc<WorkloadRef>> {
        let budgets = std::mem::take(self).budgets;
        budgets.into_values().filter_map(|known| known.workload).collect()
    }

    pub(super) fn has(&self, workload: &WorkloadRef) -> bool {
        self.budgets.contains_key(&key_of(workload))
    }

    /// Keeps what a workload's budget should say.
    pub(super) fn expect(&mut self, workload: &WorkloadRef, uid: &str, computed: &Computed) -> Found {
        let Some(known) = self.budgets.get_mut(&key_of(workload)) else { return Found::Different };
        let (fingerprint, carried) = (computed.fingerprint(), carried(computed));
        let same = known.expected.filter(|expected| expected.fingerprint == fingerprint);
        let stored_as = same.and_then(|expected| expected.stored_as);
        let is_same = known.owner == in_process(&Some(uid));
        let created = known.expected.filter(|_| is_same).and_then(|expected| expected.created);
        let created = computed.created().or(created);
        known.expected = Some(Expected { fingerprint, carried, stored_as, created });
        if !is_same {
            Found::Different
        } else if known.is_right() {
            Found::Right
        } else if known.content == computed.content_fingerprint() {
            Found::Alike
        } else {
            Found::Different
        }
    }

    /// Whether a budget says what it should, as far as is known.
    pub(super) fn is_right(&self, workload: &WorkloadRef) -> bool {
        self.budgets.get(&key_of(workload)).is_none_or(Known::is_right)
    }

    /// A budget that was read and then stored like this.
    pub(super) fn stored(
        &mut self,
        workload: &Arc<WorkloadRef>,
        read: &Budget,
        stored: &Budget,
        computed: Option<&Computed>,
    ) {
        let key = key_of(workload);
        let known = self.budgets.get_mut(&key);
        let before = known.as_ref().and_then(|known| known.expected);
        let now = Some(version(stored));
        let expected = match (before, computed) {
            // A later evaluation may already expect something else.
            (Some(before), Some(computed)) if before.fingerprint == computed.fingerprint() => {
                Some(Expected { stored_as: now, ..before })
            }
            (None, Some(computed)) => {
                let (fingerprint, carried) = (computed.fingerprint(), carried(computed));
                Some(Expected { fingerprint, carried, stored_as: now, created: computed.created() })
            }
            // What an earlier evaluation said was copied, unless somebody changed it.
            (Some(before), None) => {
                let stored_as = now.filter(|_| before.stored_as == Some(version(read)));
                Some(Expected { stored_as, ..before })
            }
            (before, _) => before,
        };
        // The API server orders the versions of a resource as numbers. The watch may report somebody else's change before the
        // answer to the write arrives.
        let is_known = resource_version(stored).is_some_and(|stored| self.seen.is_some_and(|seen| seen >= stored));
        match known {
            Some(known) if is_known => known.expected = expected,
            None if is_known => {}
            _ => drop(self.budgets.insert(key, Known { expected, ..Known::new(stored) })),
        }
    }

    /// A budget was deleted.
    pub(super) fn deleted(&mut self, workload: &WorkloadRef) {
        self.budgets.remove(&key_of(workload));
    }

    /// Another replica leads from now on: what this one computed may be older.
    pub(super) fn expect_nothing(&mut self) {
        self.budgets.values_mut().for_each(|known| known.expected = None);
    }

    /// When an Event about kills of a workload is due that was withheld.
    pub(super) fn event_due(&self, workload: &WorkloadRef) -> Option<Timestamp> {
        self.budgets.get(&key_of(workload))?.event_due
    }

    /// See [`carried`]; `None` if that is not known.
    pub(super) fn carried(&self, workload: &WorkloadRef) -> Option<u64> {
        Some(self.budgets.get(&key_of(workload))?.expected?.carried)
    }

    /// When a workload was created; `None` if that is not known.
    pub(super) fn created(&self, workload: &WorkloadRef) -> Option<Timestamp> {
        self.budgets.get(&key_of(workload))?.expected?.created
    }

    /// Whether a budget belongs to a workload with another UID.
    pub(super) fn is_of_another(&self, workload: &WorkloadRef, uid: &str) -> bool {
        self.budgets.get(&key_of(workload)).is_some_and(|known| known.owner != in_process(&Some(uid)))
    }

    /// Forgets the pods that a budget counts, if they cannot be all of this number. Returns whether it did.
    pub(super) fn count_again(&mut self, workload: &WorkloadRef, number: u32) -> bool {
        let Some(known) = self.budgets.get_mut(&key_of(workload)) else { return false };
        let others = |pods: Pods| number.saturating_sub(pods.current.saturating_add(pods.old));
        known.pods.take_if(|pods| others(*pods) != pods.none).is_some()
    }

    /// The pods that a budget counts.
    pub(super) fn pods(&self, workload: &WorkloadRef) -> Option<Pods> {
        self.budgets.get(&key_of(workload))?.pods
    }
}

/// The budget that the pods of a workload should carry; 0, which is none, without an injection.
pub(super) fn carried(computed: &Computed) -> u64 {
    computed.carried().unwrap_or_default()
}

fn event_due(status: &ShutdownBudgetStatus) -> Option<Timestamp> {
    // Most have none, and need not be read for it.
    status.shutdowns.as_ref().filter(|shutdowns| shutdowns.killed > 0)?;
    let now = clock();
    Some(now.plus(status.event_due_in(now)?))
}

fn resource_version(budget: &Budget) -> Option<u64> {
    budget.resource_version.as_ref()?.parse().ok()
}

fn version(budget: &Budget) -> u64 {
    in_process(&(&budget.uid, &budget.resource_version))
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

fn key_of(workload: &WorkloadRef) -> String {
    key(&workload.namespace, &name(workload.kind, &workload.name))
}

#[cfg(test)]
mod tests;
