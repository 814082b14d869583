//! The laws of the evaluation hold under every policy, and in namespaces that opted in.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[allow(dead_code, reason = "other tests use the rest")]
mod generated_deployments;
#[allow(dead_code, reason = "other tests use the rest")]
mod ways_of_writing;

use generated_deployments::{Annotations, annotations, declaring, deployment, malformed_text, undeclaring};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use ways_of_writing::{Way, with_defaults};
use winddown_core::annotations::Mode;
use winddown_core::duration::Seconds;
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::object::{LazyObject, Object};
use winddown_core::policy::{Governing, Limits, Policy};
use winddown_core::review::judge;

/// A policy, and whether the namespace opted in.
#[derive(Clone, Debug)]
struct Owner {
    policy: Policy,
    opted_in: bool,
}

impl Owner {
    fn evaluates(&self, workload: &Value, existing: Existing<'_>) -> Evaluation {
        let governing = Governing { policy: &self.policy, opted_in: self.opted_in };
        evaluate(workload, existing, governing, Origin::ApiServer).unwrap()
    }

    fn desires(&self, workload: &Value, existing: Existing<'_>) -> Value {
        self.evaluates(workload, existing).changes.apply(workload)
    }

    fn desires_instead(&self, workload: &Value, old: &Value) -> Value {
        self.desires(workload, Existing::Replaced(&LazyObject::from(old)))
    }

    fn unlabelled(&self) -> Self {
        Self { opted_in: false, ..self.clone() }
    }
}

