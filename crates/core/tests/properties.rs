//! The laws of the plan, over Deployments that nobody thought of.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod generated_deployments;

use std::collections::BTreeMap;

use generated_deployments::{Annotations, annotations, deployment, hostile_text};
use proptest::prelude::*;
use serde_json::{Value, json};
use winddown_core::annotations::Mode;
use winddown_core::duration::Seconds;
use winddown_core::evaluation::{Before, Origin, Settlement, settle};
use winddown_core::finding::Finding;
use winddown_core::patch;
use winddown_core::policy::Policy;
use winddown_core::review;
use winddown_core::review::verdict::judge;

fn settled(deployment: &Value) -> Settlement {
    settle(deployment, Before::Nothing, &Policy::default(), Origin::ApiServer).unwrap()
}

fn declaring(deployment: &Value, annotations: &Annotations) -> Value {
    let mut deployment = deployment.clone();
    for (key, value) in annotations {
        deployment["metadata"]["annotations"][key] = json!(value);
    }
    deployment
}

/// Takes every annotation of ours off the Deployment's own metadata, as a user would.
fn undeclaring(deployment: &Value) -> Value {
    let mut deployment = deployment.clone();
    let annotations = deployment["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.retain(|key, _| !key.starts_with("winddown.dev/"));
    deployment
}

fn containers(deployment: &Value) -> BTreeMap<String, Value> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().map(|container| (container["name"].to_string(), container.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn settling_what_is_settled_changes_nothing(bare in deployment(), declared in annotations()) {
        let once = settled(&declaring(&bare, &declared)).desired;
        prop_assert_eq!(settled(&once).desired, once);
    }

    #[test]
    fn undo_gives_back_the_deployment_field_for_field(bare in deployment(), declared in annotations()) {
        let injected = settled(&declaring(&bare, &declared)).desired;
        prop_assert_eq!(settled(&undeclaring(&injected)).desired, bare);
    }

    #[test]
    fn the_last_declaration_alone_counts(bare in deployment(), first in annotations(), second in annotations()) {
        let after_first = settled(&declaring(&bare, &first)).desired;
        let after_both = settled(&declaring(&undeclaring(&after_first), &second));
        let after_second = settled(&declaring(&bare, &second));
        if after_second.mode == Mode::Enforce && after_second.findings.iter().any(Finding::is_error) {
            // Then nothing is changed, and what stood there stays.
            prop_assert_eq!(&after_both.desired["spec"], &after_first["spec"]);
        } else {
            prop_assert_eq!(pods_of(&after_both.desired), pods_of(&after_second.desired));
        }
    }

    #[test]
    fn without_a_declaration_nothing_changes(bare in deployment()) {
        prop_assert_eq!(settled(&bare).desired, bare);
    }

    #[test]
    fn the_patch_gives_what_was_planned(bare in deployment(), declared in annotations()) {
        let received = declaring(&bare, &declared);
        let desired = settled(&received).desired;
        let mut patched = received.clone();
        json_patch::patch(&mut patched, &patch::between(&received, &desired)).unwrap();
        prop_assert_eq!(patched, desired);
    }

    #[test]
    fn what_a_user_wrote_survives(bare in deployment(), declared in annotations()) {
        let desired = settled(&declaring(&bare, &declared)).desired;
        let after = containers(&desired);
        for (name, before) in containers(&bare) {
            for pointer in ["/lifecycle/preStop", "/readinessProbe"] {
                if let Some(theirs) = before.pointer(pointer) {
                    prop_assert_eq!(after[&name].pointer(pointer), Some(theirs), "{} {}", &name, pointer);
                }
            }
        }
        let grace_period = |of: &Value| of["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap();
        prop_assert!(grace_period(&desired) >= grace_period(&bare));
        let init = |of: &Value| of["spec"]["template"]["spec"]["initContainers"].clone();
        prop_assert_eq!(init(&desired), init(&bare));
    }

    #[test]
    fn what_an_owner_writes_down_is_the_owners(bare in deployment(), declared in annotations()) {
        let stands = settled(&declaring(&bare, &declared)).desired;
        // As `kubectl apply` of just what stands there.
        let mut written = stands.clone();
        let key = "kubectl.kubernetes.io/last-applied-configuration";
        written["metadata"]["annotations"][key] = json!(json!({"spec": stands["spec"]}).to_string());
        let applied = settle(&written, Before::Object(&stands), &Policy::default(), Origin::ApiServer).unwrap();
        prop_assert_eq!(&applied.desired["spec"], &stands["spec"]);
        let undeclared = settled(&undeclaring(&written)).desired;
        prop_assert_eq!(pods_of(&undeclared), pods_of(&stands));
    }

    #[test]
    fn what_is_enforced_fits(bare in deployment(), declared in annotations()) {
        let settlement = settled(&declaring(&bare, &declared));
        let fits = settlement.budget.as_ref().is_none_or(winddown_core::budget::Budget::fits);
        let errors = settlement.findings.iter().any(Finding::is_error);
        prop_assert!(fits || errors, "{:?}", settlement.budget);
        if let Some(budget) = settlement.budget.filter(|_| !errors && settlement.mode == Mode::Enforce) {
            let grace_period = &settlement.desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
            prop_assert_eq!(grace_period, &json!(budget.grace_period.as_i64()));
        }
    }

    #[test]
    fn a_later_version_replaces_no_pods(bare in deployment(), declared in annotations(), margin in 0_u32..100) {
        let later = Policy { margin: Seconds::new(margin), drain: Seconds::new(7), readiness_period: 11, ..Policy::default() };
        let settlement = settled(&declaring(&bare, &declared));
        // What does not fit has not been settled yet, and is once it fits.
        prop_assume!(!settlement.findings.iter().any(Finding::is_error));
        let stands = settlement.desired;
        let mut touched = stands.clone();
        touched["metadata"]["labels"] = json!({"touched": "yes"});
        let by_webhook = settle(&touched, Before::Object(&stands), &later, Origin::ApiServer).unwrap();
        prop_assert_eq!(&by_webhook.desired["spec"], &stands["spec"]);
        let by_controller = settle(&stands, Before::Itself, &later, Origin::ApiServer).unwrap();
        prop_assert_eq!(&by_controller.desired["spec"], &stands["spec"]);
    }

    #[test]
    fn an_update_that_touches_nothing_is_never_denied(bare in deployment(), declared in annotations()) {
        let stands = declaring(&bare, &declared);
        let verdict = judge(&settled(&stands), Some(&settled(&stands)));
        prop_assert_eq!(verdict.denials, vec![]);
    }

    #[test]
    fn no_annotation_text_makes_it_panic(bare in deployment(), key in "[a-z./-]{0,12}", text in hostile_text(), record in hostile_text()) {
        let mut hostile = declaring(&bare, &BTreeMap::from([("winddown.dev/drain".to_owned(), "5s".to_owned())]));
        for key in [format!("winddown.dev/{key}"), "winddown.dev/drain".to_owned(), "winddown.dev/readiness".to_owned()] {
            hostile["metadata"]["annotations"][key] = json!(text);
        }
        hostile["spec"]["template"]["metadata"]["annotations"]["winddown.dev/injected"] = json!(record);
        let settlement = settled(&hostile);
        prop_assert!(settlement.findings.iter().all(|finding| finding.message.len() < 2000));
        prop_assert_eq!(settled(&settlement.desired).desired, settlement.desired);
    }

    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), object in any_json(), old in any_json()) {
        let _ = review::mutate(&body, &Policy::default());
        let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        let request = json!({"uid": "u", "kind": kind, "object": object, "oldObject": old});
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        for webhook in [review::mutate, review::validate] {
            prop_assert!(webhook(review.to_string().as_bytes(), &Policy::default()).unwrap().allowed);
        }
    }
}

/// What pods run by: the template without record and label.
fn pods_of(deployment: &Value) -> Value {
    deployment["spec"]["template"]["spec"].clone()
}

/// JSON that is a Deployment down to some depth, and then is not.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "metadata",
        "spec",
        "template",
        "annotations",
        "containers",
        "name",
        "lifecycle",
        "preStop",
        "sleep",
        "seconds",
        "ports",
        "terminationGracePeriodSeconds",
        "winddown.dev/mode",
        "managedFields",
    ]);
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}
