//! Workloads with records that the first version wrote. A later version must be able to read and undo them, and must not
//! replace the pods.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use serde_json::{Value, json};
use winddown_core::annotations::INJECTED;
use winddown_core::budget::Source;
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::finding::Code;
use winddown_core::manifest;
use winddown_core::object::LazyObject;
use winddown_core::policy::Policy;

/// The output of `winddown plan -o yaml` of commit 28e03f1 for its golden cases, and for a Deployment with a UID and a grace
/// period of 30, as the API server has it.
const RECORDED: &str = include_str!("records/28e03f1.yaml");

/// The output of a version that did not read the shutdown timeouts of runtimes, for pods that contain one.
const WITHOUT_SETTINGS: &str = include_str!("records/without-settings.yaml");

/// A workload whose policy raised its explicit grace period.
const RAISED: &str = include_str!("records/raised.yaml");

fn recorded() -> Vec<Value> {
    let stream = manifest::read(&format!("{RECORDED}\n---\n{WITHOUT_SETTINGS}\n---\n{RAISED}"));
    assert_eq!(stream.errors, []);
    let has_record = |object: &Value| object["spec"]["template"]["metadata"]["annotations"][INJECTED].is_string();
    let recorded: Vec<_> = stream.workloads.into_iter().map(|found| found.object).filter(has_record).collect();
    assert!(recorded.len() >= 20, "only {} records", recorded.len());
    // Only an object of the API server has a grace period to restore.
    assert!(RECORDED.contains(r#"{\"was\":30,"#));
    recorded
}

fn evaluated(workload: &Value, existing: Existing<'_>) -> Evaluation {
    evaluate(workload, existing, &Policy::default(), Origin::ApiServer).unwrap()
}

#[test]
fn old_records_are_read_and_cause_no_rollout() {
    for workload in recorded() {
        for existing in [Existing::Unchanged, Existing::None, Existing::Replaced(&LazyObject::from(&workload))] {
            let evaluation = evaluated(&workload, existing);
            assert!(evaluation.findings.iter().all(|finding| finding.code != Code::RecordUnreadable));
            assert!(evaluation.injected.is_some());
            assert!(!evaluation.changes.rolls_out(), "{workload}");
        }
    }
}

#[test]
fn the_original_manifest_sent_again_causes_no_rollout() {
    for workload in recorded() {
        let original = without_declaration(&workload);
        let bare = evaluated(&original, Existing::Unchanged).changes.apply(&original);
        let mut sent = workload.clone();
        sent["spec"]["template"] = bare["spec"]["template"].clone();
        let evaluation = evaluated(&sent, Existing::Replaced(&LazyObject::from(&workload)));
        let desired = evaluation.changes.apply(&sent);
        assert_eq!(desired["spec"]["template"], workload["spec"]["template"]);
    }
}

#[test]
fn old_records_can_be_undone() {
    for workload in recorded() {
        let bare = without_declaration(&workload);
        let bare = evaluated(&bare, Existing::Unchanged).changes.apply(&bare);
        let template = bare["spec"]["template"].to_string();
        assert!(!template.contains("winddown.dev/"), "{template}");
    }
}

/// The deadline of a new workload comes from the setting, so this version would inject something else.
#[test]
fn a_setting_that_a_later_version_reads_causes_no_rollout() {
    let workloads = manifest::read(WITHOUT_SETTINGS).workloads;
    assert_eq!(workloads.len(), 4);
    for workload in workloads.into_iter().map(|found| found.object) {
        let evaluation = evaluated(&workload, Existing::Unchanged);
        let changed = evaluation.changes.apply(&workload);
        assert_eq!(changed["spec"], workload["spec"]);
        let budget = evaluation.budget.unwrap();
        let reads_setting = matches!(budget.deadline_from, Source::Setting(_));
        let differs = evaluation.findings.iter().any(|finding| finding.code == Code::RuntimeTimeoutDiffers);
        assert!(reads_setting || differs, "{budget}");
    }
}

/// Control: a record that does not match its template causes a change.
#[test]
fn a_changed_template_causes_a_rollout() {
    let changed = recorded().into_iter().filter(|workload| {
        let mut workload = workload.clone();
        workload["spec"]["template"]["spec"]["containers"][0]["image"] = json!("another:1");
        evaluated(&workload, Existing::None).changes.rolls_out()
    });
    assert!(changed.count() > 0);
}

fn without_declaration(workload: &Value) -> Value {
    let mut workload = workload.clone();
    let annotations = workload["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.retain(|key, _| !key.starts_with("winddown.dev/"));
    workload
}
