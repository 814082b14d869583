//! What a change of the policy, of the label of the namespace or of the template does to what was injected before.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use serde_json::{Value, json};
use winddown_core::annotations::{BUDGET, INJECTED};
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::finding::Code;
use winddown_core::object::{LazyObject, Object};
use winddown_core::policy::{Governing, Policy};
use winddown_core::review::{Verdict, judge};

/// A policy, and whether the namespace opted in.
struct Owner {
    policy: Policy,
    opted_in: bool,
}

impl Owner {
    fn new(spec: &Value) -> Self {
        Self { policy: Policy::read(&json!({"metadata": {"name": "web"}, "spec": spec})).unwrap(), opted_in: false }
    }

    fn acting(action: &str) -> Self {
        Self::new(&json!({"validationActions": [action]}))
    }

    fn too_small(answer: &str) -> Self {
        Self::new(&json!({"validationActions": ["Deny"], "whenGracePeriodTooSmall": answer}))
    }

    fn labelled(self, opted_in: bool) -> Self {
        Self { opted_in, ..self }
    }

    fn evaluates(&self, workload: &Value, existing: Existing<'_>) -> Evaluation {
        let governing = Governing { policy: &self.policy, opted_in: self.opted_in };
        evaluate(workload, existing, governing, Origin::ApiServer).unwrap()
    }

    fn creates(&self, workload: &Value) -> Value {
        self.evaluates(workload, Existing::None).changes.apply(workload)
    }

    /// The stored object after an update; a second review and the controller change nothing more.
    fn updates(&self, old: &Value, new: &Value) -> Value {
        let old = LazyObject::from(old);
        let stored = self.evaluates(new, Existing::Replaced(&old)).changes.apply(new);
        for existing in [Existing::Replaced(&old), Existing::Unchanged] {
            assert_eq!(self.evaluates(&stored, existing).changes.apply(&stored), stored);
        }
        stored
    }

    fn reviews(&self, old: &Value, new: &Value) -> Verdict {
        let stored = self.updates(old, new);
        let evaluation = self.evaluates(&stored, Existing::Replaced(&LazyObject::from(old)));
        judge(evaluation, || Some(self.evaluates(old, Existing::Unchanged)))
    }
}

/// A Deployment with this grace period and annotations.
fn deployment(grace_period: i64, annotations: &Value) -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"name": "shop", "annotations": annotations},
        "spec": {"template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {
                "containers": [{"name": "app", "image": "shop:1"}],
                "terminationGracePeriodSeconds": grace_period,
            },
        }},
    })
}

fn declared(grace_period: i64) -> Value {
    deployment(grace_period, &json!({"winddown.dev/drain": "10s"}))
}

fn with_grace_period(workload: &Value, seconds: i64) -> Value {
    let mut workload = workload.clone();
    workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(seconds);
    workload
}

