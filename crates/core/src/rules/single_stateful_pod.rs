//! The only pod of a `StatefulSet`, which stops before its replacement starts.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::related::Neighbours;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::SingleStatefulPod,
    severity: Severity::Info,
    title: "The only pod of a StatefulSet stops before its replacement starts.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, _: &Neighbours<'_>) -> Vec<Finding> {
    if !subject.workload.is_single_stateful_pod() {
        return Vec::new();
    }
    let needed = subject.budget().needed();
    let problem = format!("a rollout stops the only pod, for up to {needed}, before its replacement starts");
    let finding = RULE.finding(FieldPath::new("spec.replicas"), problem).fact(needed);
    vec![finding.hint("use 2 or more if the app can run as several replicas")]
}

const PAGE: &str = r"## Why

Two pods of a StatefulSet never have the same name, so a rollout stops a pod, waits until it has exited, and then creates
its replacement. With one replica no pod serves requests until the old pod has stopped and the new one has started.

## What to do

If the app can run as several replicas, use two or more, and clients that find the pod that is ready:

```yaml
spec:
  replicas: 2
```

If it cannot, no setting in the manifest closes the gap. Keep drain and deadline short, and do rollouts when there is little
traffic.

## Source

- [StatefulSet: rolling updates](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#rolling-updates)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::SingleStatefulPod;
    use crate::rules::tests::{autoscaled, fires, silent, with_strategy};

    #[test]
    fn the_only_pod_of_a_stateful_set_is_reported() {
        for replicas in [Some(1), None] {
            let (field, message) = fires(&with_strategy("StatefulSet", replicas, &Value::Null), SingleStatefulPod);
            assert_eq!(field, "spec.replicas");
            let problem = "a rollout stops the only pod, for up to 35s, before its replacement starts; ";
            assert!(message.starts_with(problem), "{message}");
        }
    }

    #[test]
    fn other_workloads_are_not_reported() {
        silent(&autoscaled(with_strategy("StatefulSet", None, &Value::Null), 2), SingleStatefulPod);
        silent(&with_strategy("StatefulSet", Some(2), &Value::Null), SingleStatefulPod);
        silent(&with_strategy("StatefulSet", Some(1), &json!({"type": "OnDelete"})), SingleStatefulPod);
        silent(&with_strategy("StatefulSet", Some(1), &json!({"rollingUpdate": {"partition": 1}})), SingleStatefulPod);
        silent(&with_strategy("Deployment", Some(1), &Value::Null), SingleStatefulPod);
    }
}