fn policy(spec: &Value) -> Policy {
    Policy::read(&json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
}

fn owners() -> impl Strategy<Value = Owner> {
    let seconds = || (0_u32..60).prop_map(|seconds| format!("{seconds}s"));
    let limit = || prop::option::of((180_u32..300).prop_map(|seconds| format!("{seconds}s")));
    let actions = select(vec![json!(["Deny"]), json!(["Warn", "Audit"]), json!(["Audit"])]);
    let small = select(vec!["Deny", "Raise"]);
    (seconds(), seconds(), seconds(), limit(), limit(), actions, small, any::<bool>()).prop_map(
        |(drain, deadline, margin, grace_period, limit, actions, small, opted_in)| {
            let mut limits = json!({});
            for (field, value) in [("gracePeriod", grace_period), ("drain", limit)] {
                if let Some(value) = value {
                    limits[field] = json!(value);
                }
            }
            let policy = policy(&json!({
                "defaults": {"drain": drain, "deadline": deadline, "margin": margin},
                "limits": limits,
                "validationActions": actions,
                "whenGracePeriodTooSmall": small,
            }));
            Owner { policy, opted_in }
        },
    )
}

/// Annotations, or none.
fn maybe_annotated() -> impl Strategy<Value = Annotations> {
    prop_oneof![annotations(), Just(Annotations::new())]
}

fn pods_of(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

fn grace_period(workload: &Value) -> i64 {
    pods_of(workload)["terminationGracePeriodSeconds"].as_i64().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_second_evaluation_changes_nothing(bare in deployment(), declared in maybe_annotated(), owner in owners()) {
        let once = owner.desires(&declaring(&bare, &declared), Existing::None);
        prop_assert_eq!(&owner.desires(&once, Existing::None), &once);
        prop_assert_eq!(&owner.desires(&once, Existing::Unchanged), &once);
        prop_assert_eq!(&owner.desires_instead(&once, &once), &once);
    }

    /// The API server sets the owners of the fields anew.
    #[test]
    fn a_workload_from_another_cluster_changes_once(
        bare in deployment(), declared in annotations(), way in select(Way::ALL.to_vec()), there in owners(), here in owners(),
    ) {
        let mut exported = there.desires(&way.create(&declaring(&bare, &declared)), Existing::None);
        exported["metadata"].as_object_mut().unwrap().remove("managedFields");
        let once = here.desires(&exported, Existing::None);
        prop_assert_eq!(&here.desires(&once, Existing::None), &once);
        prop_assert_eq!(&here.desires(&once, Existing::Unchanged), &once);
    }

    #[test]
    fn without_annotations_and_label_the_template_is_the_owners(bare in deployment(), declared in maybe_annotated(), owner in owners()) {
        let injected = owner.desires(&declaring(&bare, &declared), Existing::None);
        prop_assert_eq!(owner.unlabelled().desires(&undeclaring(&injected), Existing::None), bare.clone());
        let mut off = bare.clone();
        off["metadata"]["annotations"]["winddown.dev/mode"] = json!("Off");
        prop_assert_eq!(owner.desires(&off, Existing::None), off);
    }

    #[test]
    fn the_patch_leads_to_the_desired_state(bare in deployment(), declared in maybe_annotated(), owner in owners()) {
        let mut received = declaring(&bare, &declared);
        if declared.is_empty() {
            received["metadata"].as_object_mut().unwrap().remove("annotations");
        }
        let changes = owner.evaluates(&received, Existing::None).changes;
        let mut patched = received.clone();
        json_patch::patch(&mut patched, &changes.patch(Object::new(&received))).unwrap();
        prop_assert_eq!(patched, changes.apply(&received));
    }

    #[test]
    fn hooks_probes_and_longer_grace_periods_survive(bare in deployment(), declared in maybe_annotated(), owner in owners()) {
        let Evaluation { budget, changes, .. } = owner.evaluates(&declaring(&bare, &declared), Existing::None);
        let desired = changes.apply(&bare);
        let containers = |workload: &Value| pods_of(workload)["containers"].as_array().unwrap().clone();
        for (before, after) in containers(&bare).iter().zip(containers(&desired)) {
            for pointer in ["/lifecycle/preStop", "/readinessProbe"] {
                prop_assert!(before.pointer(pointer).is_none_or(|written| after.pointer(pointer) == Some(written)));
            }
        }
        prop_assert!(grace_period(&desired) >= grace_period(&bare));
        if let Some(budget) = budget.filter(|budget| budget.sum().as_i64() <= grace_period(&bare) && grace_period(&bare) != 30) {
            prop_assert_eq!(grace_period(&desired), grace_period(&bare), "{}", budget);
        }
    }

    #[test]
    fn a_label_and_a_policy_restart_nothing(bare in deployment(), declared in maybe_annotated(), before in owners(), after in owners()) {
        let current = before.desires(&declaring(&bare, &declared), Existing::None);
        prop_assert_eq!(&after.desires(&current, Existing::Unchanged)["spec"], &current["spec"]);
        let mut touched = current.clone();
        touched["metadata"]["labels"] = json!({"touched": "yes"});
        prop_assert_eq!(&after.desires_instead(&touched, &current)["spec"], &current["spec"]);
        // As `kubectl replace` sends it.
        let mut replaced = declaring(&bare, &declared);
        replaced["metadata"]["labels"] = json!({"touched": "yes"});
        prop_assert_eq!(&after.desires_instead(&replaced, &current)["spec"], &current["spec"]);
    }

    /// Winddown saw the misfit when it was created, or later.
    #[test]
    fn a_change_of_the_owner_ends_what_a_misfit_left(
        bare in deployment(), mut declared in annotations(), before in owners(), after in owners(), seen_later in any::<bool>(),
    ) {
        declared.remove("winddown.dev/mode");
        declared.entry("winddown.dev/drain".to_owned()).or_insert_with(|| "6s".to_owned());
        let limits = Limits { grace_period: Some(Seconds::new(1)), ..Limits::default() };
        let before = Owner { policy: Policy { limits, ..before.policy }, ..before };
        let workload = declaring(&bare, &declared);
        let first = before.evaluates(&workload, if seen_later { Existing::Unchanged } else { Existing::None });
        prop_assert!(!first.fits && !first.changes.rolls_out());
        let current = first.changes.apply(&workload);
        prop_assert_eq!(&after.desires(&current, Existing::Unchanged)["spec"], &workload["spec"]);
        let with_image = |workload: &Value| {
            let mut workload = workload.clone();
            workload["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop:2");
            workload
        };
        let fresh = after.desires(&with_image(&workload), Existing::None);
        prop_assert_eq!(&after.desires_instead(&with_image(&current), &current)["spec"], &fresh["spec"]);
        // Without the state, it is the same.
        let with_mode = |workload: &Value| {
            let mut workload = workload.clone();
            workload["metadata"]["annotations"]["winddown.dev/mode"] = json!("Enforce");
            workload
        };
        let unknown = after.desires_instead(&with_mode(&workload), &workload);
        prop_assert_eq!(&after.desires_instead(&with_mode(&current), &current)["spec"], &unknown["spec"]);
        // A copy is a new workload.
        let fresh = after.desires(&workload, Existing::None);
        prop_assert_eq!(&after.desires(&current, Existing::None)["spec"], &fresh["spec"]);
    }

    #[test]
    fn a_label_and_a_policy_count_from_the_next_change_of_the_template_on(bare in deployment(), before in owners(), after in owners()) {
        let current = before.desires(&bare, Existing::None);
        let changed = |workload: &Value| {
            let mut workload = workload.clone();
            workload["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop:2");
            workload
        };
        let fresh = after.evaluates(&changed(&bare), Existing::None);
        let next = after.desires_instead(&changed(&current), &current);
        let expected = fresh.changes.apply(&changed(&bare));
        prop_assert_eq!(pods_of(&next), pods_of(&expected));
        prop_assert_eq!(&after.desires(&next, Existing::Unchanged), &next);
    }

    #[test]
    fn an_update_without_a_change_is_not_denied(bare in deployment(), declared in maybe_annotated(), before in owners(), after in owners()) {
        let current = before.desires(&declaring(&bare, &declared), Existing::None);
        let old = LazyObject::from(&current);
        let evaluation = after.evaluates(&current, Existing::Replaced(&old));
        let verdict = judge(evaluation, || Some(after.evaluates(&current, Existing::Unchanged)));
        prop_assert_eq!(verdict.denials, vec![]);
    }

    #[test]
    fn actions_change_no_injection(bare in deployment(), declared in maybe_annotated(), owner in owners()) {
        let workload = declaring(&bare, &declared);
        let other = Owner { policy: Policy { validation_actions: policy(&json!({"validationActions": ["Audit"]})).validation_actions, ..owner.policy.clone() }, ..owner.clone() };
        prop_assert_eq!(owner.desires(&workload, Existing::None), other.desires(&workload, Existing::None));
    }

    #[test]
    fn every_workload_of_a_namespace_that_opted_in_has_a_budget(bare in deployment(), owner in owners()) {
        let owner = Owner { opted_in: true, ..owner };
        let Evaluation { mode, budget, fits, changes, .. } = owner.evaluates(&bare, Existing::None);
        prop_assert_eq!((mode, budget.is_some()), (Mode::Enforce, true));
        let record = &changes.apply(&bare)["spec"]["template"]["metadata"]["annotations"]["winddown.dev/injected"];
        prop_assert_eq!(record.is_string(), fits);
    }
}

/// JSON of any type, with texts that are long or not printable.
fn nonsense() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        malformed_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,4}", inner, 0..3).prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    #[test]
    fn a_policy_that_was_edited_into_nonsense_is_read_or_has_an_error_of_one_short_line(
        field in select(vec![
            "/metadata", "/metadata/name", "/metadata/creationTimestamp", "/spec", "/spec/priority", "/spec/defaults",
            "/spec/defaults/drain", "/spec/defaults/readiness", "/spec/defaults/readiness/periodSeconds", "/spec/limits",
            "/spec/limits/gracePeriod", "/spec/namespaceSelector", "/spec/namespaceSelector/matchExpressions/0",
            "/spec/namespaceSelector/matchExpressions/0/operator", "/spec/validationActions", "/spec/validationActions/0",
            "/spec/whenGracePeriodTooSmall", "/status", "/apiVersion",
        ]),
        value in nonsense(),
    ) {
        let mut resource = json!({
            "apiVersion": "winddown.dev/v1alpha1",
            "metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
                "priority": 1,
                "defaults": {"drain": "5s", "readiness": {"periodSeconds": 5}},
                "limits": {"gracePeriod": "1h"},
                "validationActions": ["Deny"],
                "whenGracePeriodTooSmall": "Raise",
            },
            "status": {},
        });
        prop_assert!(Policy::read_strictly(&resource).is_ok());
        *resource.pointer_mut(field).unwrap() = value;
        for error in [Policy::read(&resource).err(), Policy::read_strictly(&resource).err()].into_iter().flatten() {
            let text = error.to_string();
            prop_assert!(text.len() < 1000 && !text.chars().any(char::is_control), "{}", text);
        }
    }
}

