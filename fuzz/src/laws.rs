//! What holds for every workload, however odd. Broken laws panic, which is what the fuzzer looks for.

use serde_json::{Map, Value};
use winddown_core::annotations::{INJECTED, MANAGED, Mode, PREFIX};
use winddown_core::finding::Finding;
use winddown_core::patch;
use winddown_core::policy::Policy;
use winddown_core::report::{self, Seen};
use winddown_core::evaluation::{Before, Origin, Settlement, replaces_pods, settle};

use crate::defaults;

/// The API takes Events with notes of up to so many bytes.
const LONGEST_NOTE: usize = 1024;

/// All laws of one workload, as it would come from a file and from an API server; tells whether it can be read at all.
#[must_use]
pub fn hold_for(workload: &Value) -> bool {
    for origin in [Origin::File, Origin::ApiServer] {
        let Ok(settlement) = settled(workload, origin) else { return false };
        it_settles_once(&settlement.desired, origin, has_claims(workload));
        the_patch_gives_what_was_planned(workload, &settlement.desired);
        it_is_told_in_few_words(workload, &settlement);
        if !has_traces(workload) {
            what_was_written_survives(workload, &settlement.desired);
            what_is_enforced_fits(&settlement);
            if !has_claims(workload) {
                undo_gives_back_what_was_there(workload, &settlement.desired, origin);
            }
        }
    }
    if !has_traces(workload) && !has_claims(workload) {
        defaults_change_nothing(workload);
    }
    true
}

/// As a workload that is just being made.
pub fn settled(workload: &Value, origin: Origin) -> Result<Settlement, String> {
    settle(workload, Before::Nothing, &Policy::default(), origin).map_err(|unreadable| unreadable.to_string())
}

/// Settling again replaces no pods, and comes to rest: at once, unless metadata that claims a field and the template
/// contradict each other.
pub fn it_settles_once(desired: &Value, origin: Origin, claimed: bool) {
    let again = settled(desired, origin).expect("what could be read can be read again").desired;
    assert!(!replaces_pods(desired, &again), "settling again replaces pods: {desired} becomes {again}");
    if claimed {
        let once_more = settled(&again, origin).expect("what could be read can be read again").desired;
        assert_eq!(again, once_more, "never comes to rest");
    } else {
        assert_eq!(*desired, again, "settling again changes something");
    }
}

/// The API server, which applies the patch, comes to the same object.
pub fn the_patch_gives_what_was_planned(workload: &Value, desired: &Value) {
    let mut patched = workload.clone();
    json_patch::patch(&mut patched, &patch::between(workload, desired)).expect("the patch applies");
    assert_eq!(patched, *desired, "the patch leads elsewhere");
}

/// Nothing a user wrote is overwritten or lowered.
fn what_was_written_survives(workload: &Value, desired: &Value) {
    let pod = |workload: &Value| workload["spec"]["template"]["spec"].clone();
    let (before, after) = (pod(workload), pod(desired));
    assert_eq!(before["initContainers"], after["initContainers"]);
    for (at, container) in before["containers"].as_array().into_iter().flatten().enumerate() {
        for pointer in ["/lifecycle/preStop", "/readinessProbe"] {
            let theirs = container.pointer(pointer).filter(|theirs| !theirs.is_null());
            let stands = after["containers"][at].pointer(pointer);
            assert!(theirs.is_none() || theirs == stands, "{pointer} of {container} became {stands:?}");
        }
    }
    let grace_period = |pod: &Value| pod["terminationGracePeriodSeconds"].as_i64();
    assert!(grace_period(&before) <= grace_period(&after), "a grace period was lowered or lost");
}

fn what_is_enforced_fits(settlement: &Settlement) {
    let Some(budget) = &settlement.budget else { return };
    let errors = settlement.findings.iter().any(Finding::is_error);
    assert!(budget.fits() || errors, "{budget} does not fit, and no error says so");
    if !errors && settlement.mode == Mode::Enforce {
        let stands = &settlement.desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
        let stands = stands.as_i64().unwrap_or(30).clamp(0, u32::MAX.into());
        assert_eq!(stands, budget.grace_period.as_i64(), "{budget}, but that is not what stands there");
    }
}

fn undo_gives_back_what_was_there(workload: &Value, desired: &Value, origin: Origin) {
    let bare = settled(&undeclared(desired), origin).expect("what could be read can be read again").desired;
    assert_eq!(without_nothings(bare), without_nothings(undeclared(workload)), "undo gives back something else");
}

/// A manifest gets the same findings from a file as from an API server, which has filled in what was left out.
fn defaults_change_nothing(workload: &Value) {
    let grace_period = workload.pointer("/spec/template/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    // From an API server, 30 is nobody's.
    if grace_period == Some(30) {
        return;
    }
    let (Ok(from_file), Ok(from_server)) =
        (settled(workload, Origin::File), settled(&defaults::filled_in(workload), Origin::ApiServer))
    else {
        return;
    };
    assert_eq!(from_file.findings, from_server.findings, "defaults make a difference");
}

/// What is said is one line each, and an Event takes it.
fn it_is_told_in_few_words(workload: &Value, settlement: &Settlement) {
    plainly(&settlement.findings);
    for event in report::events(None, &Seen::new(workload, settlement), true) {
        assert!(event.note.len() <= LONGEST_NOTE, "an Event of {} bytes", event.note.len());
    }
}

/// A finding is one line, whatever the names in it: it goes into HTTP headers, logs and terminals.
pub fn plainly(findings: &[Finding]) {
    for finding in findings {
        let control = finding.to_string().chars().find(|char| char.is_control());
        assert_eq!(control, None, "{finding:?}");
        assert!(!finding.message.is_empty() && !finding.field.is_empty(), "{finding:?}");
    }
}

/// The workload as its owner has it who takes every annotation of ours away.
#[must_use]
pub fn undeclared(workload: &Value) -> Value {
    let mut workload = workload.clone();
    if let Some(annotations) = workload.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with(PREFIX));
    }
    workload
}

/// Whether Winddown was here before, or it looks so.
fn has_traces(workload: &Value) -> bool {
    let field = |pointer: &str, key: &str| workload.pointer(pointer).is_some_and(|fields| fields.get(key).is_some());
    field("/spec/template/metadata/annotations", INJECTED) || field("/spec/template/metadata/labels", MANAGED)
}

/// Whether metadata says who wrote which field.
#[must_use]
pub fn has_claims(workload: &Value) -> bool {
    let metadata = workload.get("metadata").unwrap_or(&Value::Null);
    metadata.get("managedFields").is_some()
        || metadata
            .pointer("/annotations/kubectl.kubernetes.io~1last-applied-configuration")
            .is_some_and(Value::is_string)
}

/// The same but for fields that are null, and annotations that are empty: absent, for the API server.
fn without_nothings(mut value: Value) -> Value {
    fn clean(fields: &mut Map<String, Value>) {
        fields.retain(|key, field| {
            *field = without_nothings(field.take());
            let empty = key == "annotations" && field.as_object().is_some_and(Map::is_empty);
            !(field.is_null() || empty)
        });
    }
    match &mut value {
        Value::Object(fields) => clean(fields),
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_nothings(item.take())),
        _ => {}
    }
    value
}
