//! Putting a plan's mutations into a pod template, and taking them out again.
//!
//! Works on the template as JSON, exactly as it was received: a typed round trip would lose fields that this version of
//! the API types does not know. What was put in is written down in a [`Record`] that travels with the template, so that
//! `kubectl rollout undo` brings back a template together with its own record.

pub(crate) mod ownership;
mod record;
mod undo;

use serde_json::{Map, Value, json};

pub use record::{Record, UnreadableRecord};
pub use undo::{Bare, Place, undo};

use crate::annotations::{Declaration, INJECTED, MANAGED};
use crate::mutation::Mutation;
use crate::policy::Policy;
use record::{GracePeriodChange, Made};

/// The template with the mutations made, and with the label and the record that say so.
#[must_use]
pub fn inject(bare: &Value, mutations: &[Mutation], declaration: &Declaration, policy: &Policy) -> Value {
    let mut template = bare.clone();
    let mut record = Record::new(bare, declaration, policy);
    for mutation in mutations {
        apply(&mut template, mutation, &mut record);
    }
    stamp(&mut template, record);
    template
}

fn apply(template: &mut Value, mutation: &Mutation, record: &mut Record) {
    match mutation {
        Mutation::SetGracePeriod(set) => {
            let Some(spec) = object(template, "spec") else { return };
            let was = spec.insert("terminationGracePeriodSeconds".to_owned(), json!(set.as_i64()));
            record.grace_period = Some(GracePeriodChange { was: was.and_then(|was| was.as_i64()), set: set.as_i64() });
        }
        Mutation::SetPreStopSleep { container, sleep } => {
            let Some(fields) = find_container(template, container) else { return };
            if !fields.get("lifecycle").is_some_and(Value::is_object) {
                fields.insert("lifecycle".to_owned(), json!({}));
                record.lifecycle.push(container.clone());
            }
            if let Some(lifecycle) = fields.get_mut("lifecycle").and_then(Value::as_object_mut) {
                lifecycle.insert("preStop".to_owned(), pre_stop(sleep.as_i64()));
                record.pre_stop.insert(container.clone(), sleep.as_i64());
            }
        }
        Mutation::SetReadinessProbe { container, probe } => {
            let Some(fields) = find_container(template, container) else { return };
            // A probe of numbers and strings always has a JSON form.
            let Ok(probe) = serde_json::to_value(probe) else { return };
            fields.insert("readinessProbe".to_owned(), probe.clone());
            record.readiness.insert(container.clone(), probe);
        }
    }
}

fn stamp(template: &mut Value, mut record: Record) {
    let Some(template) = template.as_object_mut() else { return };
    if !template.get("metadata").is_some_and(Value::is_object) {
        template.insert("metadata".to_owned(), json!({}));
        record.made.push(Made::Metadata);
    }
    let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for (field, made) in [("labels", Made::Labels), ("annotations", Made::Annotations)] {
        if !metadata.get(field).is_some_and(Value::is_object) {
            metadata.insert(field.to_owned(), json!({}));
            record.made.push(made);
        }
    }
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut)
        && !labels.contains_key(MANAGED)
    {
        labels.insert(MANAGED.to_owned(), json!("true"));
        record.made.push(Made::Label);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.insert(INJECTED.to_owned(), Value::String(record.to_string()));
    }
}

/// The hook as the API server writes it back.
fn pre_stop(seconds: i64) -> Value {
    json!({"sleep": {"seconds": seconds}})
}

fn object<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Map<String, Value>> {
    value.get_mut(field)?.as_object_mut()
}

fn find_container<'a>(template: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    let containers = object(template, "spec")?.get_mut("containers")?.as_array_mut()?;
    containers
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .find(|container| container.get("name").and_then(Value::as_str) == Some(name))
}

#[cfg(test)]
mod tests;
