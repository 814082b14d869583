//! Workloads whose record says anything at all: a record is user input, and undoing it must not do harm.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_crossover, fuzz_mutator, fuzz_target};
use serde_json::{Value, json};
use winddown_core::annotations::{INJECTED, MANAGED};
use winddown_core::injection::{Bare, Record, UnreadableRecord, undo};
use winddown_core::evaluation::Origin;
use winddown_fuzz::{document, laws, mutation};

/// What a pod gets that asks for nothing.
const DEFAULT: i64 = 30;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some(workload) = document::read(data) else { return Corpus::Reject };
    let Some(template) = workload.pointer("/spec/template").filter(|template| template.is_object()) else {
        return Corpus::Reject;
    };
    match undo(template, |_, _| false) {
        Ok(bare) => {
            it_undoes_only_what_winddown_does(template, &bare);
            it_is_undone_at_once(&bare);
        }
        Err(UnreadableRecord::Version(_)) => a_record_of_another_version_is_left_alone(&workload),
        Err(UnreadableRecord::Malformed) => {}
    }
    if let Ok(bare) = undo(template, |_, _| true) {
        assert_eq!(bare.template["spec"], template["spec"], "all of it was the owner's");
    }
    if let Ok(Some(record)) = Record::of(template) {
        it_is_written_as_it_is_read(template, &record);
    }
    let _ = laws::hold_for(&workload);
    Corpus::Keep
});

/// Whatever the record says: nothing but sleeps, probes, the grace period, label and record are taken out.
fn it_undoes_only_what_winddown_does(template: &Value, bare: &Bare) {
    assert_eq!(without_what_is_winddowns(template), without_what_is_winddowns(&bare.template));
    let grace_period = |template: &Value| template["spec"].get("terminationGracePeriodSeconds").cloned();
    let (before, after) = (grace_period(template), grace_period(&bare.template));
    if before != after {
        assert!(after.is_none() || after == Some(json!(DEFAULT)), "{before:?} became {after:?}");
        assert!(before.as_ref().and_then(Value::as_i64) > Some(DEFAULT), "{before:?} was not raised");
    }
    for (before, after) in containers(template).zip(containers(&bare.template)) {
        let hook = |container: &Value| container.pointer("/lifecycle/preStop").cloned();
        if hook(before) != hook(after) {
            assert_eq!(hook(after), None);
            assert!(hook(before).is_some_and(|hook| hook.pointer("/sleep/seconds").is_some_and(Value::is_i64)));
        }
    }
}

fn it_is_undone_at_once(bare: &Bare) {
    let again = undo(&bare.template, |_, _| false).expect("no record is left that could be unreadable");
    assert_eq!((&again.template, again.record), (&bare.template, None));
}

fn it_is_written_as_it_is_read(template: &Value, record: &Record) {
    let mut rewritten = template.clone();
    rewritten["metadata"]["annotations"][INJECTED] = json!(record.to_string());
    assert_eq!(Record::of(&rewritten).expect("a record that was read can be read again").as_ref(), Some(record));
}

/// Only who wrote it knows what to undo.
fn a_record_of_another_version_is_left_alone(workload: &Value) {
    if let Ok(settlement) = laws::settled(workload, Origin::ApiServer) {
        assert_eq!(settlement.desired, *workload);
    }
}

fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    template.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten()
}

fn without_what_is_winddowns(template: &Value) -> Value {
    let mut template = template.clone();
    for container in template.pointer_mut("/spec/containers").and_then(Value::as_array_mut).into_iter().flatten() {
        remove(container, "", "readinessProbe");
        remove(container, "/lifecycle", "preStop");
        remove_if_empty(container, "", "lifecycle");
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
