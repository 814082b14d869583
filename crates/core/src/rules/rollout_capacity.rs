//! A rollout that stops all pods before there is a new one: however orderly each of them stops, nobody is left to answer.

use super::Subject;
use crate::finding::{Code, Finding};
use crate::kind::Kind;
use crate::workload::{Amount, Step};

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    finding(subject).into_iter().collect()
}

fn finding(subject: &Subject<'_>) -> Option<Finding> {
    let workload = subject.workload;
    let strategy = strategy_field(workload.kind);
    match (&workload.rollout.step, workload.rollout.replicas) {
        (_, Some(0)) | (Step::OnDelete, _) => None,
        (Step::AllAtOnce, replicas) => {
            let message = format!(
                "Recreate stops {} before the first new one starts; up to {} without an answer; use RollingUpdate",
                all(replicas.unwrap_or(1)),
                subject.budget.needed()
            );
            Some(Finding::new(Code::NoPodDuringRollout, format!("{strategy}.type"), message))
        }
        (Step::Some { .. }, Some(1)) if workload.kind == Kind::StatefulSet => {
            let message = format!(
                "the only pod stops before its successor starts; up to {} and a start without an answer",
                subject.budget.needed()
            );
            Some(Finding::new(Code::SingleStatefulPod, "spec.replicas", message))
        }
        (Step::Some { max_unavailable, max_surge }, replicas) => {
            let (field, message) = match left(*max_unavailable, *max_surge, replicas) {
                Left::Some => return None,
                Left::None => {
                    let all = replicas.map_or_else(|| "all pods".to_owned(), all);
                    let share = spelt(*max_unavailable);
                    ("maxUnavailable", format!("{share} lets a rollout stop {all} at once; lower it"))
                }
                Left::NoneForWantOfRoom => {
                    ("maxSurge", "without a surge a rollout has to stop the only pod first; set this to 1".to_owned())
                }
            };
            Some(Finding::new(Code::RolloutTakesAllCapacity, format!("{strategy}.rollingUpdate.{field}"), message))
        }
    }
}

/// What a rollout leaves while it stops pods.
enum Left {
    Some,
    None,
    /// The Deployment controller lets one pod go where neither number would let it move, and there is only one.
    NoneForWantOfRoom,
}

/// On nodes nobody knows how many pods there are, so only a share tells; nor does a surge replace what is missing there.
fn left(max_unavailable: Amount, max_surge: Amount, replicas: Option<u32>) -> Left {
    let Some(replicas) = replicas else {
        return if matches!(max_unavailable, Amount::Percent(100..)) { Left::None } else { Left::Some };
    };
    match (max_unavailable.rounded_down(replicas), max_surge.rounded_up(replicas)) {
        (0, 0) if replicas == 1 => Left::NoneForWantOfRoom,
        (unavailable, _) if unavailable >= replicas => Left::None,
        _ => Left::Some,
    }
}

fn all(replicas: u32) -> String {
    if replicas == 1 { "the only pod".to_owned() } else { format!("all {replicas} pods") }
}

fn spelt(amount: Amount) -> String {
    match amount {
        Amount::Pods(pods) => pods.to_string(),
        Amount::Percent(percent) => format!("{percent}%"),
    }
}

