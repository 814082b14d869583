use serde_json::{Value, json};

use super::{Before, Origin, Settlement, settle};
use crate::annotations::{BUDGET, INJECTED};
use crate::duration::Seconds;
use crate::finding::Code;
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

fn settled(deployment: &Value, before: Option<&Value>, policy: &Policy) -> Settlement {
    let before = before.map_or(Before::Itself, Before::Object);
    settle(deployment, before, policy, Origin::ApiServer).unwrap()
}

fn desired(deployment: &Value) -> Value {
    settle(deployment, Before::Nothing, &Policy::default(), Origin::ApiServer).unwrap().desired
}

/// What another version of Winddown might inject.
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
    let settled = desired(&declared());
    let template = &settled["spec"]["template"];
    assert_eq!(settled["metadata"]["annotations"][BUDGET], "drain 5s + deadline 25s + margin 5s = 35s of 35s");
    assert_eq!(template["spec"]["terminationGracePeriodSeconds"], 35);
    assert_eq!(template["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], 5);
    assert!(template["metadata"]["annotations"][INJECTED].is_string());
}

#[test]
fn settling_twice_changes_nothing() {
    let once = desired(&declared());
    assert_eq!(desired(&once), once);
}

#[test]
fn an_undeclared_deployment_is_left_alone() {
    let undeclared = deployment(&json!({"example.com/team": "web"}));
    assert_eq!(desired(&undeclared), undeclared);
}

#[test]
fn taking_the_declaration_away_gives_back_what_stood_there() {
    for annotations in [json!({}), json!({"winddown.dev/drain": "5s", "winddown.dev/mode": "Off"})] {
        let mut settled = desired(&declared());
        settled["metadata"]["annotations"] = annotations.clone();
        settled["metadata"]["annotations"][BUDGET] = json!("drain 5s + …");
        let mut expected = deployment(&annotations);
        if annotations == json!({}) {
            expected["metadata"].as_object_mut().unwrap().shift_remove("annotations");
        }
        assert_eq!(desired(&settled), expected);
    }
}

#[test]
fn audit_computes_and_reports_but_leaves_the_template_bare() {
    let mut audited = desired(&declared());
    audited["metadata"]["annotations"]["winddown.dev/mode"] = json!("Audit");
    let settlement = settled(&audited, None, &Policy::default());
    assert!(settlement.budget.is_some());
    assert_eq!(settlement.desired["spec"], declared()["spec"]);
}

#[test]
fn who_wrote_the_grace_period_decides_whether_it_may_be_raised() {
    let owned = json!({"f:spec": {"f:template": {"f:spec": {"f:terminationGracePeriodSeconds": {}}}}});
    let last_applied = |grace: Value| json!({"spec": {"template": {"spec": grace}}}).to_string();
    for (case, grace_period, metadata, explicit) in [
        ("the API server's default", 30, json!({}), false),
        ("another value", 31, json!({}), true),
        ("server-side applied", 30, json!({"managedFields": [{"operation": "Apply", "fieldsV1": owned}]}), true),
        ("updated by somebody", 30, json!({"managedFields": [{"operation": "Update", "fieldsV1": owned}]}), false),
        (
            "applied without it",
            30,
            json!({"managedFields": [{"operation": "Apply", "fieldsV1": {"f:spec": {}}}]}),
            false,
        ),
        ("client-side applied", 30, json!({"last": last_applied(json!({"terminationGracePeriodSeconds": 30}))}), true),
        ("client-side applied without it", 30, json!({"last": last_applied(json!({}))}), false),
        ("a last-applied that is no JSON", 30, json!({"last": "{"}), false),
        ("managed fields of another form", 30, json!({"managedFields": {"operation": 7}}), false),
    ] {
        let mut deployment = declared();
        deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(grace_period);
        if let Some(managers) = metadata.get("managedFields") {
            deployment["metadata"]["managedFields"] = managers.clone();
        }
        if let Some(last) = metadata.get("last") {
            deployment["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = last.clone();
        }
        let settlement = settled(&deployment, None, &Policy::default());
        let misfit = settlement.findings.iter().any(|finding| finding.code == Code::BudgetDoesNotFit);
        assert_eq!(misfit, explicit, "{case}");
    }
    let in_a_file = settle(&declared(), Before::Nothing, &Policy::default(), Origin::File).unwrap();
    assert!(in_a_file.findings.iter().any(|finding| finding.code == Code::BudgetDoesNotFit));
}

#[test]
fn an_unchanged_template_is_left_as_it_stands_by_every_later_version() {
    let old = desired(&declared());
    let mut touched = old.clone();
    touched["metadata"]["labels"] = json!({"touched": "yes"});
    for before in [None, Some(&old)] {
        let settlement = settled(&touched, before, &newer());
        assert_eq!(settlement.desired["spec"], old["spec"]);
    }
}

#[test]
fn a_template_that_is_replaced_anyway_gets_what_is_injected_today() {
    let old = desired(&declared());
    let settlement = settled(&with_image(&old, "shop:2"), Some(&old), &newer());
    assert_eq!(settlement.desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 45);
}

#[test]
fn a_manifest_sent_again_without_the_record_is_still_the_same_template() {
    let old = desired(&declared());
    let settlement = settled(&declared(), Some(&old), &newer());
    assert_eq!(settlement.desired["spec"]["template"], old["spec"]["template"]);
}

#[test]
fn a_rollback_past_a_change_that_the_webhook_missed_goes_through() {
    // The record still tells of the first image.
    let missed = with_image(&desired(&declared()), "shop:2");
    let rolled_back = settled(&declared(), Some(&missed), &Policy::default()).desired;
    assert_eq!(rolled_back["spec"]["template"]["spec"]["containers"][0]["image"], "shop:1");
}

#[test]
fn a_new_spelling_of_the_same_budget_replaces_no_pods() {
    let old = desired(&declared());
    let mut respelt = old.clone();
    respelt["metadata"]["annotations"]["winddown.dev/margin"] = json!("5s");
    for before in [None, Some(&old)] {
        assert_eq!(settled(&respelt, before, &Policy::default()).desired["spec"], old["spec"]);
    }
}

#[test]
fn an_image_change_brings_the_record_up_to_date() {
    let old = desired(&declared());
    let new = settled(&with_image(&old, "shop:2"), Some(&old), &Policy::default()).desired;
    let record = |deployment: &Value| deployment["spec"]["template"]["metadata"]["annotations"][INJECTED].clone();
    assert_ne!(record(&new), record(&old));
    // So that a restart of a newer controller, which sees no older object, leaves it alone.
    assert_eq!(settled(&new, None, &newer()).desired["spec"], new["spec"]);
}

#[test]
fn another_budget_replaces_the_first_one_as_if_that_had_never_been() {
    let other = deployment(&json!({"winddown.dev/drain": "10s", "winddown.dev/deadline": "1m"}));
    let mut changed = desired(&declared());
    changed["metadata"]["annotations"] = other["metadata"]["annotations"].clone();
    assert_eq!(desired(&changed), desired(&other));
}

#[test]
fn what_is_taken_out_by_hand_is_put_in_again_and_what_is_changed_by_hand_is_kept() {
    let old = desired(&declared());
    let mut removed = old.clone();
    removed["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().shift_remove("lifecycle");
    for before in [None, Some(&old)] {
        assert_eq!(settled(&removed, before, &Policy::default()).desired["spec"], old["spec"]);
    }
    let mut changed = old;
    changed["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] = json!(7);
    let settlement = settled(&changed, None, &Policy::default());
    let template = &settlement.desired["spec"]["template"]["spec"];
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
fn an_owner_who_writes_down_what_was_injected_owns_it() {
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
            let settlement = settled(&case, before, &Policy::default());
            assert_eq!(settlement.findings, [], "fits");
            assert_eq!(settlement.desired["spec"], injected["spec"], "no pods are replaced");
        }
        let mut undeclared = case.clone();
        for key in ["winddown.dev/drain", "winddown.dev/deadline"] {
            undeclared["metadata"]["annotations"].as_object_mut().unwrap().shift_remove(key);
        }
        let settlement = settled(&undeclared, Some(&case), &Policy::default());
        assert_eq!(settlement.desired["spec"], by_hand["spec"], "what the owner wrote stays");
    }
}

#[test]
fn a_rollback_is_judged_by_the_template_and_not_by_the_last_manifest() {
    let first = desired(&declared());
    let mut later = declared();
    later["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(60);
    for template in [&first, &declared()] {
        let rolled_back = applied(template.clone(), &later);
        let settlement = settled(&rolled_back, Some(&applied(desired(&later), &later)), &Policy::default());
        assert_eq!(settlement.findings, []);
        assert_eq!(settlement.desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 35);
    }
}

#[test]
fn a_respelt_budget_is_still_the_same_for_a_later_version() {
    let mut respelt = desired(&declared());
    respelt["metadata"]["annotations"]["winddown.dev/margin"] = json!("5s");
    let stands = settled(&respelt, None, &Policy::default()).desired;
    let later = Policy { readiness_period: 60, ..newer() };
    let mut touched = stands.clone();
    touched["metadata"]["labels"] = json!({"touched": "yes"});
    for before in [None, Some(&stands)] {
        let settlement = settled(&touched, before, &later);
        assert_eq!(settlement.desired, touched, "neither template nor budget");
    }
}

#[test]
fn a_later_version_does_not_tell_another_budget_of_a_template_that_stands() {
    let stands = desired(&declared());
    assert_eq!(settled(&stands, None, &newer()).desired, stands);
}

#[test]
fn what_another_webhook_changed_while_it_was_made_is_in_the_record() {
    let made = with_image(&desired(&declared()), "shop@sha256:pinned");
    let again = desired(&made);
    assert_eq!(settled(&again, None, &newer()).desired, again);
}

#[test]
fn pods_are_not_replaced_for_label_and_record_alone() {
    let mut by_hand = declared();
    let pod = &mut by_hand["spec"]["template"]["spec"];
    pod["terminationGracePeriodSeconds"] = json!(35);
    pod["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 5}}});
    let mut before = by_hand.clone();
    before["metadata"]["annotations"] = json!({});
    for before in [None, Some(&before)] {
        let settlement = settled(&by_hand, before, &Policy::default());
        assert_eq!(settlement.desired["spec"], by_hand["spec"]);
        assert!(settlement.desired["metadata"]["annotations"][BUDGET].is_string());
    }
    assert!(desired(&by_hand)["spec"]["template"]["metadata"]["annotations"][INJECTED].is_string());
}

#[test]
fn a_record_of_another_version_is_left_to_that_version() {
    let mut other = desired(&declared());
    let record = &mut other["spec"]["template"]["metadata"]["annotations"][INJECTED];
    *record = json!(record.as_str().unwrap().replace("{\"v\":1", "{\"v\":2,\"more\":true"));
    let settlement = settled(&other, None, &Policy::default());
    assert_eq!(settlement.findings[0].code, Code::RecordUnreadable);
    assert_eq!(settlement.desired, other);
}

#[test]
fn a_template_of_absurdly_many_containers_is_passed_over() {
    let mut absurd = declared();
    let containers: Vec<_> = (0..5000).map(|number| json!({"name": format!("c{number}")})).collect();
    absurd["spec"]["template"]["spec"]["containers"] = json!(containers);
    let error = settle(&absurd, Before::Nothing, &Policy::default(), Origin::ApiServer).unwrap_err();
    assert!(error.to_string().contains("more than 1000 of them"), "{error}");
}

#[test]
fn a_misfit_changes_nothing_at_all() {
    let mut misfit = declared();
    misfit["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20);
    assert_eq!(desired(&misfit), misfit);
}

#[test]
fn a_record_that_cannot_be_read_is_said_so_and_replaced() {
    let mut odd = declared();
    odd["spec"]["template"]["metadata"]["annotations"] = json!({INJECTED: "{\"v\":1}"});
    let settlement = settled(&odd, None, &Policy::default());
    assert!(settlement.findings.iter().any(|finding| finding.code == Code::RecordUnreadable));
    assert_eq!(desired(&settlement.desired), settlement.desired);
    odd["metadata"]["annotations"] = json!({"example.com/team": "web"});
    assert_eq!(desired(&odd), odd, "nothing is declared, nothing is changed");
}

#[test]
fn a_deployment_of_another_shape_is_an_error_that_names_the_field() {
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
        let mut odd = declared();
        *odd.pointer_mut(pointer.trim_end_matches("/lifecycle")).unwrap() = value.clone();
        if pointer.ends_with("/lifecycle") {
            *odd.pointer_mut("/spec/template/spec/containers/0").unwrap() = json!({"name": "app", "lifecycle": value});
        }
        let error = settle(&odd, Before::Nothing, &Policy::default(), Origin::ApiServer).unwrap_err().to_string();
        assert!(error.starts_with(field), "{pointer}: {error}");
    }
}
