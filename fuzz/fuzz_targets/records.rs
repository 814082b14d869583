//! Workloads with arbitrary records. Records are user input, and undoing them must not damage the template.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::{Corpus, fuzz_crossover, fuzz_mutator, fuzz_target};
use serde_json::{Value, json};
use winddown_core::annotations::{INJECTED, MANAGED};
use winddown_core::evaluation::Origin;
use winddown_core::injection::{BareTemplate, FieldOwners, Record, UnreadableRecord, undo};
use winddown_core::object::{Object, Template};
use winddown_fuzz::{defaults, document, laws, mutation};

/// The grace period of a pod that does not set one, in seconds.
const DEFAULT: i64 = 30;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some(workload) = document::read(data) else { return Corpus::Reject };
    let Some(template) = workload.pointer("/spec/template").filter(|template| template.is_object()) else {
        return Corpus::Reject;
    };
    match Record::of(Template::new(template)) {
        Ok(record) => {
            let bare = undo(Template::new(template), record.clone(), &FieldOwners::of(Object::new(&Value::Null)));
            undo_changes_only_injected_fields(template, &bare);
            a_second_undo_changes_nothing(&bare);
            if let Some(record) = record {
                a_record_round_trips(template, &record);
                fields_of_the_owner_are_kept(template, record);
            }
        }
        Err(UnreadableRecord::Version(_)) => a_record_of_another_version_is_not_changed(&workload),
        Err(UnreadableRecord::Malformed | UnreadableRecord::TooLarge(_)) => {
            let bare = BareTemplate::without_record(Template::new(template));
            a_second_undo_changes_nothing(&bare);
            assert_eq!(bare.template["spec"], template["spec"], "an unreadable record is undone");
        }
    }
    let _ = laws::hold_for(&workload);
    Corpus::Keep
});

/// For any record, undo removes only sleeps, probes, exposed variables, the grace period, the label and the record.
fn undo_changes_only_injected_fields(template: &Value, bare: &BareTemplate<'_>) {
    assert_eq!(without_injected_fields(template), without_injected_fields(&bare.template));
    let grace_period = |template: &Value| template["spec"].get("terminationGracePeriodSeconds").cloned();
    let (before, after) = (grace_period(template), grace_period(&bare.template));
    if before != after {
        let number = |value: &Option<Value>| value.as_ref().map_or(Some(DEFAULT), Value::as_i64);
        assert!(number(&before) > number(&after), "{before:?} was not raised from {after:?}");
        // Only a policy raises an explicit value, and the record then says so.
        let explicit =
            template["metadata"]["annotations"][INJECTED].as_str().is_some_and(|text| text.contains("explicit"));
        assert!(explicit || number(&after) == Some(DEFAULT), "{before:?} became {after:?}");
    }
    for (before, after) in containers(template).zip(containers(&bare.template)) {
        let hook = |container: &Value| container.pointer("/lifecycle/preStop").cloned();
        if hook(before) != hook(after) {
            assert!(hook(before).is_some_and(|hook| hook.pointer("/sleep/seconds").is_some_and(Value::is_i64)));
            assert!(hook(after).is_none_or(|hook| hook.get("sleep").is_none()));
        }
        let variables = |container: &Value| container["env"].as_array().cloned().unwrap_or_default();
        let mut left = variables(after).into_iter().peekable();
        let removed: Vec<_> =
            variables(before).into_iter().filter(|variable| left.next_if_eq(variable).is_none()).collect();
        assert!(removed.iter().all(laws::is_exposed), "{removed:?} were removed");
        assert_eq!(left.next(), None, "variables were added or moved");
    }
}

fn a_second_undo_changes_nothing(bare: &BareTemplate<'_>) {
    let template = Template::new(&bare.template);
    let record = Record::of(template).expect("the record was removed");
    assert_eq!(record, None);
    assert_eq!(undo(template, record, &FieldOwners::of(Object::new(&Value::Null))).template, bare.template);
}

