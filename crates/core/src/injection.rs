//! Applies mutations to a pod template, and removes them again.
//!
//! The template is changed as JSON, in the form in which it was received. Changes are stored in a [`Record`] on the template
//! itself, so `kubectl rollout undo` restores both.

mod injected;
mod ownership;
mod probe;
mod record;
mod undo;
mod variables;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use injected::Injected;
pub use ownership::{FieldOwners, Origin};
pub(crate) use record::MAX_SIZE as MAX_RECORD_SIZE;
pub use record::{Record, UnreadableRecord};
pub use undo::{BareTemplate, undo};

use crate::annotations::{INJECTED, MANAGED};
use crate::mutation::Mutation;
use crate::object::{GRACE_PERIOD_FIELD, TemplateMut, injectable};
use crate::policy::Resolved;
use probe::{complete, completion};
use record::{Created, GracePeriodChange};

/// The injectable fields of the template with the mutations, the label and the record.
#[must_use]
pub(crate) fn inject(bare: &BareTemplate<'_>, mutations: &[Mutation], resolved: &Resolved<'_>) -> Value {
    let mut template = injectable(&bare.template);
    let mut record = Record::new(bare.fingerprint(), resolved);
    for mutation in mutations {
        apply(&mut TemplateMut(&mut template), mutation, &mut record);
    }
    let unfinished = complete_probes(bare, &mut template, &record.readiness);
    record.readiness.extend(unfinished);
    stamp(&mut TemplateMut(&mut template), record);
    template
}

fn apply(template: &mut TemplateMut<'_>, mutation: &Mutation, record: &mut Record) {
    match mutation {
        Mutation::SetGracePeriod { to, explicit } => {
            let (set, explicit) = (to.as_i64(), *explicit);
            let Some(spec) = template.pod_spec() else { return };
            let was = spec.insert(GRACE_PERIOD_FIELD.to_owned(), json!(set)).and_then(|was| was.as_i64());
            record.grace_period = Some(GracePeriodChange { was, set, explicit });
        }
        Mutation::SetPreStopSleep { container, sleep } => {
            let Some(fields) = template.container(container) else { return };
            if !fields.get("lifecycle").is_some_and(Value::is_object) {
                fields.insert("lifecycle".to_owned(), json!({}));
                record.lifecycle.push(container.clone());
            }
            if let Some(lifecycle) = fields.get_mut("lifecycle").and_then(Value::as_object_mut) {
                lifecycle.insert("preStop".to_owned(), json!({"sleep": {"seconds": sleep.as_i64()}}));
                record.pre_stop.insert(container.clone(), sleep.as_i64());
            }
        }
        Mutation::SetReadinessProbe { container, probe } => {
            let Some(fields) = template.container(container) else { return };
            // Serialization of a probe cannot fail: it contains only numbers and strings.
            let Ok(Value::Object(probe)) = serde_json::to_value(probe) else { return };
            if let Some(added) = complete_probe(fields, &probe) {
                record.readiness.insert(container.clone(), added);
            }
        }
        Mutation::SetVariables { container, variables } => {
            let Some(fields) = template.container(container) else { return };
            if variables::add(fields, *variables) {
                record.created_env.push(container.clone());
            }
            record.env.insert(container.clone(), *variables);
        }
    }
}

/// The injectable fields of the template without an injection.
#[must_use]
pub(crate) fn without_injection(bare: &BareTemplate<'_>) -> Value {
    let mut template = injectable(&bare.template);
    complete_probes(bare, &mut template, &BTreeMap::new());
    if let Some(kept) = bare.raised.and_then(|raised| raised.kept)
        && let Some(spec) = TemplateMut(&mut template).pod_spec()
    {
        spec.insert(GRACE_PERIOD_FIELD.to_owned(), json!(kept));
    }
    template
}

/// Completes the parts of a probe that the owner wrote with what the last record contains, and returns the added fields by
/// container. Without them, the API server would reject the template.
fn complete_probes(
    bare: &BareTemplate<'_>,
    template: &mut Value,
    completed: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let recorded = |name: &String| Some(completion(bare.record.as_ref()?.readiness.get(name)?.as_object()?));
    let unfinished = bare.incomplete_probes.iter().filter(|name| !completed.contains_key(*name));
    let mut template = TemplateMut(template);
    let added = |name: &String| Some((name.clone(), complete_probe(template.container(name)?, &recorded(name)?)?));
    unfinished.filter_map(added).collect()
}

/// Adds the fields that the readiness probe of a container lacks, and returns them.
fn complete_probe(container: &mut Map<String, Value>, missing: &Map<String, Value>) -> Option<Value> {
    let mut probe = container.get("readinessProbe").and_then(Value::as_object).cloned().unwrap_or_default();
    let added = complete(&mut probe, missing)?;
    container.insert("readinessProbe".to_owned(), Value::Object(probe));
    Some(Value::Object(added))
}

fn stamp(template: &mut TemplateMut<'_>, mut record: Record) {
    let Some(fields) = template.fields() else { return };
    if !fields.get("metadata").is_some_and(Value::is_object) {
        fields.insert("metadata".to_owned(), json!({}));
        record.created.push(Created::Metadata);
    }
    let Some(metadata) = template.metadata() else { return };
    for (field, created) in [("labels", Created::Labels), ("annotations", Created::Annotations)] {
        if !metadata.get(field).is_some_and(Value::is_object) {
            metadata.insert(field.to_owned(), json!({}));
            record.created.push(created);
        }
    }
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut)
        && !labels.contains_key(MANAGED)
    {
        labels.insert(MANAGED.to_owned(), json!("true"));
        record.created.push(Created::Label);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.insert(INJECTED.to_owned(), Value::String(record.into_text()));
    }
}

#[cfg(test)]
mod tests;