/// A manifest with this grace period and declaration.
fn manifest(grace_period: Option<i64>, declared: bool, image: &str) -> Value {
    let mut pod = json!({"containers": [{"name": "app", "image": image}]});
    if let Some(seconds) = grace_period {
        pod["terminationGracePeriodSeconds"] = json!(seconds);
    }
    let annotations = if declared { json!({"winddown.dev/drain": "10s"}) } else { json!({}) };
    let template = json!({"metadata": {"labels": {"app": "shop"}}, "spec": pod});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "annotations": annotations},
        "spec": {"template": template},
    })
}

/// Writes a manifest as a client does; a second review of the result changes nothing.
fn write(owner: &Owner, way: Way, live: Option<(&Value, &Value)>, manifest: &Value) -> Value {
    let request = live.map_or_else(|| way.create(manifest), |(live, last)| way.update(live, last, manifest));
    let request = with_defaults(&request);
    let old = live.map(|(live, _)| LazyObject::from(live));
    let existing = || old.as_ref().map_or(Existing::None, Existing::Replaced);
    let stored = owner.desires(&request, existing());
    for existing in [existing(), Existing::Unchanged] {
        assert_eq!(owner.desires(&stored, existing), stored, "{way:?}");
    }
    stored
}

#[test]
fn raise_raises_an_explicit_grace_period_and_gives_it_back() {
    let raise = json!({"validationActions": ["Deny"], "whenGracePeriodTooSmall": "Raise"});
    let raise = Owner { policy: policy(&raise), opted_in: false };
    for way in Way::ALL {
        // The grace period of 30 of a way that leaves no trace looks like the default, which is raised as well.
        for was in [10, 30] {
            let declared = manifest(Some(was), true, "shop:1");
            let mut live = write(&raise, way, None, &declared);
            assert_eq!(grace_period(&live), 40, "{way:?} {was}");
            // Applying the same manifest again, as GitOps does every few minutes.
            for _ in 0..2 {
                let again = write(&raise, way, Some((&live, &declared)), &declared);
                assert_eq!(again["spec"], live["spec"], "{way:?} {was}: no rollout");
                live = again;
            }
            let next = manifest(Some(was), true, "shop:2");
            let live = write(&raise, way, Some((&live, &declared)), &next);
            assert_eq!(grace_period(&live), 40, "{way:?} {was}");
            let undeclared = manifest(Some(was), false, "shop:2");
            let live = write(&raise, way, Some((&live, &next)), &undeclared);
            assert_eq!(grace_period(&live), was, "{way:?}");
            assert_eq!(live["spec"], undeclared["spec"], "{way:?} {was}: field for field");
        }
    }
}

