//! A rolling update that may stop all pods at the same time, before there is a new one.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::kind::Kind;
use crate::related::Neighbours;
use crate::rule::{Check, Rule, Subject};
use crate::workload::{Amount, Strategy};

pub(crate) const RULE: Rule = Rule {
    code: Code::RolloutTakesAllCapacity,
    severity: Severity::Warning,
    title: "A rollout may stop all pods at the same time.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, _: &Neighbours<'_>) -> Vec<Finding> {
    finding(subject).into_iter().collect()
}

fn finding(subject: &Subject<'_>) -> Option<Finding> {
    let (workload, rollout) = (subject.workload, &subject.workload.rollout);
    let Strategy::RollingUpdate { max_unavailable, max_surge } = rollout.strategy else { return None };
    // SingleStatefulPod reports the only pod of a StatefulSet, which no setting of the rollout can keep.
    if !rollout.is_rolling() || workload.is_single_stateful_pod() {
        return None;
    }
    let field = |name| {
        let strategy = match workload.kind {
            Kind::Deployment => "spec.strategy.rollingUpdate",
            Kind::StatefulSet | Kind::DaemonSet => "spec.updateStrategy.rollingUpdate",
        };
        FieldPath::new(strategy).join(name)
    };
    match remaining(max_unavailable, max_surge, rollout.replicas) {
        Remaining::Some => None,
        Remaining::None => {
            let problem = format!("{max_unavailable} allows a rollout to stop {} at the same time", rollout.all_pods());
            let finding = RULE.finding(field("maxUnavailable"), problem).fact(max_unavailable.to_string());
            let finding = rollout.replicas.into_iter().fold(finding, Finding::fact);
            Some(finding.hint("lower it"))
        }
        Remaining::NoneWithoutSurge => {
            let problem = "without a surge, a rollout stops the only pod before the new pod starts";
            Some(RULE.finding(field("maxSurge"), problem).hint("set it to 1"))
        }
    }
}

/// The pods that remain while a rollout stops others.
enum Remaining {
    Some,
    None,
    /// If `maxUnavailable` and `maxSurge` are both 0, the Deployment controller stops one pod, which is the only one.
    NoneWithoutSurge,
}

/// The number of pods of a `DaemonSet` is unknown, so only a percentage can include all pods. A surge does not replace the
/// missing pods.
fn remaining(max_unavailable: Amount, max_surge: Amount, replicas: Option<u32>) -> Remaining {
    let Some(replicas) = replicas else {
        return if matches!(max_unavailable, Amount::Percent(100..)) { Remaining::None } else { Remaining::Some };
    };
    match (max_unavailable.rounded_down(replicas), max_surge.rounded_up(replicas)) {
        (0, 0) if replicas == 1 => Remaining::NoneWithoutSurge,
        (unavailable, _) if unavailable >= replicas => Remaining::None,
        _ => Remaining::Some,
    }
}

const PAGE: &str = r"## Why

`maxUnavailable` is the number of pods that a rollout may stop before new pods are ready. If that is all of them, the
controller may stop every pod at the same time. Even if each pod shuts down correctly, no pod serves requests until the
first new pod is ready, and every request until then fails.

A percentage is rounded down: 25% of 3 pods is 0. If `maxUnavailable` and `maxSurge` are both 0, the controller stops one
pod.

A manifest without `replicas` means one pod, as for the API server. If an autoscaler scales the workload, its minimum counts:
the `minReplicas` of a HorizontalPodAutoscaler, the `minReplicaCount` of a ScaledObject of KEDA. Winddown reads it if it is
in the input of `winddown plan`, and the controller reads the HorizontalPodAutoscaler from the cluster.

## What to do

Let new pods start before old ones stop:

```yaml
spec:
  strategy:
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
```

A StatefulSet has no `maxSurge`: use more than one replica and leave `updateStrategy.rollingUpdate.maxUnavailable` at 1.
A DaemonSet needs one of the two, with the other one set to 0. With a surge every node keeps a pod, but pods that use a
port of the node cannot surge:

```yaml
spec:
  updateStrategy:
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
```

## Source

- [Deployment: max unavailable](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable)
- [Perform a rolling update on a DaemonSet](https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::RolloutTakesAllCapacity;
    use crate::rules::tests::{autoscaled, fires, silent, with_strategy};

    fn rolling(max_unavailable: &Value, max_surge: &Value) -> Value {
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": max_unavailable, "maxSurge": max_surge}})
    }

    #[test]
    fn a_rollout_that_may_stop_all_pods_at_the_same_time_is_reported() {
        for (kind, replicas, strategy, problem) in [
            ("Deployment", Some(3), rolling(&json!("100%"), &json!(0)), "100% allows a rollout to stop all 3 pods"),
            ("Deployment", Some(2), rolling(&json!(2), &json!(1)), "2 allows a rollout to stop all 2 pods"),
            ("Deployment", Some(1), rolling(&json!(1), &json!("25%")), "1 allows a rollout to stop the only pod"),
            ("StatefulSet", Some(2), rolling(&json!(2), &Value::Null), "2 allows a rollout to stop all 2 pods"),
            ("DaemonSet", None, rolling(&json!("100%"), &json!(0)), "100% allows a rollout to stop all pods"),
        ] {
            let (field, message) = fires(&with_strategy(kind, replicas, &strategy), RolloutTakesAllCapacity);
            assert!(field.ends_with("trategy.rollingUpdate.maxUnavailable"), "{field}");
            assert_eq!(message, format!("{problem} at the same time; lower it"));
        }
    }

    #[test]
    fn one_pod_without_a_surge_is_reported() {
        let (field, message) = fires(
            &with_strategy("Deployment", Some(1), &rolling(&json!("25%"), &json!("0%"))),
            RolloutTakesAllCapacity,
        );
        assert_eq!(field, "spec.strategy.rollingUpdate.maxSurge");
        assert_eq!(message, "without a surge, a rollout stops the only pod before the new pod starts; set it to 1");
    }

    #[test]
    fn a_rollout_that_keeps_a_pod_is_not_reported() {
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
            silent(&with_strategy(kind, replicas, &strategy), RolloutTakesAllCapacity);
        }
    }

    #[test]
    fn the_minimum_of_an_autoscaler_counts() {
        let one = rolling(&json!(1), &json!(1));
        for (replicas, least) in [(None, 3), (Some(1), 2)] {
            silent(&autoscaled(with_strategy("Deployment", replicas, &one), least), RolloutTakesAllCapacity);
        }
        silent(&autoscaled(with_strategy("Deployment", Some(0), &one), 1), RolloutTakesAllCapacity);
        for replicas in [None, Some(5)] {
            let (_, message) =
                fires(&autoscaled(with_strategy("Deployment", replicas, &one), 1), RolloutTakesAllCapacity);
            assert!(message.starts_with("1 allows a rollout to stop the only pod "), "{message}");
        }
        let all = rolling(&json!("100%"), &json!(1));
        let (_, message) = fires(&autoscaled(with_strategy("Deployment", None, &all), 3), RolloutTakesAllCapacity);
        assert!(message.starts_with("100% allows a rollout to stop all 3 pods "), "{message}");
    }

    #[test]
    fn single_stateful_pod_reports_the_only_pod_of_a_stateful_set() {
        silent(&with_strategy("StatefulSet", Some(1), &rolling(&json!(1), &Value::Null)), RolloutTakesAllCapacity);
    }
}
