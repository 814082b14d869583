//! The policies as the watch last reported them.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::json;

use winddown_core::policy::{InvalidPolicy, Policies, Policy, ShutdownPolicyStatus};

/// More policies than this do not count, so that the time of a review is bounded.
const MAX_POLICIES: usize = 1000;

/// One `ShutdownPolicy`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) generation: Option<i64>,
    pub(super) resource_version: Option<String>,
    /// Why it does not count, if it cannot be read.
    pub(super) policy: Result<Policy, InvalidPolicy>,
    pub(super) status: ShutdownPolicyStatus,
}

pub(super) type Entries = BTreeMap<String, Entry>;

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Entries,
    /// The part of a list that has arrived.
    listed: Option<Entries>,
}

impl Table {
    /// Returns whether the table has changed: a list counts when it is complete.
    pub(super) fn apply(&mut self, event: Event<DynamicObject>) -> bool {
        match event {
            Event::Init => self.listed = Some(Entries::new()),
            Event::InitApply(policy) => {
                let before = &self.entries;
                put(self.listed.get_or_insert_default(), policy, |name| before.get(name));
            }
            Event::InitDone => self.entries = self.listed.take().unwrap_or_default(),
            Event::Apply(policy) => {
                let before = policy.metadata.name.as_ref().and_then(|name| self.entries.get(name)).cloned();
                put(&mut self.entries, policy, |_| before.as_ref());
            }
            Event::Delete(policy) => {
                if let Some(name) = &policy.metadata.name {
                    self.entries.remove(name);
                }
            }
        }
        self.listed.is_none()
    }

    /// The resource does not exist, so there are no policies.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Those that can be read.
    pub(super) fn policies(&self) -> Policies {
        Policies::new(self.entries.values().filter_map(|entry| entry.policy.as_ref().ok().cloned()).collect())
    }
}

fn put<'a>(entries: &mut Entries, object: DynamicObject, before: impl FnOnce(&str) -> Option<&'a Entry>) {
    let Some(name) = object.metadata.name.clone() else { return };
    if entries.len() >= MAX_POLICIES && !entries.contains_key(&name) {
        tracing::warn!(policy = name, "does not count: there are more than {MAX_POLICIES} ShutdownPolicies");
        return;
    }
    let entry = Entry::from(object);
    let known = before(&name).and_then(|before| before.policy.as_ref().err());
    if let Err(invalid) = &entry.policy
        && known != Some(invalid)
    {
        tracing::warn!(policy = name, error = %invalid, "does not count until it is corrected");
    }
    entries.insert(name, entry);
}

impl From<DynamicObject> for Entry {
    fn from(DynamicObject { metadata, mut data, .. }: DynamicObject) -> Self {
        let identity = json!({"name": metadata.name, "creationTimestamp": metadata.creation_timestamp});
        let mut part = |name: &str| data.get_mut(name).map(serde_json::Value::take).unwrap_or_default();
        let status = serde_json::from_value(part("status")).unwrap_or_default();
        let policy = Policy::read(&json!({"metadata": identity, "spec": part("spec")}));
        Self { generation: metadata.generation, resource_version: metadata.resource_version, policy, status }
    }
}
