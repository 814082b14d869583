//! Removes injected fields that still have the injected value.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use super::ownership::OwnedFields;
use super::record::{Created, GracePeriodChange, Record, pre_stop};
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
    fingerprint: OnceCell<String>,
}

impl<'a> BareTemplate<'a> {
    fn new(template: Cow<'a, Value>, record: Option<Record>, intact: bool) -> Self {
        Self { template, record, intact, fingerprint: OnceCell::new() }
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

    /// A hash of the template, computed once.
    pub fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| fingerprint::of_json(&self.template))
    }
}

/// Undoes the injection that a record describes. Fields that the owner has set since are kept, even if they have the
/// injected value.
#[must_use]
pub fn undo<'a>(template: Template<'a>, record: Option<Record>, owned: &OwnedFields<'_>) -> BareTemplate<'a> {
    let Some(record) = record else { return BareTemplate::new(Cow::Borrowed(template.value()), None, true) };
    let mut bare = template.value().clone();
    let fields = &mut TemplateMut(&mut bare);
    let containers = template.containers();
    let position = |container: &str| containers.get(container).map(|(position, _)| *position);
    let mut intact = true;
    if let Some(change) = record.grace_period {
        intact &= !owned.grace_period && undo_grace_period(fields, change);
    }
    for (container, seconds) in &record.pre_stop {
        let created_lifecycle = record.lifecycle.contains(container);
        intact &= !owned.pre_stops.contains(container.as_str())
            && undo_pre_stop(fields, position(container), *seconds, created_lifecycle);
    }
    for (container, probe) in &record.readiness {
        intact &= !owned.probes.contains(container.as_str()) && undo_readiness(fields, position(container), probe);
    }
    intact &= undo_stamp(fields, &record);
    BareTemplate::new(Cow::Owned(bare), Some(record), intact)
}

fn undo_grace_period(template: &mut TemplateMut<'_>, GracePeriodChange { was, set }: GracePeriodChange) -> bool {
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

fn undo_pre_stop(
    template: &mut TemplateMut<'_>,
    container: Option<usize>,
    seconds: i64,
    created_lifecycle: bool,
) -> bool {
    let Some(fields) = container.and_then(|position| template.container_at(position)) else { return false };
    let Some(lifecycle) = fields.get_mut("lifecycle").and_then(Value::as_object_mut) else { return false };
    if !remove_if(lifecycle, "preStop", |hook| *hook == pre_stop(seconds)) {
        return false;
    }
    if created_lifecycle {
        remove_if(fields, "lifecycle", is_empty);
    }
    true
}

fn undo_readiness(template: &mut TemplateMut<'_>, container: Option<usize>, probe: &Value) -> bool {
    let fields = container.and_then(|position| template.container_at(position));
    fields.is_some_and(|fields| remove_if(fields, "readinessProbe", |found| found == probe))
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
