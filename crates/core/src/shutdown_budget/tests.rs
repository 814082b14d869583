//! The status of a workload from its first evaluation on.

mod golden;
mod nonsense;
mod replay;

use serde_json::{Value, json};

use super::{Computed, Next, Pods, ShutdownBudgetStatus, Update};
use crate::duration::Seconds;
use crate::evaluation::{Existing, Origin, evaluate};
use crate::observation::example::{at, stop};
use crate::observation::{Outcome, Stop, Timestamp};
use crate::policy::Policy;

/// A Deployment as its owner writes it.
pub(super) fn workload(annotations: &Value, grace_period: i64) -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 3, "annotations": annotations},
        "spec": {"template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app"}], "terminationGracePeriodSeconds": grace_period},
        }},
    })
}

pub(super) fn fits() -> Value {
    workload(&json!({"winddown.dev/drain": "5s"}), 30)
}

/// As the webhook stores it.
pub(super) fn injected(workload: &Value) -> Value {
    evaluate(workload, Existing::None, &Policy::default(), Origin::ApiServer).unwrap().changes.apply(workload)
}

pub(super) fn computed(stored: &Value) -> Computed {
    let evaluation = evaluate(stored, Existing::Unchanged, &Policy::default(), Origin::ApiServer).unwrap();
    Computed::of(stored, &evaluation, None)
}

/// The next status after the previous one was stored: through JSON.
pub(super) fn next(before: &ShutdownBudgetStatus, update: &Update<'_>, now: Timestamp) -> Next {
    let stored: ShutdownBudgetStatus = serde_json::from_value(serde_json::to_value(before).unwrap()).unwrap();
    assert_eq!(&stored, before, "it is read as it was written");
    let next = stored.next(update, now);
    let again = next.status.next(update, now);
    assert_eq!((&again.status, &*again.events, &*again.admitted), (&next.status, &[][..], &[][..]), "idempotent");
    next
}

pub(super) fn written(computed: &Computed) -> ShutdownBudgetStatus {
    next(&ShutdownBudgetStatus::default(), &Update { computed: Some(computed), ..Update::default() }, at(0)).status
}

pub(super) fn reasons(next: &Next) -> Vec<&'static str> {
    next.events.iter().map(|event| event.reason).collect()
}

/// Status, reason and message of a condition.
fn condition<'a>(status: &'a ShutdownBudgetStatus, name: &str) -> (&'a str, &'a str, &'a str) {
    let condition = status.condition(name).unwrap();
    (&condition.status, &condition.reason, &condition.message)
}

#[test]
fn a_new_workload_is_reported_once_and_never_again_by_another_leader() {
    let computed = computed(&injected(&fits()));
    let update = Update { computed: Some(&computed), is_new: true, ..Update::default() };
    let first = next(&ShutdownBudgetStatus::default(), &update, at(0));
    assert_eq!(reasons(&first), ["BudgetApplied"]);
    let restarted = next(&first.status, &update, at(60));
    assert_eq!((reasons(&restarted), restarted.status), (vec![], first.status));
}

#[test]
fn a_workload_that_existed_is_not_reported_and_its_next_change_is() {
    let first = written(&computed(&injected(&fits())));
    let changed = computed(&injected(&workload(&json!({"winddown.dev/drain": "6s"}), 30)));
    let update = Update { computed: Some(&changed), ..Update::default() };
    assert_eq!(reasons(&next(&first, &update, at(1))), ["BudgetApplied"]);
}