#[test]
fn a_longer_grace_period_that_the_owner_writes_after_a_raise_stands() {
    let spec = |small: &str| json!({"validationActions": ["Deny"], "whenGracePeriodTooSmall": small});
    let [raise, deny] = ["Raise", "Deny"].map(|small| Owner { policy: policy(&spec(small)), opted_in: false });
    for way in [Way::ClientSideApply, Way::ServerSideApply] {
        for longer in [40, 60] {
            let declared = manifest(Some(10), true, "shop:1");
            let live = write(&raise, way, None, &declared);
            let (longer_one, next) = (manifest(Some(longer), true, "shop:1"), manifest(Some(longer), true, "shop:2"));
            let live = write(&raise, way, Some((&live, &declared)), &longer_one);
            assert_eq!(grace_period(&live), longer, "{way:?}");
            // The policy raises nothing any more, and the manifest needs nothing.
            let old = LazyObject::from(&live);
            let request = with_defaults(&way.update(&live, &longer_one, &next));
            assert!(deny.evaluates(&request, Existing::Replaced(&old)).fits, "{way:?} {longer}");
            let live = write(&deny, way, Some((&live, &longer_one)), &next);
            let undeclared = manifest(Some(longer), false, "shop:2");
            let live = write(&deny, way, Some((&live, &next)), &undeclared);
            assert_eq!(grace_period(&live), longer, "{way:?}");
        }
    }
}

#[test]
fn a_forged_record_lowers_no_grace_period_of_the_owner() {
    let raise = json!({"validationActions": ["Deny"], "whenGracePeriodTooSmall": "Raise"});
    let raise = Owner { policy: policy(&raise), opted_in: false };
    let declared = manifest(Some(60), true, "shop:1");
    let record = |change: &str| {
        let version = if change.contains("explicit") { 2 } else { 1 };
        format!(r#"{{"v":{version},"template":"x","declared":"","resolved":"","gracePeriod":{change}}}"#)
    };
    for change in [
        r#"{"was":10,"set":60}"#,
        r#"{"was":60,"set":60,"explicit":true}"#,
        r#"{"was":-1,"set":60,"explicit":true}"#,
        r#"{"set":60,"explicit":true}"#,
    ] {
        let mut forged = Way::Helm3.create(&declared);
        forged["spec"]["template"]["metadata"]["annotations"] = json!({"winddown.dev/injected": record(change)});
        assert_eq!(grace_period(&raise.desires(&forged, Existing::None)), 60, "{change}");
        let removed = raise.desires(&undeclaring(&forged), Existing::None);
        assert_eq!(grace_period(&removed), 60, "{change}");
    }
}