/// Undo keeps the fields that the owner of the workload applied. It may write defaults of the API.
fn fields_of_the_owner_are_kept(template: &Value, record: Record) {
    let names: BTreeSet<_> = containers(template).map(|container| container["name"].as_str()).collect();
    // Field managers know containers by their names, so the API server accepts each name once.
    if names.len() < containers(template).count() {
        return;
    }
    let applied = json!({"f:spec": {"f:template": {"f:spec": applied_pod(template)}}});
    let object = json!({"metadata": {"managedFields": [{"operation": "Apply", "fieldsV1": applied}]}});
    let bare = undo(Template::new(template), Some(record), &FieldOwners::of(Object::new(&object)));
    let explicit = raises_explicit(template);
    let pod = |template: &Value| {
        let workload = json!({"spec": {"template": template}});
        let mut pod = defaults::filled_in(&workload)["spec"]["template"]["spec"].clone();
        // Field owners have no values, so the value that the owner applied is the one of the record.
        if explicit {
            remove(&mut pod, "", "terminationGracePeriodSeconds");
        }
        pod
    };
    assert_eq!(pod(&bare.template), pod(template), "all fields belong to the owner");
}

/// Whether the record says that a policy raised an explicit grace period.
fn raises_explicit(template: &Value) -> bool {
    template["metadata"]["annotations"][INJECTED].as_str().is_some_and(|record| record.contains("explicit"))
}

/// All injectable fields of the pod spec, as in `fieldsV1`.
fn applied_pod(template: &Value) -> Value {
    let fields = |container: &Value| {
        let name = container.get("name")?.as_str()?;
        let names = container["env"].as_array().into_iter().flatten().filter_map(|variable| variable.get("name"));
        let variables: serde_json::Map<_, _> =
            names.map(|name| (format!("k:{}", json!({"name": name})), json!({"f:name": {}, "f:value": {}}))).collect();
        let fields = json!({
            "f:lifecycle": applied(&container["lifecycle"]),
            "f:readinessProbe": applied(&container["readinessProbe"]),
            "f:env": variables,
        });
        Some((format!("k:{}", json!({"name": name})), fields))
    };
    let containers: serde_json::Map<_, _> = containers(template).filter_map(fields).collect();
    json!({"f:terminationGracePeriodSeconds": {}, "f:containers": containers})
}

fn applied(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    fields.map(|(key, value)| (format!("f:{key}"), applied(value))).collect::<serde_json::Map<_, _>>().into()
}

fn a_record_round_trips(template: &Value, record: &Record) {
    let mut rewritten = template.clone();
    rewritten["metadata"]["annotations"][INJECTED] = json!(record.to_string());
    assert_eq!(Record::of(Template::new(&rewritten)).expect("the record was readable before").as_ref(), Some(record));
}

/// Only the version that wrote the record can undo it.
fn a_record_of_another_version_is_not_changed(workload: &Value) {
    if let Ok(evaluation) = laws::evaluated(workload, Origin::ApiServer) {
        assert_eq!(evaluation.changes.apply(workload), *workload);
    }
}

fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    template.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten()
}

fn without_injected_fields(template: &Value) -> Value {
    let mut template = template.clone();
    for container in template.pointer_mut("/spec/containers").and_then(Value::as_array_mut).into_iter().flatten() {
        remove(container, "", "readinessProbe");
        remove(container, "/lifecycle", "preStop");
        remove_if_empty(container, "", "lifecycle");
        remove(container, "", "env");
    }
    remove(&mut template, "/spec", "terminationGracePeriodSeconds");
    for (fields, key) in [("annotations", INJECTED), ("labels", MANAGED)] {
        remove(&mut template, &format!("/metadata/{fields}"), key);
        remove_if_empty(&mut template, "/metadata", fields);
    }
    remove_if_empty(&mut template, "", "metadata");
    template
}

fn remove(value: &mut Value, pointer: &str, key: &str) {
    if let Some(fields) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        fields.shift_remove(key);
    }
}

fn remove_if_empty(value: &mut Value, pointer: &str, key: &str) {
    let field = value.pointer(pointer).and_then(|fields| fields.get(key));
    if field.and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
        remove(value, pointer, key);
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutation::cross(one, other, out, seed) });
