//! Invariants of the evaluation, tested with generated Deployments.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod generated_deployments;

use std::collections::BTreeMap;

use generated_deployments::{Annotations, annotations, declaring, deployment, malformed_text, undeclaring};
use proptest::prelude::*;
use serde_json::{Value, json};
use winddown_core::annotations::Mode;
use winddown_core::budget::Budget;
use winddown_core::duration::Seconds;
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::finding::{Code, Finding};
use winddown_core::object::{LazyObject, Object, PartialObject};
use winddown_core::plan::lanes::Role;
use winddown_core::policy::{Limits, Namespace, Policies, Policy};
use winddown_core::review::{self, Answer, Request, ReviewError, Scope, judge};

/// An evaluation and the desired object.
struct Evaluated {
    evaluation: Evaluation,
    desired: Value,
}

fn evaluated_as(deployment: &Value, existing: Existing<'_>, policy: &Policy) -> Evaluated {
    let evaluation = evaluate(deployment, existing, policy, Origin::ApiServer).unwrap();
    let desired = evaluation.changes.apply(deployment);
    Evaluated { evaluation, desired }
}

/// Evaluates a Deployment that is created.
fn evaluated(deployment: &Value) -> Evaluated {
    evaluated_as(deployment, Existing::None, &Policy::default())
}

/// Evaluates a Deployment that replaces another one.
fn replacing(deployment: &Value, old: &Value, policy: &Policy) -> Evaluated {
    evaluated_as(deployment, Existing::Replaced(&LazyObject::from(old)), policy)
}