fn strategy_field(kind: Kind) -> &'static str {
    match kind {
        Kind::Deployment => "spec.strategy",
        Kind::StatefulSet | Kind::DaemonSet => "spec.updateStrategy",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{NoPodDuringRollout, RolloutTakesAllCapacity, SingleStatefulPod};
    use crate::rules::tests::{deployment, fires, silent};

    fn of(kind: &str, replicas: Option<u32>, strategy: &Value) -> Value {
        deployment(|workload| {
            workload["kind"] = json!(kind);
            workload["spec"]["replicas"] = json!(replicas);
            let field = if kind == "Deployment" { "strategy" } else { "updateStrategy" };
            workload["spec"][field] = strategy.clone();
        })
    }

    fn rolling(max_unavailable: &Value, max_surge: &Value) -> Value {
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": max_unavailable, "maxSurge": max_surge}})
    }

    #[test]
    fn a_rollout_that_may_stop_all_pods_at_once_leaves_nobody() {
        for (kind, replicas, strategy, message) in [
            ("Deployment", Some(3), rolling(&json!("100%"), &json!(0)), "100% lets a rollout stop all 3 pods"),
            ("Deployment", Some(2), rolling(&json!(2), &json!(1)), "2 lets a rollout stop all 2 pods"),
            ("Deployment", Some(1), rolling(&json!(1), &json!("25%")), "1 lets a rollout stop the only pod"),
            ("StatefulSet", Some(2), rolling(&json!(2), &Value::Null), "2 lets a rollout stop all 2 pods"),
            ("DaemonSet", None, rolling(&json!("100%"), &json!(0)), "100% lets a rollout stop all pods"),
        ] {
            let (field, found) = fires(&of(kind, replicas, &strategy), RolloutTakesAllCapacity);
            assert!(field.ends_with("trategy.rollingUpdate.maxUnavailable"), "{field}");
            assert!(found.starts_with(&format!("{message} at once; ")), "{found}");
        }
    }

    #[test]
    fn one_pod_without_a_surge_stops_before_there_is_another() {
        let (field, message) =
            fires(&of("Deployment", Some(1), &rolling(&json!("25%"), &json!("0%"))), RolloutTakesAllCapacity);
        assert_eq!(field, "spec.strategy.rollingUpdate.maxSurge");
        assert_eq!(message, "without a surge a rollout has to stop the only pod first; set this to 1");
    }

    #[test]
    fn a_rollout_that_keeps_a_pod_does_not() {
        for (kind, replicas, strategy) in [
            ("Deployment", Some(3), Value::Null),
            ("Deployment", Some(1), Value::Null),
            ("Deployment", None, Value::Null),
            ("Deployment", Some(0), rolling(&json!("100%"), &json!(0))),
            ("Deployment", Some(3), rolling(&json!(2), &json!(0))),
            ("StatefulSet", Some(3), Value::Null),
            ("StatefulSet", Some(2), json!({"type": "OnDelete"})),
            ("StatefulSet", Some(2), json!({"rollingUpdate": {"maxUnavailable": 2, "partition": 1}})),
            ("StatefulSet", Some(2), json!({"rollingUpdate": {"maxUnavailable": 2, "partition": 2}})),
            ("DaemonSet", None, Value::Null),
            ("DaemonSet", None, rolling(&json!(10), &json!(0))),
        ] {
            silent(&of(kind, replicas, &strategy), RolloutTakesAllCapacity);
        }
    }

    #[test]
    fn recreate_stops_everything_first() {
        let recreate = json!({"type": "Recreate"});
        let (field, message) = fires(&of("Deployment", Some(3), &recreate), NoPodDuringRollout);
        assert_eq!(field, "spec.strategy.type");
        assert!(
            message.starts_with("Recreate stops all 3 pods before the first new one starts; up to 35s"),
            "{message}"
        );
        let (_, message) = fires(&of("Deployment", None, &recreate), NoPodDuringRollout);
        assert!(message.starts_with("Recreate stops the only pod "), "{message}");
        silent(&of("Deployment", Some(0), &recreate), NoPodDuringRollout);
        silent(&of("Deployment", Some(3), &Value::Null), NoPodDuringRollout);
    }

    #[test]
    fn the_only_pod_of_a_stateful_set_has_no_successor_yet_when_it_stops() {
        fires(&of("StatefulSet", Some(1), &Value::Null), SingleStatefulPod);
        fires(&of("StatefulSet", None, &Value::Null), SingleStatefulPod);
        silent(&of("StatefulSet", Some(2), &Value::Null), SingleStatefulPod);
        silent(&of("StatefulSet", Some(1), &json!({"type": "OnDelete"})), SingleStatefulPod);
        silent(&of("StatefulSet", Some(1), &json!({"rollingUpdate": {"partition": 1}})), SingleStatefulPod);
        silent(&of("Deployment", Some(1), &Value::Null), SingleStatefulPod);
    }
}