fn with_image(workload: &Value, image: &str) -> Value {
    let mut workload = workload.clone();
    workload["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    workload
}

fn touched(workload: &Value) -> Value {
    let mut workload = workload.clone();
    workload["metadata"]["labels"] = json!({"touched": "yes"});
    workload
}

fn is_injected(workload: &Value) -> bool {
    workload["spec"]["template"]["metadata"]["annotations"][INJECTED].is_string()
}

#[test]
fn a_change_to_a_misfit_removes_what_was_injected() {
    for action in ["Warn", "Audit"] {
        let owner = Owner::acting(action);
        let injected = owner.creates(&declared(60));
        assert!(is_injected(&injected));
        let fresh = owner.creates(&declared(15));
        assert_eq!(fresh["spec"], declared(15)["spec"], "nothing is injected");
        // As `kubectl apply` and as `kubectl replace` send it.
        for sent in [with_grace_period(&injected, 15), declared(15)] {
            assert_eq!(owner.updates(&injected, &sent)["spec"], fresh["spec"], "{action}");
        }
        // An annotation that leads to a misfit.
        let longer = json!({"winddown.dev/drain": "50s"});
        let mut sent = injected.clone();
        sent["metadata"]["annotations"]["winddown.dev/drain"] = json!("50s");
        assert_eq!(owner.updates(&injected, &sent)["spec"], deployment(60, &longer)["spec"], "{action}");
    }
}

/// From a cluster, or in a second call of the webhook after another one changed it.
#[test]
fn a_new_misfit_with_an_earlier_injection_loses_it() {
    for action in ["Deny", "Warn", "Audit"] {
        let owner = Owner::acting(action);
        let injected = owner.creates(&declared(60));
        assert_eq!(owner.creates(&injected), injected, "control: it fits");
        let misfit = with_grace_period(&injected, 15);
        assert_eq!(owner.creates(&misfit)["spec"], declared(15)["spec"], "{action}");
        // Nothing but the policy has changed.
        let limited = Owner::new(&json!({"validationActions": [action], "limits": {"drain": "8s"}}));
        assert_eq!(limited.creates(&injected)["spec"], declared(60)["spec"], "{action}");
    }
}

/// The map goes with its last annotation, but here another one comes.
#[test]
fn a_budget_can_replace_the_only_annotation() {
    let owner = Owner::acting("Deny").labelled(true);
    let settled = json!({"state.winddown.dev/settled": "{}"});
    let evaluation = owner.evaluates(&deployment(60, &settled), Existing::None);
    let mut patched = deployment(60, &settled);
    let patch = evaluation.changes.patch(Object::new(&deployment(60, &settled)));
    json_patch::patch(&mut patched, &patch).unwrap();
    assert_eq!(patched, evaluation.changes.apply(&deployment(60, &settled)));
    assert!(patched["metadata"]["annotations"][BUDGET].is_string(), "{patched}");
}

#[test]
fn a_misfit_by_a_change_of_the_policy_keeps_what_was_injected() {
    let injected = Owner::acting("Warn").creates(&declared(60));
    let limited = Owner::new(&json!({"validationActions": ["Warn"], "limits": {"drain": "8s"}}));
    assert!(!limited.evaluates(&injected, Existing::Unchanged).fits);
    for sent in [touched(&injected), touched(&declared(60))] {
        assert_eq!(limited.updates(&injected, &sent)["spec"], injected["spec"]);
    }
}

#[test]
fn removing_the_label_restarts_no_misfit() {
    let owner = Owner::acting("Warn").labelled(true);
    let injected = owner.creates(&deployment(60, &json!({})));
    let misfit = owner.updates(&injected, &with_grace_period(&with_image(&injected, "shop:2"), 15));
    let unlabelled = owner.labelled(false).evaluates(&misfit, Existing::Unchanged);
    assert!(!unlabelled.changes.rolls_out());
}

#[test]
fn a_raised_grace_period_stands_when_the_policy_no_longer_raises() {
    let manifest = declared(15);
    let raised = Owner::too_small("Raise").creates(&manifest);
    assert_eq!(raised, with_grace_period(&raised, 40));
    let deny = Owner::too_small("Deny");
    let standing = deny.evaluates(&raised, Existing::Unchanged);
    let misfit = |findings: &[winddown_core::finding::Finding]| {
        findings.iter().any(|finding| finding.code == Code::BudgetDoesNotFit)
    };
    assert!(standing.fits && !misfit(&standing.findings), "{:?}", standing.findings);
    assert_eq!(standing.budget.unwrap().grace_period.as_i64(), 40);
    assert_eq!(deny.reviews(&raised, &touched(&raised)).denials, []);
    // `kubectl replace` with the manifest.
    assert_eq!(deny.updates(&raised, &manifest), raised);
    // The manifest again, with another image, sets the grace period of 15.
    let applied = with_image(&with_grace_period(&raised, 15), "shop:2");
    assert!(misfit(&deny.reviews(&raised, &applied).denials));
}

#[test]
fn a_rollback_after_the_label_was_removed_brings_no_injection_back() {
    let owner = Owner::acting("Deny").labelled(true);
    let first = owner.creates(&deployment(60, &json!({})));
    assert!(is_injected(&first));
    let owner = owner.labelled(false);
    assert!(is_injected(&owner.updates(&first, &touched(&first))), "control: it stands until the template changes");
    let second = owner.updates(&first, &with_image(&first, "shop:2"));
    assert!(!is_injected(&second));
    let mut rolled_back = second.clone();
    rolled_back["spec"]["template"] = first["spec"]["template"].clone();
    assert_eq!(owner.updates(&second, &rolled_back)["spec"], deployment(60, &json!({}))["spec"]);
    // The same image again, without the injection, is followed by the same rollback.
    let third = owner.updates(&second, &deployment(60, &json!({})));
    assert_eq!(owner.updates(&third, &rolled_back)["spec"], deployment(60, &json!({}))["spec"]);
}