fn containers(deployment: &Value) -> BTreeMap<String, Value> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().map(|container| (container["name"].to_string(), container.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn evaluation_is_idempotent(bare in deployment(), declared in annotations()) {
        let once = evaluated(&declaring(&bare, &declared)).desired;
        prop_assert_eq!(evaluated(&once).desired, once);
    }

    #[test]
    fn removing_the_annotations_restores_the_deployment_field_for_field(bare in deployment(), declared in annotations()) {
        let injected = evaluated(&declaring(&bare, &declared)).desired;
        prop_assert_eq!(evaluated(&undeclaring(&injected)).desired, bare);
    }

    #[test]
    fn only_the_last_declaration_is_applied(bare in deployment(), first in annotations(), second in annotations()) {
        let after_first = evaluated(&declaring(&bare, &first)).desired;
        let after_both = evaluated(&declaring(&undeclaring(&after_first), &second));
        let after_second = evaluated(&declaring(&bare, &second));
        let Evaluation { mode, budget, findings, .. } = &after_second.evaluation;
        if *mode == Mode::Enforce && budget.is_none() && findings.iter().any(Finding::is_error) {
            // It cannot be read, so nothing changes.
            prop_assert_eq!(&after_both.desired["spec"], &after_first["spec"]);
        } else {
            prop_assert_eq!(pods_of(&after_both.desired), pods_of(&after_second.desired));
        }
    }

    #[test]
    fn without_a_declaration_nothing_changes(bare in deployment()) {
        prop_assert_eq!(evaluated(&bare).desired, bare);
    }

    #[test]
    fn the_patch_leads_to_the_desired_state(bare in deployment(), declared in annotations()) {
        let received = declaring(&bare, &declared);
        let Evaluated { evaluation, desired } = evaluated(&received);
        let mut patched = received.clone();
        json_patch::patch(&mut patched, &evaluation.changes.patch(Object::new(&received))).unwrap();
        prop_assert_eq!(patched, desired);
    }

    #[test]
    fn values_of_the_user_are_never_overwritten(bare in deployment(), declared in annotations()) {
        let desired = evaluated(&declaring(&bare, &declared)).desired;
        let after = containers(&desired);
        for (name, before) in containers(&bare) {
            for pointer in ["/lifecycle/preStop", "/readinessProbe"] {
                if let Some(original) = before.pointer(pointer) {
                    prop_assert_eq!(after[&name].pointer(pointer), Some(original), "{} {}", &name, pointer);
                }
            }
        }
        for (name, before) in containers(&bare) {
            prop_assert_eq!(own_variables(&after[&name], &before), before["env"].as_array().cloned().unwrap_or_default());
        }
        let grace_period = |of: &Value| of["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap();
        prop_assert!(grace_period(&desired) >= grace_period(&bare));
        let init = |of: &Value| of["spec"]["template"]["spec"]["initContainers"].clone();
        prop_assert_eq!(init(&desired), init(&bare));
    }

    #[test]
    fn injected_values_that_the_owner_applies_are_kept(bare in deployment(), declared in annotations()) {
        let current = evaluated(&declaring(&bare, &declared)).desired;
        // As after `kubectl apply` of exactly the current values.
        let mut written = current.clone();
        let key = "kubectl.kubernetes.io/last-applied-configuration";
        written["metadata"]["annotations"][key] = json!(json!({"spec": current["spec"]}).to_string());
        let applied = replacing(&written, &current, &Policy::default());
        prop_assert_eq!(&applied.desired["spec"], &current["spec"]);
        let undeclared = evaluated(&undeclaring(&written)).desired;
        prop_assert_eq!(pods_of(&undeclared), pods_of(&current));
    }

    #[test]
    fn an_app_that_keeps_to_its_variables_is_not_killed(bare in deployment(), declared in annotations()) {
        let Evaluated { evaluation: Evaluation { mode, timeline, budget, findings, .. }, desired } = evaluated(&declaring(&bare, &declared));
        let injected = mode == Mode::Enforce && timeline.is_some() && !findings.iter().any(Finding::is_error);
        let exposed = injected && declared.contains_key("winddown.dev/expose");
        let (before, lanes) = (containers(&bare), timeline.map(|timeline| timeline.lanes).unwrap_or_default());
        for (name, after) in containers(&desired) {
            let lane = lanes.iter().find(|lane| format!("\"{}\"", lane.container) == name);
            let owned = |variable: &str| before[&name]["env"].as_array().is_some_and(|own| own.iter().any(|own| own["name"] == variable));
            let names = ["DRAIN", "DEADLINE", "GRACE_PERIOD"].map(|name| format!("WINDDOWN_{name}_SECONDS"));
            let [drain, deadline, grace_period] = names.each_ref().map(|variable| {
                let mut all = after["env"].as_array().into_iter().flatten();
                let found = all.find(|found| found["name"] == **variable).filter(|_| !owned(variable));
                found.map(|found| found["value"].as_str().unwrap().parse::<i64>().unwrap())
            });
            let of_app = exposed && lane.is_some_and(|lane| lane.role == Role::App);
            let expected = if of_app { names.iter().filter(|variable| !owned(variable)).count() } else { 0 };
            prop_assert_eq!([drain, deadline, grace_period].iter().flatten().count(), expected, "{}", name);
            let count = after["env"].as_array().map_or(0, Vec::len) - before[&name]["env"].as_array().map_or(0, Vec::len);
            prop_assert_eq!(count, expected);
            let numbers = deadline.zip(grace_period).zip(budget.as_ref()).zip(lane);
            if let Some((((deadline, grace_period), budget), lane)) = numbers {
                prop_assert_eq!(json!(grace_period), desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].clone());
                let (signal_at, margin) = (lane.signal_at.as_i64(), budget.margin.as_i64());
                let sum = signal_at + deadline + margin;
                prop_assert!(sum <= grace_period, "{signal_at} + {deadline} + {margin} > {grace_period}");
            }
        }
    }

    #[test]
    fn an_injected_budget_fits(bare in deployment(), declared in annotations()) {
        let Evaluated { evaluation: Evaluation { mode, budget, findings, .. }, desired } = evaluated(&declaring(&bare, &declared));
        let fits = budget.as_ref().is_none_or(Budget::fits);
        let errors = findings.iter().any(Finding::is_error);
        prop_assert!(fits || errors, "{:?}", budget);
        if let Some(budget) = budget.filter(|_| !errors && mode == Mode::Enforce) {
            let grace_period = &desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
            prop_assert_eq!(grace_period, &json!(budget.grace_period.as_i64()));
        }
    }

    #[test]
    fn the_pod_needs_its_longest_lane_and_only_an_app_that_does_not_fit_is_an_error(bare in deployment(), declared in annotations()) {
        let Evaluation { budget, timeline, findings, .. } = evaluated(&declaring(&bare, &declared)).evaluation;
        prop_assume!(budget.is_some());
        let (budget, timeline) = (budget.unwrap(), timeline.unwrap());
        let has = |code| findings.iter().any(|finding| finding.code == code);
        let too_long = |role| timeline.lanes.iter().any(|lane| lane.role == role && lane.needs > budget.grace_period);
        prop_assert_eq!(Some(budget.needed()), timeline.lanes.iter().map(|lane| lane.needs).max());
        prop_assert!(timeline.lanes.iter().any(|lane| lane.role == Role::App));
        prop_assert_eq!(too_long(Role::App), has(Code::BudgetDoesNotFit));
        if too_long(Role::Helper) {
            prop_assert!(has(Code::HelperDoesNotFit));
        }
        // A known stop that SIGKILL cuts off is reported.
        prop_assert!(timeline.killed_early().is_none() || has(Code::BudgetDoesNotFit) || has(Code::HelperDoesNotFit));
    }

    #[test]
    fn a_later_version_replaces_no_pods(bare in deployment(), declared in annotations(), margin in 0_u32..100) {
        let later = Policy { margin: Seconds::new(margin), drain: Seconds::new(7), readiness_period: 11, ..Policy::default() };
        let first = evaluated(&declaring(&bare, &declared));
        // Nothing is injected for a budget that does not fit, so the later version injects it if it fits then.
        prop_assume!(!first.evaluation.findings.iter().any(Finding::is_error));
        let current = first.desired;
        let mut touched = current.clone();
        touched["metadata"]["labels"] = json!({"touched": "yes"});
        prop_assert_eq!(&replacing(&touched, &current, &later).desired["spec"], &current["spec"]);
        prop_assert_eq!(&evaluated_as(&current, Existing::Unchanged, &later).desired["spec"], &current["spec"]);
    }

    #[test]
    fn a_forged_settled_state_only_keeps_the_template(bare in deployment(), declared in annotations(), other in annotations(), text in malformed_text(), margin in 0_u32..100) {
        let key = "state.winddown.dev/settled";
        // Of another declaration, of another version, of this very template, of one that did not fit, or not from Winddown.
        let settled = |annotations: &Annotations, policy: &Policy| {
            let workload = declaring(&bare, annotations);
            evaluated_as(&workload, Existing::Unchanged, policy).desired["metadata"]["annotations"][key].clone()
        };
        let later = Policy { margin: Seconds::new(margin), ..Policy::default() };
        let honest = declaring(&bare, &declared);
        let unforged = evaluated_as(&honest, Existing::Unchanged, &Policy::default());
        let strict = Policy { limits: Limits { grace_period: Some(Seconds::new(1)), ..Limits::default() }, ..Policy::default() };
        for forged in [settled(&other, &Policy::default()), settled(&declared, &later), settled(&declared, &strict), json!(text)] {
            if forged.is_null() {
                continue;
            }
            let mut workload = honest.clone();
            workload["metadata"]["annotations"][key] = forged;
            let Evaluated { evaluation, desired } = evaluated_as(&workload, Existing::Unchanged, &Policy::default());
            prop_assert_eq!(&evaluation.findings, &unforged.evaluation.findings, "no denial is suppressed or added");
            let spec = &desired["spec"];
            prop_assert!(spec == &honest["spec"] || spec == &unforged.desired["spec"], "no other rollout");
        }
    }

    #[test]
    fn a_template_that_was_found_sufficient_is_never_rolled_out_by_a_later_version(bare in deployment(), declared in annotations(), margin in 0_u32..100) {
        let later = Policy { margin: Seconds::new(margin), drain: Seconds::new(7), deadline: Seconds::new(40), ..Policy::default() };
        let first = evaluated_as(&declaring(&bare, &declared), Existing::Unchanged, &Policy::default());
        prop_assume!(!first.evaluation.findings.iter().any(Finding::is_error));
        let current = first.desired;
        prop_assert_eq!(&evaluated_as(&current, Existing::Unchanged, &later).desired, &current);
        prop_assert_eq!(&replacing(&current, &current, &later).desired, &current);
        prop_assert_eq!(&evaluated(&undeclaring(&current)).desired["spec"], &bare["spec"]);
    }

    #[test]
    fn the_partial_parse_of_the_webhook_evaluates_like_the_whole_object(bare in deployment(), declared in annotations(), managers in any_json()) {
        let mut whole = declaring(&bare, &declared);
        whole["metadata"]["managedFields"] = managers;
        whole["status"] = json!({"replicas": 3});
        let PartialObject::Read(parsed) = winddown_core::object::parse(&whole.to_string()).unwrap() else {
            panic!("too large")
        };
        prop_assert_eq!(evaluated(&parsed).evaluation, evaluated(&whole).evaluation);
    }

    #[test]
    fn an_update_without_a_change_is_not_denied(bare in deployment(), declared in annotations()) {
        let current = declaring(&bare, &declared);
        let verdict = judge(evaluated(&current).evaluation, || Some(evaluated(&current).evaluation));
        prop_assert_eq!(verdict.denials, vec![]);
    }

    #[test]
    fn no_annotation_causes_a_panic(bare in deployment(), key in "[a-z./-]{0,12}", text in malformed_text(), record in malformed_text()) {
        let mut malformed = declaring(&bare, &BTreeMap::from([("winddown.dev/drain".to_owned(), "5s".to_owned())]));
        for key in [format!("winddown.dev/{key}"), "winddown.dev/drain".to_owned(), "winddown.dev/readiness".to_owned()] {
            malformed["metadata"]["annotations"][key] = json!(text);
        }
        malformed["spec"]["template"]["metadata"]["annotations"]["winddown.dev/injected"] = json!(record);
        let Evaluated { evaluation, desired } = evaluated(&malformed);
        prop_assert!(evaluation.findings.iter().all(|finding| finding.message().len() < 2000));
        prop_assert_eq!(evaluated(&desired).desired, desired);
    }

    #[test]
    fn no_body_causes_a_panic(body in prop::collection::vec(any::<u8>(), 0..200), object in any_json(), old in any_json()) {
        let _ = answered(review::mutate, &body);
        let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        let request = json!({"uid": "u", "kind": kind, "object": object, "oldObject": old});
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        for webhook in [review::mutate as Webhook, review::validate] {
            prop_assert!(answered(webhook, review.to_string().as_bytes()).unwrap().allowed);
        }
    }
}

/// The variables of a container without the injected ones, which come first.
fn own_variables(after: &Value, before: &Value) -> Vec<Value> {
    let count = |container: &Value| container["env"].as_array().map_or(0, Vec::len);
    let injected = count(after) - count(before);
    after["env"].as_array().into_iter().flatten().skip(injected).cloned().collect()
}

type Webhook = fn(&Request<'_>, Scope<'_>) -> Result<Answer, ReviewError>;

/// The answer under the built-in policy.
fn answered(webhook: Webhook, body: &[u8]) -> Result<Answer, ReviewError> {
    let policies = Policies::default();
    webhook(&Request::read(body)?, Scope::new(policies.for_namespace(&Namespace::default())))
}

/// The pod spec.
fn pods_of(deployment: &Value) -> Value {
    deployment["spec"]["template"]["spec"].clone()
}

/// JSON with fields of a Deployment in arbitrary places.
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
