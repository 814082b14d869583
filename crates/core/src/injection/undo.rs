//! Taking out again what a record says was put in, where it still stands as it was left.

use serde_json::{Map, Value, json};

use super::record::{GracePeriodChange, Made, Record};
use super::{UnreadableRecord, find_container, object, pre_stop};
use crate::annotations::{INJECTED, MANAGED};

/// A template without anything of Winddown's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bare {
    /// The template as its owner wrote it.
    pub template: Value,
    /// The record that was taken out with the rest.
    pub record: Option<Record>,
    /// Whether everything in the record still stood as Winddown had left it. What somebody changed since is theirs now.
    pub intact: bool,
}

/// A field that Winddown may have injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// `terminationGracePeriodSeconds`.
    GracePeriod,
    /// `lifecycle.preStop` of the container of that name.
    PreStop(&'a str),
    /// `readinessProbe` of the container of that name.
    Readiness(&'a str),
}

impl Bare {
    /// A template whose record cannot be read: without the record, all that stands there is its owner's.
    #[must_use]
    pub fn without_record(template: &Value) -> Self {
        let mut template = template.clone();
        if let Some(annotations) = template.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.shift_remove(INJECTED);
        }
        Self { template, record: None, intact: false }
    }
}

/// Undoes the injection that the template's own record describes, but for what its owner wrote since, even where that is
/// the very value that was injected.
pub fn undo(template: &Value, is_the_owners: impl Fn(Place<'_>, &Value) -> bool) -> Result<Bare, UnreadableRecord> {
    let Some(record) = Record::of(template)? else {
        return Ok(Bare { template: template.clone(), record: None, intact: true });
    };
    let mut template = template.clone();
    let mut intact = true;
    if let Some(change) = record.grace_period {
        let ours = !is_the_owners(Place::GracePeriod, &json!(change.set));
        intact &= ours && undo_grace_period(&mut template, change);
    }
    for (container, seconds) in &record.pre_stop {
        let ours = !is_the_owners(Place::PreStop(container), &pre_stop(*seconds));
        let made_lifecycle = record.lifecycle.contains(container);
        intact &= ours && undo_pre_stop(&mut template, container, *seconds, made_lifecycle);
    }
    for (container, probe) in &record.readiness {
        let ours = !is_the_owners(Place::Readiness(container), probe);
        intact &= ours && undo_readiness(&mut template, container, probe);
    }
    intact &= undo_stamp(&mut template, &record);
    Ok(Bare { template, record: Some(record), intact })
}

fn undo_grace_period(template: &mut Value, GracePeriodChange { was, set }: GracePeriodChange) -> bool {
    let Some(spec) = object(template, "spec") else { return false };
    if spec.get("terminationGracePeriodSeconds") != Some(&json!(set)) {
        return false;
    }
    match was {
        Some(was) => drop(spec.insert("terminationGracePeriodSeconds".to_owned(), json!(was))),
        None => drop(spec.shift_remove("terminationGracePeriodSeconds")),
    }
    true
}

fn undo_pre_stop(template: &mut Value, container: &str, seconds: i64, made_lifecycle: bool) -> bool {
    let Some(fields) = find_container(template, container) else { return false };
    let Some(lifecycle) = fields.get_mut("lifecycle").and_then(Value::as_object_mut) else { return false };
    if !remove_if(lifecycle, "preStop", |hook| *hook == pre_stop(seconds)) {
        return false;
    }
    if made_lifecycle {
        remove_if(fields, "lifecycle", is_empty);
    }
    true
}

fn undo_readiness(template: &mut Value, container: &str, probe: &Value) -> bool {
    find_container(template, container)
        .is_some_and(|fields| remove_if(fields, "readinessProbe", |found| found == probe))
}

fn undo_stamp(template: &mut Value, record: &Record) -> bool {
    let made = |made| record.made.contains(&made);
    let Some(metadata) = object(template, "metadata") else { return false };
    let mut intact = true;
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove(INJECTED);
    }
    if made(Made::Label) {
        let labels = metadata.get_mut("labels").and_then(Value::as_object_mut);
        intact = labels.is_some_and(|labels| remove_if(labels, MANAGED, |label| label == "true"));
    }
    if made(Made::Labels) {
        remove_if(metadata, "labels", is_empty);
    }
    if made(Made::Annotations) {
        remove_if(metadata, "annotations", is_empty);
    }
    if made(Made::Metadata)
        && let Some(template) = template.as_object_mut()
    {
        remove_if(template, "metadata", is_empty);
    }
    intact
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

/// Removes the field where it is there and as expected; tells whether it was.
fn remove_if(fields: &mut Map<String, Value>, field: &str, expected: impl Fn(&Value) -> bool) -> bool {
    let found = fields.get(field).is_some_and(expected);
    if found {
        // shift, not swap: the other fields keep their order.
        fields.shift_remove(field);
    }
    found
}
