use serde_json::{Value, json};

use super::{Existing, Origin, evaluate};
use crate::annotations::{BUDGET, INJECTED, SETTLED};
use crate::budget::Budget;
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::object::{LazyObject, Object};
use crate::policy::Policy;

fn deployment(annotations: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": "web", "annotations": annotations},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "app", "image": "shop:1"}], "terminationGracePeriodSeconds": 30},
            },
        },
    })
}

fn declared() -> Value {
    deployment(&json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"}))
}

/// The result of an evaluation.
struct Evaluated {
    budget: Option<Budget>,
    findings: Vec<Finding>,
    desired: Value,
}

fn evaluated_as(workload: &Value, existing: Existing<'_>, policy: &Policy, origin: Origin) -> Evaluated {
    let evaluation = evaluate(workload, existing, policy, origin).unwrap();
    let desired = evaluation.changes.apply(workload);
    let mut patched = workload.clone();
    json_patch::patch(&mut patched, &evaluation.changes.patch(Object::new(workload))).unwrap();
    assert_eq!(patched, desired, "the patch leads to the desired state");
    assert_eq!(evaluation.changes.is_empty(), *workload == desired);
    Evaluated { budget: evaluation.budget, findings: evaluation.findings, desired }
}

/// Evaluates a workload that exists, or that replaces `old`.
fn evaluated(workload: &Value, old: Option<&Value>, policy: &Policy) -> Evaluated {
    let old = old.map(LazyObject::from);
    evaluated_as(workload, old.as_ref().map_or(Existing::Unchanged, Existing::Replaced), policy, Origin::ApiServer)
}

/// The desired state of a workload that is created.
fn desired(workload: &Value) -> Value {
    evaluated_as(workload, Existing::None, &Policy::default(), Origin::ApiServer).desired
}

/// A policy with which a newer version of Winddown could inject other values.
fn newer() -> Policy {
    Policy { margin: Seconds::new(15), ..Policy::default() }
}

fn with_image(deployment: &Value, image: &str) -> Value {
    let mut deployment = deployment.clone();
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    deployment
}

#[test]
fn a_declared_deployment_gets_hook_grace_period_record_and_budget() {
    let injected = desired(&declared());
    let template = &injected["spec"]["template"];
    assert_eq!(injected["metadata"]["annotations"][BUDGET], "drain 5s + deadline 25s + margin 5s = 35s of 35s");
    assert_eq!(template["spec"]["terminationGracePeriodSeconds"], 35);
    assert_eq!(template["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], 5);
    assert!(template["metadata"]["annotations"][INJECTED].is_string());
}

#[test]
fn evaluation_is_idempotent() {
    let once = desired(&declared());
    assert_eq!(desired(&once), once);
}

#[test]
fn a_deployment_without_annotations_is_unchanged() {
    let undeclared = deployment(&json!({"example.com/team": "web"}));
    assert_eq!(desired(&undeclared), undeclared);
}

#[test]
fn removing_the_annotations_restores_the_template() {
    for annotations in [json!({}), json!({"winddown.dev/drain": "5s", "winddown.dev/mode": "Off"})] {
        let mut injected = desired(&declared());
        injected["metadata"]["annotations"] = annotations.clone();
        injected["metadata"]["annotations"][BUDGET] = json!("drain 5s + …");
        let mut expected = deployment(&annotations);
        if annotations == json!({}) {
            expected["metadata"].as_object_mut().unwrap().shift_remove("annotations");
        }
        assert_eq!(desired(&injected), expected);
    }
}

#[test]
fn audit_reports_and_injects_nothing() {
    let mut audited = desired(&declared());
    audited["metadata"]["annotations"]["winddown.dev/mode"] = json!("Audit");
    let evaluated = evaluated(&audited, None, &Policy::default());
    assert!(evaluated.budget.is_some());
    assert_eq!(evaluated.desired["spec"], declared()["spec"]);
}

#[test]
fn only_a_grace_period_that_the_user_did_not_set_is_raised() {
    let owned = json!({"f:spec": {"f:template": {"f:spec": {"f:terminationGracePeriodSeconds": {}}}}});
    let last_applied = |grace: Value| json!({"spec": {"template": {"spec": grace}}}).to_string();
    for (case, grace_period, metadata, explicit) in [
        ("the API server's default", 30, json!({}), false),
        ("another value", 31, json!({}), true),
        ("server-side applied", 30, json!({"managedFields": [{"operation": "Apply", "fieldsV1": owned}]}), true),
        ("owned by an Update", 30, json!({"managedFields": [{"operation": "Update", "fieldsV1": owned}]}), false),
        (
            "applied without it",
            30,
            json!({"managedFields": [{"operation": "Apply", "fieldsV1": {"f:spec": {}}}]}),
            false,
        ),
        ("client-side applied", 30, json!({"last": last_applied(json!({"terminationGracePeriodSeconds": 30}))}), true),
        ("client-side applied without it", 30, json!({"last": last_applied(json!({}))}), false),
        ("a last-applied configuration that is not JSON", 30, json!({"last": "{"}), false),
        ("managed fields of another type", 30, json!({"managedFields": {"operation": 7}}), false),
    ] {
        let mut deployment = declared();
        deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(grace_period);
        if let Some(managers) = metadata.get("managedFields") {
            deployment["metadata"]["managedFields"] = managers.clone();
        }
        if let Some(last) = metadata.get("last") {
            deployment["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = last.clone();
        }
        let evaluated = evaluated(&deployment, None, &Policy::default());
        let misfit = evaluated.findings.iter().any(|finding| finding.code == Code::BudgetDoesNotFit);
        assert_eq!(misfit, explicit, "{case}");
    }
    let in_a_file = evaluated_as(&declared(), Existing::None, &Policy::default(), Origin::File);
    assert!(in_a_file.findings.iter().any(|finding| finding.code == Code::BudgetDoesNotFit));
}

#[test]
fn a_later_version_keeps_an_unchanged_template() {
    let old = desired(&declared());
    let mut touched = old.clone();
    touched["metadata"]["labels"] = json!({"touched": "yes"});
    for before in [None, Some(&old)] {
        let evaluated = evaluated(&touched, before, &newer());
        assert_eq!(evaluated.desired["spec"], old["spec"]);
    }
}

#[test]
fn a_changed_template_gets_the_values_of_the_current_version() {
    let old = desired(&declared());
    let evaluated = evaluated(&with_image(&old, "shop:2"), Some(&old), &newer());
    assert_eq!(evaluated.desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 45);
}

#[test]
fn the_original_manifest_sent_again_keeps_the_template() {
    let old = desired(&declared());
    let evaluated = evaluated(&declared(), Some(&old), &newer());
    assert_eq!(evaluated.desired["spec"]["template"], old["spec"]["template"]);
}

#[test]
fn a_rollback_past_a_change_that_the_webhook_missed_is_applied() {
    // The record still contains the fingerprint of the first image.
    let missed = with_image(&desired(&declared()), "shop:2");
    let rolled_back = evaluated(&declared(), Some(&missed), &Policy::default()).desired;
    assert_eq!(rolled_back["spec"]["template"]["spec"]["containers"][0]["image"], "shop:1");
}

#[test]
fn another_spelling_of_the_same_budget_replaces_no_pods() {
    let old = desired(&declared());
    let mut respelt = old.clone();
    respelt["metadata"]["annotations"]["winddown.dev/margin"] = json!("5s");
    for before in [None, Some(&old)] {
        assert_eq!(evaluated(&respelt, before, &Policy::default()).desired["spec"], old["spec"]);
    }
}

#[test]
fn an_image_change_updates_the_record() {
    let old = desired(&declared());
    let new = evaluated(&with_image(&old, "shop:2"), Some(&old), &Policy::default()).desired;
    let record = |deployment: &Value| deployment["spec"]["template"]["metadata"]["annotations"][INJECTED].clone();
    assert_ne!(record(&new), record(&old));
    // A newer controller, which does not have the old object, keeps it too.
    assert_eq!(evaluated(&new, None, &newer()).desired["spec"], new["spec"]);
}

#[test]
fn another_budget_replaces_the_first_one_completely() {
    let other = deployment(&json!({"winddown.dev/drain": "10s", "winddown.dev/deadline": "1m"}));
    let mut changed = desired(&declared());
    changed["metadata"]["annotations"] = other["metadata"]["annotations"].clone();
    assert_eq!(desired(&changed), desired(&other));
}

#[test]
fn a_removed_field_is_injected_again_and_a_changed_one_is_kept() {
    let old = desired(&declared());
    let mut removed = old.clone();
    removed["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().shift_remove("lifecycle");
    for before in [None, Some(&old)] {
        assert_eq!(evaluated(&removed, before, &Policy::default()).desired["spec"], old["spec"]);
    }
    let mut changed = old;
    changed["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] = json!(7);
    let evaluated = evaluated(&changed, None, &Policy::default());
    let template = &evaluated.desired["spec"]["template"]["spec"];
    assert_eq!(template["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], 7);
    assert_eq!(template["terminationGracePeriodSeconds"], 37);
}

/// The Deployment as `kubectl apply` of this manifest leaves its metadata.
fn applied(mut deployment: Value, manifest: &Value) -> Value {
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    deployment["metadata"]["annotations"][key] = json!(manifest.to_string());
    deployment
}

#[test]
fn an_owner_who_sets_the_injected_values_owns_them() {
    let injected = desired(&declared());
    let by_hand = {
        let mut manifest = declared();
        let pod = &mut manifest["spec"]["template"]["spec"];
        pod["terminationGracePeriodSeconds"] = json!(35);
        pod["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 5}}});
        manifest
    };
    let fields = json!({"f:spec": {"f:template": {"f:spec": {
        "f:terminationGracePeriodSeconds": {},
        "f:containers": {"k:{\"name\":\"app\"}": {"f:lifecycle": {"f:preStop": {"f:sleep": {"f:seconds": {}}}}}},
    }}}});
    let mut owned = injected.clone();
    owned["metadata"]["managedFields"] = json!([{"operation": "Apply", "fieldsV1": fields}]);
    for case in [applied(injected.clone(), &by_hand), owned] {
        for before in [None, Some(&injected)] {
            let evaluated = evaluated(&case, before, &Policy::default());
            assert_eq!(evaluated.findings, [], "fits");
            assert_eq!(evaluated.desired["spec"], injected["spec"], "no pods are replaced");
        }
        let mut undeclared = case.clone();
        for key in ["winddown.dev/drain", "winddown.dev/deadline"] {
            undeclared["metadata"]["annotations"].as_object_mut().unwrap().shift_remove(key);
        }
        let evaluated = evaluated(&undeclared, Some(&case), &Policy::default());
        assert_eq!(evaluated.desired["spec"], by_hand["spec"], "the fields of the owner are kept");
    }
}

#[test]
fn a_rollback_is_evaluated_by_its_template_and_not_by_the_last_manifest() {
    let first = desired(&declared());
    let mut later = declared();
    later["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(60);
    for template in [&first, &declared()] {
        let rolled_back = applied(template.clone(), &later);
        let evaluated = evaluated(&rolled_back, Some(&applied(desired(&later), &later)), &Policy::default());
        assert_eq!(evaluated.findings, []);
        assert_eq!(evaluated.desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 35);
    }
}

#[test]
fn another_spelling_of_the_budget_is_unchanged_for_a_later_version() {
    let mut respelt = desired(&declared());
    respelt["metadata"]["annotations"]["winddown.dev/margin"] = json!("5s");
    let current = evaluated(&respelt, None, &Policy::default()).desired;
    let later = Policy { readiness_period: 60, ..newer() };
    let mut touched = current.clone();
    touched["metadata"]["labels"] = json!({"touched": "yes"});
    for before in [None, Some(&current)] {
        let evaluated = evaluated(&touched, before, &later);
        assert_eq!(evaluated.desired, touched, "neither template nor budget");
    }
}

#[test]
fn a_later_version_keeps_the_budget_of_an_unchanged_template() {
    let current = desired(&declared());
    assert_eq!(evaluated(&current, None, &newer()).desired, current);
}

#[test]
fn changes_of_other_webhooks_at_creation_are_in_the_record() {
    let created = with_image(&desired(&declared()), "shop@sha256:pinned");
    let again = desired(&created);
    assert_eq!(evaluated(&again, None, &newer()).desired, again);
}

#[test]
fn pods_are_not_replaced_only_for_label_and_record() {
    let mut by_hand = declared();
    let pod = &mut by_hand["spec"]["template"]["spec"];
    pod["terminationGracePeriodSeconds"] = json!(35);
    pod["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 5}}});
    let mut before = by_hand.clone();
    before["metadata"]["annotations"] = json!({});
    for before in [None, Some(&before)] {
        let evaluated = evaluated(&by_hand, before, &Policy::default());
        assert_eq!(evaluated.desired["spec"], by_hand["spec"]);
        assert!(evaluated.desired["metadata"]["annotations"][BUDGET].is_string());
    }
    assert!(desired(&by_hand)["spec"]["template"]["metadata"]["annotations"][INJECTED].is_string());
}

#[test]
fn a_record_of_another_version_is_left_to_that_version() {
    let mut other = desired(&declared());
    let record = &mut other["spec"]["template"]["metadata"]["annotations"][INJECTED];
    *record = json!(record.as_str().unwrap().replace("{\"v\":1", "{\"v\":4,\"more\":true"));
    let evaluated = evaluated(&other, None, &Policy::default());
    assert_eq!(evaluated.findings[0].code, Code::RecordUnreadable);
    assert_eq!(evaluated.desired, other);
}

#[test]
fn a_template_with_too_many_containers_is_not_evaluated() {
    let mut undeclared = desired(&declared());
    undeclared["metadata"]["annotations"] = json!({});
    for mut large in [declared(), undeclared] {
        let containers = large["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
        containers.extend((0..1000).map(|number| json!({"name": format!("c{number}")})));
        let error = evaluate(&large, Existing::None, &Policy::default(), Origin::ApiServer).unwrap_err();
        assert!(error.to_string().contains("has 1001 entries, more than the limit of 1000"), "{error}");
        large["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().pop();
        assert!(evaluate(&large, Existing::None, &Policy::default(), Origin::ApiServer).is_ok());
    }
}

#[test]
fn of_two_containers_with_the_same_name_the_record_means_the_first() {
    let mut twice = desired(&declared());
    twice["metadata"]["annotations"] = json!({});
    let containers = &mut twice["spec"]["template"]["spec"]["containers"];
    let container = containers[0].clone();
    containers.as_array_mut().unwrap().push(container.clone());
    let expected = json!([{"name": "app", "image": "shop:1"}, container]);
    assert_eq!(desired(&twice)["spec"]["template"]["spec"]["containers"], expected);
}

#[test]
fn a_budget_that_does_not_fit_changes_no_template_and_is_remembered() {
    let mut misfit = declared();
    misfit["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20);
    let mut desired = desired(&misfit);
    assert!(desired["metadata"]["annotations"].as_object_mut().unwrap().shift_remove(SETTLED).is_some());
    assert_eq!(desired, misfit);
}

#[test]
fn an_unreadable_record_is_reported_and_replaced() {
    let mut malformed = declared();
    malformed["spec"]["template"]["metadata"]["annotations"] = json!({INJECTED: "{\"v\":1}"});
    let evaluated = evaluated(&malformed, None, &Policy::default());
    assert!(evaluated.findings.iter().any(|finding| finding.code == Code::RecordUnreadable));
    assert_eq!(desired(&evaluated.desired), evaluated.desired);
    malformed["metadata"]["annotations"] = json!({"example.com/team": "web"});
    assert_eq!(desired(&malformed), malformed, "nothing is declared, nothing is changed");
}

#[test]
fn an_error_in_a_malformed_deployment_names_the_field() {
    let cases = [
        ("/metadata/annotations", json!({"winddown.dev/drain": 5}), "metadata.annotations[winddown.dev/drain]"),
        ("/metadata/annotations", json!({"a\nb": 5}), "metadata.annotations[a\\nb]"),
        ("/metadata/annotations", json!("drain"), "metadata.annotations"),
        ("/spec/template", json!([]), "spec.template"),
        ("/spec", json!(null), "spec.template"),
        ("/spec/template/metadata", json!("shop"), "spec.template.metadata"),
        ("/spec/template/spec", json!(7), "spec.template.spec"),
        ("/spec/template/spec/containers", json!([]), "spec.template.spec"),
        ("/spec/template/spec/containers", json!([{"name": "app"}, {"name": "app"}]), "spec.template.spec"),
        ("/spec/template/spec/containers", json!({"name": "app"}), "spec.template.spec"),
        ("/spec/template/spec/containers/0/lifecycle", json!([1]), "spec.template.spec"),
    ];
    for (pointer, value, field) in cases {
        let mut malformed = declared();
        *malformed.pointer_mut(pointer.trim_end_matches("/lifecycle")).unwrap() = value.clone();
        if pointer.ends_with("/lifecycle") {
            malformed["spec"]["template"]["spec"]["containers"][0] = json!({"name": "app", "lifecycle": value});
        }
        let error = evaluate(&malformed, Existing::None, &Policy::default(), Origin::ApiServer).unwrap_err();
        assert!(error.to_string().starts_with(field), "{pointer}: {error}");
    }
}
