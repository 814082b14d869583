//! Invariants that hold for every workload. A violation panics, which the fuzzer reports.

use serde_json::{Map, Value};
use winddown_core::annotations::{INJECTED, MANAGED, Mode, PREFIX};
use winddown_core::decode::InvalidField;
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::finding::{Code, Finding};
use winddown_core::object::{self, Object, PartialObject};
use winddown_core::plan::lanes::Role;
use winddown_core::policy::Policy;
use winddown_core::report::{self, Current};

use crate::defaults;

/// The maximum length of an Event's note, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Checks all invariants for a workload from a file and from the API server. Returns false if it cannot be read.
#[must_use]
pub fn hold_for(workload: &Value) -> bool {
    a_partial_parse_does_not_change_the_evaluation(&workload.to_string());
    for origin in [Origin::File, Origin::ApiServer] {
        let Ok(evaluation) = evaluated(workload, origin) else { return false };
        let desired = evaluation.changes.apply(workload);
        a_second_evaluation_changes_nothing(&desired, origin, has_ownership_metadata(workload));
        the_patch_results_in_the_desired_object(workload, &evaluation);
        messages_are_short(workload, &evaluation);
        the_pod_needs_its_longest_lane(&evaluation);
        if !has_injected_metadata(workload) {
            user_fields_are_kept(workload, &desired);
            an_enforced_budget_fits(&evaluation, &desired);
            if !has_ownership_metadata(workload) {
                undo_restores_the_original(workload, &desired, origin);
            }
        }
    }
    if !has_injected_metadata(workload) && !has_ownership_metadata(workload) {
        defaults_do_not_change_findings(workload);
    }
    true
}

/// Evaluates the workload as on creation.
pub fn evaluated(workload: &Value, origin: Origin) -> Result<Evaluation, InvalidField> {
    evaluate(workload, Existing::None, &Policy::default(), origin)
}

/// The webhooks do not parse the whole object. The skipped parts do not change the evaluation.
pub fn a_partial_parse_does_not_change_the_evaluation(text: &str) {
    // Both are parsed from the same text: parsing may round a number, and the last of two equal keys counts.
    let Ok(whole) = serde_json::from_str::<Value>(text) else { return };
    let PartialObject::Read(partial) = object::parse(text).expect("the whole object is readable") else { return };
    let (from_partial, from_whole) = (evaluated(&partial, Origin::ApiServer), evaluated(&whole, Origin::ApiServer));
    assert_eq!(from_partial, from_whole, "the partial parse changes the evaluation of {text}");
    if let Ok(Evaluation { changes, .. }) = from_whole {
        let patches = (changes.patch(Object::new(&partial)), changes.patch(Object::new(&whole)));
        assert_eq!(patches.0, patches.1, "the partial parse changes the patch of {text}");
    }
}

/// A second evaluation starts no rollout and changes nothing. If the ownership metadata contradicts the template, the
/// third evaluation changes nothing.
pub fn a_second_evaluation_changes_nothing(desired: &Value, origin: Origin, has_ownership_metadata: bool) {
    let changes = evaluated(desired, origin).expect("the workload was readable before").changes;
    let again = changes.apply(desired);
    let rollout = changes.replaces_pods(Object::new(desired));
    assert!(!rollout, "the second evaluation starts a rollout: {desired} becomes {again}");
    if has_ownership_metadata {
        let changes = evaluated(&again, origin).expect("the workload was readable before").changes;
        assert_eq!(again, changes.apply(&again), "the third evaluation changes something");
    } else {
        assert_eq!(*desired, again, "the second evaluation changes something");
        assert!(changes.is_empty(), "the second evaluation plans {changes:?}");
    }
}

/// Applying the patch to the original object results in the desired object.
fn the_patch_results_in_the_desired_object(workload: &Value, evaluation: &Evaluation) {
    let changes = &evaluation.changes;
    let (desired, patch) = (changes.apply(workload), changes.patch(Object::new(workload)));
    let mut patched = workload.clone();
    json_patch::patch(&mut patched, &patch).expect("the patch is applicable");
    assert_eq!(patched, desired, "the patch results in another object");
    assert_eq!(changes.is_empty(), *workload == desired, "{changes:?}");
    assert_eq!(changes.is_empty(), patch.0.is_empty(), "{changes:?}");
    let template = |workload: &Value| workload["spec"]["template"].clone();
    assert_eq!(changes.rolls_out(), template(workload) != template(&desired), "{changes:?}");
}

/// Fields set by the user are not overwritten, and the grace period is not lowered.
fn user_fields_are_kept(workload: &Value, desired: &Value) {
    let pod = |workload: &Value| workload["spec"]["template"]["spec"].clone();
    let (before, after) = (pod(workload), pod(desired));
    assert_eq!(before["initContainers"], after["initContainers"]);
    for (at, container) in before["containers"].as_array().into_iter().flatten().enumerate() {
        for pointer in ["/lifecycle/preStop", "/readinessProbe"] {
            let original = container.pointer(pointer).filter(|original| !original.is_null());
            let result = after["containers"][at].pointer(pointer);
            assert!(original.is_none() || original == result, "{pointer} of {container} became {result:?}");
        }
        let variables = |container: &Value| container["env"].as_array().cloned().unwrap_or_default();
        let (original, result) = (variables(container), variables(&after["containers"][at]));
        assert!(result.ends_with(&original), "the variables of {container} became {result:?}");
        let injected = &result[..result.len() - original.len()];
        assert!(injected.iter().all(is_exposed), "{injected:?} were injected");
        let is_own = |injected: &Value| original.iter().any(|own| own["name"] == injected["name"]);
        assert!(!injected.iter().any(is_own), "{injected:?} override variables of {container}");
    }
    let grace_period = |pod: &Value| pod["terminationGracePeriodSeconds"].as_i64();
    assert!(grace_period(&before) <= grace_period(&after), "the grace period was lowered or removed");
}

