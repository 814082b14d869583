//! Removes injected fields that still have the injected value and that the owner did not write.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use super::ownership::{FieldOwner, FieldOwners, GracePeriodOwner};
use super::probe::OwnedProbe;
use super::record::{Created, GracePeriodChange, Record};
use super::variables;
use crate::annotations::{INJECTED, MANAGED};
use crate::fingerprint;
use crate::object::{GRACE_PERIOD_FIELD, Template, TemplateMut};

/// A template without injected fields.
#[derive(Clone, Debug)]
pub struct BareTemplate<'a> {
    /// The template without the injected fields.
    pub template: Cow<'a, Value>,
    /// The record that was removed.
    pub record: Option<Record>,
    /// Whether all fields in the record still had the injected value. A field that was changed since is the user's.
    pub intact: bool,
    /// The containers whose owner wrote a part of the probe that is not valid without the injected part.
    pub(crate) incomplete_probes: Vec<String>,
    /// The explicit grace period that was raised.
    pub(crate) raised: Option<Raised>,
    fingerprint: OnceCell<String>,
}

impl<'a> BareTemplate<'a> {
    fn new(template: Cow<'a, Value>, record: Option<Record>, intact: bool) -> Self {
        Self { template, record, intact, incomplete_probes: Vec::new(), raised: None, fingerprint: OnceCell::new() }
    }

    /// A template with an unreadable record: all its values are treated as the user's.
    #[must_use]
    pub fn without_record(template: Template<'a>) -> Self {
        let mut template = template.value().clone();
        let mut fields = TemplateMut(&mut template);
        let annotations = fields.metadata().and_then(|metadata| metadata.get_mut("annotations"));
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.shift_remove(INJECTED);
        }
        Self::new(Cow::Owned(template), None, false)
    }

    /// The same with the raised grace period that may be the owner's by now; `None` if there is none.
    pub(crate) fn with_applied_grace_period(&self) -> Option<Self> {
        let kept = self.raised?.kept?;
        let mut template = self.template.clone().into_owned();
        TemplateMut(&mut template).pod_spec()?.insert(GRACE_PERIOD_FIELD.to_owned(), json!(kept));
        let same = Self::new(Cow::Owned(template), self.record.clone(), false);
        Some(Self { incomplete_probes: self.incomplete_probes.clone(), ..same })
    }

    /// A hash of the template, computed once.
    pub fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| fingerprint::of_json(&self.template))
    }
}

/// An explicit grace period that was raised, and is undone in the bare template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    /// The grace period of the owner.
    pub(crate) was: i64,
    /// The current one, if its field belongs to a server-side apply: it may be the owner's by now, and `managedFields` has no
    /// values. The next apply of the owner sets the field anyway.
    pub(crate) kept: Option<i64>,
}

/// Undoes the injection that a record describes. Fields that the owner has set since are kept, even if they have the
/// injected value.
#[must_use]
pub fn undo<'a>(template: Template<'a>, record: Option<Record>, owners: &FieldOwners<'_>) -> BareTemplate<'a> {
    let Some(record) = record else { return BareTemplate::new(Cow::Borrowed(template.value()), None, true) };
    let mut bare = template.value().clone();
    let fields = &mut TemplateMut(&mut bare);
    let containers = template.containers();
    let recorded = containers.keys().copied();
    let recorded = recorded.filter(|name| record.names(name));
    let owners_of = owners.of_containers(recorded);
    let find = |name: &str| Some((containers.get(name)?.0, *owners_of.get(name)?));
    let mut intact = true;
    let mut incomplete_probes = Vec::new();
    for (name, seconds) in &record.pre_stop {
        let created_lifecycle = record.lifecycle.contains(name);
        intact &= find(name).is_some_and(|(position, owner)| {
            let container = fields.container_at(position);
            container.is_some_and(|container| {
                undo_pre_stop(container, *seconds, created_lifecycle, owner.field("lifecycle"))
            })
        });
    }
    for (name, probe) in &record.readiness {
        let probe = find(name).and_then(|(position, owner)| {
            undo_readiness(fields.container_at(position)?, probe.as_object()?, owner.field("readinessProbe"))
        });
        match probe {
            Some(OwnedProbe { fields, intact: true }) if fields.is_empty() => {}
            Some(probe) if !probe.fields.is_empty() && !probe.is_complete() => {
                intact &= probe.intact;
                incomplete_probes.push(name.clone());
            }
            _ => intact = false,
        }
    }
    for (name, injected) in &record.env {
        let created = record.created_env.contains(name);
        intact &= find(name).is_some_and(|(position, owner)| {
            let container = fields.container_at(position);
            container.is_some_and(|container| variables::remove(container, *injected, created, owner))
        });
    }
    let mut raised = None;
    if let Some(change) = record.grace_period {
        let owner = owners.grace_period_owner(template);
        let may_undo = match owner {
            None => true,
            Some(GracePeriodOwner::Apply) => change.explicit,
            Some(GracePeriodOwner::LastApplied) => false,
        };
        let undone = may_undo && undo_grace_period(fields, change);
        if undone && change.explicit {
            raised = change.was.map(|was| Raised { was, kept: owner.map(|_| change.set) });
        }
        intact &= undone;
    }
    intact &= undo_stamp(fields, &record);
    BareTemplate { incomplete_probes, raised, ..BareTemplate::new(Cow::Owned(bare), Some(record), intact) }
}