#[test]
fn the_conditions_say_what_became_of_the_budget() {
    let audit = json!({"winddown.dev/drain": "5s", "winddown.dev/mode": "Audit"});
    let off = json!({"winddown.dev/drain": "5s", "winddown.dev/mode": "Off"});
    let misfit = workload(&json!({"winddown.dev/drain": "5s"}), 20);
    let typo = workload(&json!({"winddown.dev/drian": "5s"}), 30);
    let sum = "drain 5s + deadline 25s (default) + margin 5s = 35s of 35s";
    for (stored, declared, fits, injected) in [
        (
            injected(&fits()),
            true,
            ("True", "Fits", sum),
            ("True", "Injected", "preStop sleep 5s into app, grace period 30s → 35s"),
        ),
        (fits(), true, ("True", "Fits", sum), ("False", "Pending", super::conditions::PENDING)),
        (
            misfit,
            true,
            (
                "False",
                "DoesNotFit",
                "BudgetDoesNotFit: spec.template.spec.terminationGracePeriodSeconds: drain 5s + deadline 25s + margin 5s = 35s, \
                 15s more than the grace period of 20s; set it to 35, remove it, or lower winddown.dev/drain, winddown.dev/deadline or winddown.dev/margin",
            ),
            ("False", "DoesNotFit", "a budget that does not fit is not injected"),
        ),
        (
            workload(&audit, 30),
            true,
            ("True", "Fits", sum),
            ("False", "Audit", "winddown.dev/mode is Audit: nothing is injected"),
        ),
        (
            workload(&off, 30),
            true,
            ("Unknown", "Off", "winddown.dev/mode is Off"),
            ("False", "Off", "winddown.dev/mode is Off"),
        ),
        (
            typo,
            true,
            (
                "False",
                "Invalid",
                "UnknownAnnotation: metadata.annotations[winddown.dev/drian]: unknown annotation; did you mean winddown.dev/drain?",
            ),
            ("False", "NotEvaluated", "without a valid budget, nothing is injected"),
        ),
        // Its Event says that the annotation has no effect alone.
        (
            workload(&json!({"winddown.dev/margin": "5s"}), 30),
            true,
            (
                "Unknown",
                "NotEvaluated",
                "NotOptedIn: metadata.annotations[winddown.dev/margin]: has no effect alone; add winddown.dev/drain, \
                 winddown.dev/deadline, winddown.dev/traffic or winddown.dev/runtime",
            ),
            ("False", "NotEvaluated", "without a valid budget, nothing is injected"),
        ),
        (
            workload(&json!({}), 30),
            false,
            ("Unknown", "NotEvaluated", "no budget could be computed"),
            ("False", "NotEvaluated", "without a valid budget, nothing is injected"),
        ),
    ] {
        let computed = computed(&stored);
        let status = written(&computed);
        assert_eq!((condition(&status, "Fits"), condition(&status, "Injected")), (fits, injected));
        assert_eq!(computed.is_declared(), declared);
        assert_eq!((status.workload_generation, status.workload.as_deref()), (Some(3), Some("Deployment/web")));
        assert_eq!(status.fingerprint(), computed.fingerprint(), "{stored}");
    }
}

#[test]
fn a_workload_that_cannot_be_evaluated_says_why_once() {
    let workload = workload(&json!({}), 30);
    let computed = Computed::not_evaluated(&workload, "spec.template has 1001 containers");
    let update = Update { computed: Some(&computed), ..Update::default() };
    let first = next(&ShutdownBudgetStatus::default(), &update, at(0));
    assert_eq!(reasons(&first), ["NotEvaluated"]);
    let problem = ("Unknown", "NotEvaluated", "spec.template has 1001 containers");
    assert_eq!((condition(&first.status, "Fits"), condition(&first.status, "Injected")), (problem, problem));
    assert_eq!(first.status.fingerprint(), computed.fingerprint());
}

#[test]
fn pods_follow_the_template() {
    let (with, without) = (written(&computed(&injected(&fits()))), written(&computed(&fits())));
    let pods = |current, old, none| Some(Pods { current, old, none });
    for (status, pods, carried, expected) in [
        (&with, None, None, ("Unknown", "NotCounted", "the pods were not counted yet")),
        (&with, pods(0, 0, 0), Some("0/0"), ("Unknown", "NoPods", "no pod is running")),
        (&with, pods(2, 1, 0), Some("2/3"), ("False", "InProgress", "2 of 3 running pods carry the current budget")),
        (&with, pods(0, 0, 1), Some("0/1"), ("False", "InProgress", "0 of 1 running pods carry the current budget")),
        (&with, pods(3, 0, 0), Some("3/3"), ("True", "Complete", "3 of 3 running pods carry the current budget")),
        (&without, pods(0, 0, 3), Some("0/3"), ("Unknown", "NotInjected", "see Injected")),
    ] {
        let next = next(status, &Update { pods, ..Update::default() }, at(1)).status;
        assert_eq!((next.carried.as_deref(), condition(&next, "RolledOut")), (carried, expected));
        assert_eq!(next.fingerprint(), status.fingerprint(), "what was computed stays");
    }
}

#[test]
fn pods_that_were_counted_under_another_budget_do_not_count_as_rolled_out() {
    let pods = Some(Pods { current: 3, old: 0, none: 0 });
    let rolled_out = written(&computed(&injected(&fits()))).next(&Update { pods, ..Update::default() }, at(1)).status;
    let mut scaled = injected(&fits());
    scaled["metadata"]["generation"] = json!(4);
    let other = injected(&workload(&json!({"winddown.dev/drain": "6s"}), 30));
    for (stored, expected) in [(scaled, ("True", "Complete")), (other, ("Unknown", "NotCounted"))] {
        let computed = computed(&stored);
        let next = next(&rolled_out, &Update { computed: Some(&computed), ..Update::default() }, at(2)).status;
        let (status, reason, _) = condition(&next, "RolledOut");
        assert_eq!((status, reason), expected);
    }
}