/// Whether it is a variable with a number of the budget.
#[must_use]
pub fn is_exposed(variable: &Value) -> bool {
    let is_number = |text: &str| text.parse::<u32>().is_ok_and(|number| number.to_string() == text);
    let name = variable["name"].as_str().and_then(|name| name.strip_prefix("WINDDOWN_")?.strip_suffix("_SECONDS"));
    matches!(name, Some("DRAIN" | "DEADLINE" | "GRACE_PERIOD"))
        && variable["value"].as_str().is_some_and(is_number)
        && variable.as_object().is_some_and(|fields| fields.len() == 2)
}

fn an_enforced_budget_fits(evaluation: &Evaluation, desired: &Value) {
    let Some(budget) = &evaluation.budget else { return };
    let errors = evaluation.findings.iter().any(Finding::is_error);
    assert!(budget.fits() || errors, "{budget} does not fit, but there is no error");
    if !errors && evaluation.mode == Mode::Enforce {
        let grace_period = &desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
        let grace_period = grace_period.as_i64().unwrap_or(30).clamp(0, u32::MAX.into());
        assert_eq!(grace_period, budget.grace_period.as_i64(), "{budget}: the template has another grace period");
    }
}

/// An app that does not fit is an error, a helper that does not fit a warning.
fn the_pod_needs_its_longest_lane(evaluation: &Evaluation) {
    let (Some(budget), Some(timeline)) = (&evaluation.budget, &evaluation.timeline) else { return };
    let has = |code| evaluation.findings.iter().any(|finding| finding.code == code);
    let too_long = |role| timeline.lanes.iter().any(|lane| lane.role == role && lane.needs > budget.grace_period);
    assert_eq!(Some(budget.needed()), timeline.lanes.iter().map(|lane| lane.needs).max(), "{timeline:?}");
    assert_eq!(too_long(Role::App), has(Code::BudgetDoesNotFit), "{timeline:?}");
    assert!(!too_long(Role::Helper) || has(Code::HelperDoesNotFit), "{timeline:?}");
    let reported = has(Code::BudgetDoesNotFit) || has(Code::HelperDoesNotFit);
    assert!(timeline.killed_early().is_none() || reported, "{timeline:?}");
}

fn undo_restores_the_original(workload: &Value, desired: &Value, origin: Origin) {
    let undeclared_desired = undeclared(desired);
    let changes = evaluated(&undeclared_desired, origin).expect("the workload was readable before").changes;
    let undone = changes.apply(&undeclared_desired);
    assert_eq!(without_empty(undone), without_empty(undeclared(workload)), "undo results in another object");
}

/// The findings for a file equal the findings for the same workload with the API server's defaults.
fn defaults_do_not_change_findings(workload: &Value) {
    let grace_period = workload.pointer("/spec/template/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    // From an API server, 30 counts as the default.
    if grace_period == Some(30) {
        return;
    }
    let (Ok(from_file), Ok(from_server)) =
        (evaluated(workload, Origin::File), evaluated(&defaults::filled_in(workload), Origin::ApiServer))
    else {
        return;
    };
    assert_eq!(from_file.findings, from_server.findings, "defaults change the findings");
}

/// Every finding is one line and fits into an Event.
fn messages_are_short(workload: &Value, evaluation: &Evaluation) {
    findings_are_one_line(&evaluation.findings);
    for event in report::events(None, &Current::new(workload, evaluation), true) {
        assert!(event.note.len() <= LONGEST_NOTE, "an Event of {} bytes", event.note.len());
    }
}

/// A finding is one line without control characters: it is written to HTTP headers, logs and terminals.
pub fn findings_are_one_line(findings: &[Finding]) {
    for finding in findings {
        let control = finding.to_string().chars().find(|char| char.is_control());
        assert_eq!(control, None, "{finding:?}");
        assert!(!finding.message().is_empty() && !finding.field.segments().is_empty(), "{finding:?}");
    }
}

/// The workload without the annotations of Winddown in its metadata.
#[must_use]
pub fn undeclared(workload: &Value) -> Value {
    let mut workload = workload.clone();
    if let Some(annotations) = workload.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with(PREFIX));
    }
    workload
}

/// Whether the template has a record or the label of Winddown.
fn has_injected_metadata(workload: &Value) -> bool {
    let field = |pointer: &str, key: &str| workload.pointer(pointer).is_some_and(|fields| fields.get(key).is_some());
    field("/spec/template/metadata/annotations", INJECTED) || field("/spec/template/metadata/labels", MANAGED)
}

/// Whether the metadata contains information about field ownership.
#[must_use]
pub fn has_ownership_metadata(workload: &Value) -> bool {
    let metadata = workload.get("metadata").unwrap_or(&Value::Null);
    metadata.get("managedFields").is_some()
        || metadata
            .pointer("/annotations/kubectl.kubernetes.io~1last-applied-configuration")
            .is_some_and(Value::is_string)
}

/// Removes null fields and empty annotations; for the API server they equal absent fields.
fn without_empty(mut value: Value) -> Value {
    fn clean(fields: &mut Map<String, Value>) {
        fields.retain(|key, field| {
            *field = without_empty(field.take());
            let empty = key == "annotations" && field.as_object().is_some_and(Map::is_empty);
            !(field.is_null() || empty)
        });
    }
    match &mut value {
        Value::Object(fields) => clean(fields),
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_empty(item.take())),
        _ => {}
    }
    value
}