fn undo_grace_period(template: &mut TemplateMut<'_>, GracePeriodChange { was, set, .. }: GracePeriodChange) -> bool {
    let Some(spec) = template.pod_spec() else { return false };
    if spec.get(GRACE_PERIOD_FIELD) != Some(&json!(set)) {
        return false;
    }
    match was {
        Some(was) => drop(spec.insert(GRACE_PERIOD_FIELD.to_owned(), json!(was))),
        None => drop(spec.shift_remove(GRACE_PERIOD_FIELD)),
    }
    true
}

/// Removes the sleep from the hook. A handler beside it is the owner's: the API accepts only one.
fn undo_pre_stop(
    container: &mut Map<String, Value>,
    seconds: i64,
    created_lifecycle: bool,
    owner: FieldOwner<'_>,
) -> bool {
    let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) else { return false };
    let Some(hook) = lifecycle.get_mut("preStop").and_then(Value::as_object_mut) else { return false };
    let sleep = owner.field("preStop").field("sleep");
    if sleep.field("seconds").wrote(&json!(seconds))
        || !remove_if(hook, "sleep", |sleep| *sleep == json!({"seconds": seconds}))
    {
        return false;
    }
    let only_sleep = remove_if(lifecycle, "preStop", is_empty);
    if created_lifecycle && !owner.wrote(&json!({})) {
        remove_if(container, "lifecycle", is_empty);
    }
    only_sleep
}

/// Removes the injected fields of the probe. `None` if there is no probe.
fn undo_readiness(
    container: &mut Map<String, Value>,
    recorded: &Map<String, Value>,
    owner: FieldOwner<'_>,
) -> Option<OwnedProbe> {
    let probe = container.get_mut("readinessProbe")?;
    let kept = OwnedProbe::of(probe.as_object()?, recorded, owner.of_current(probe));
    // An empty probe has no injected field: its owner wrote it.
    if kept.fields.is_empty() && *probe != json!({}) {
        container.shift_remove("readinessProbe");
    } else {
        *probe = Value::Object(kept.fields.clone());
    }
    Some(kept)
}

fn undo_stamp(template: &mut TemplateMut<'_>, record: &Record) -> bool {
    let created = |created| record.created.contains(&created);
    let Some(metadata) = template.metadata() else { return false };
    let mut intact = true;
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove(INJECTED);
    }
    if created(Created::Label) {
        let labels = metadata.get_mut("labels").and_then(Value::as_object_mut);
        intact = labels.is_some_and(|labels| remove_if(labels, MANAGED, |label| label == "true"));
    }
    if created(Created::Labels) {
        remove_if(metadata, "labels", is_empty);
    }
    if created(Created::Annotations) {
        remove_if(metadata, "annotations", is_empty);
    }
    if created(Created::Metadata)
        && let Some(template) = template.fields()
    {
        remove_if(template, "metadata", is_empty);
    }
    intact
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

/// Removes the field if it exists and has the expected value; returns whether it did.
fn remove_if(fields: &mut Map<String, Value>, field: &str, expected: impl Fn(&Value) -> bool) -> bool {
    let found = fields.get(field).is_some_and(expected);
    if found {
        // shift, not swap: the other fields keep their order.
        fields.shift_remove(field);
    }
    found
}