#[test]
fn a_change_of_the_replicas_changes_only_the_generation() {
    let mut scaled = injected(&fits());
    scaled["metadata"]["generation"] = json!(4);
    let (before, after) = (computed(&injected(&fits())), computed(&scaled));
    assert_ne!(before.fingerprint(), after.fingerprint());
    assert_eq!(before.content_fingerprint(), after.content_fingerprint());
    assert_eq!(written(&before).content_fingerprint(), after.content_fingerprint());
    let other = computed(&injected(&workload(&json!({"winddown.dev/drain": "6s"}), 30)));
    assert_ne!(before.content_fingerprint(), other.content_fingerprint());
}

#[test]
fn a_condition_keeps_its_time_while_its_status_stays() {
    let status = written(&computed(&injected(&fits())));
    let times = |status: &ShutdownBudgetStatus| -> Vec<_> {
        status.conditions.iter().map(|condition| Timestamp::from(&condition.last_transition_time)).collect()
    };
    let pods = Some(Pods { current: 1, old: 1, none: 0 });
    let next = next(&status, &Update { pods, ..Update::default() }, at(60)).status;
    assert_eq!((times(&status), times(&next)), (vec![at(0); 4], vec![at(0), at(0), at(60), at(0)]));
}

#[test]
fn the_stops_of_the_last_template_decide_whether_the_promise_was_kept() {
    let status = written(&computed(&injected(&fits())));
    for (outcome, expected) in [
        (None, ("Unknown", "NoStops")),
        (Some(Outcome::Clean), ("True", "InTime")),
        (Some(Outcome::OutOfMemory), ("Unknown", "NoStops")),
        (Some(Outcome::Failed), ("False", "Failed")),
        (Some(Outcome::Killed), ("False", "Killed")),
    ] {
        let stops: Vec<_> = outcome.map(|outcome| stop(1, outcome, 4)).into_iter().collect();
        let next = next(&status, &Update { stops: &stops, ..Update::default() }, at(1));
        let (honoured, reason, _) = condition(&next.status, "Honoured");
        assert_eq!((honoured, reason), expected);
        assert_eq!(next.status.shutdowns.unwrap().count, i64::try_from(stops.len()).unwrap());
    }
}

#[test]
fn the_first_status_counts_what_ended_after_the_first_evaluation() {
    let computed = computed(&injected(&fits()));
    let stops = [stop(39, Outcome::Clean, 4), stop(40, Outcome::Clean, 4), stop(90, Outcome::Clean, 4)];
    for (evaluated, admitted) in [(None, vec![]), (Some(at(40)), vec![1, 2]), (Some(at(900)), vec![])] {
        let update = Update { computed: Some(&computed), evaluated, stops: &stops, ..Update::default() };
        assert_eq!(next(&ShutdownBudgetStatus::default(), &update, at(100)).admitted, admitted, "{evaluated:?}");
        let update = Update { evaluated: Some(at(80)), ..update };
        assert_eq!(next(&written(&computed), &update, at(100)).admitted, [0, 1, 2], "a later one does not begin again");
    }
}

#[test]
fn a_kill_is_an_event_and_the_next_one_waits() {
    let status = written(&computed(&injected(&fits())));
    let stops: [Stop; 3] = [stop(1, Outcome::Killed, 30), stop(2, Outcome::Clean, 4), stop(100, Outcome::Killed, 30)];
    let first = next(&status, &Update { stops: &stops[..2], ..Update::default() }, at(2));
    assert_eq!((reasons(&first), &*first.admitted, first.again), (vec!["ShutdownKilled"], &[0, 1][..], None));
    let second = next(&first.status, &Update { stops: &stops, ..Update::default() }, at(102));
    assert_eq!((reasons(&second), &*second.admitted), (vec![], &[2][..]));
    assert_eq!(second.again, Some(Seconds::new(200)));
    assert_eq!(second.status.event_due_in(at(102)), second.again, "also for the next leader");
    let due = next(&second.status, &Update::default(), at(302));
    assert_eq!(due.status.event_due_in(at(302)), None);
    assert_eq!((reasons(&due), due.again), (vec!["ShutdownKilled"], None));
}

#[test]
fn a_pod_that_is_older_than_the_workload_belonged_to_an_earlier_one_with_its_name() {
    let first = written(&computed(&injected(&fits())));
    let of_pod =
        |created: i64| Stop { uid: created.to_string(), created: at(created), ..stop(100, Outcome::Killed, 30) };
    let stops = [of_pod(-1), of_pod(0), of_pod(1)];
    // The clocks of two API servers may differ by five seconds.
    for (created, admitted) in [(None, vec![0, 1, 2]), (Some(at(5)), vec![1, 2]), (Some(at(7)), vec![])] {
        let update = Update { created, stops: &stops, ..Update::default() };
        assert_eq!(next(&first, &update, at(110)).admitted, admitted, "{created:?}");
    }
}
