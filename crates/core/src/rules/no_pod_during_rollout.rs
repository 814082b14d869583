//! The strategy `Recreate`: all old pods stop before the first new one starts.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};
use crate::workload::Strategy;

pub(crate) const RULE: Rule = Rule {
    code: Code::NoPodDuringRollout,
    severity: Severity::Warning,
    title: "Every rollout stops all pods before the first new pod starts.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let (rollout, needed) = (&subject.workload.rollout, subject.budget().needed());
    if rollout.strategy != Strategy::Recreate || rollout.replicas == Some(0) {
        return Vec::new();
    }
    let problem = format!("Recreate stops all pods, for up to {needed}, before the first new pod starts");
    let finding = RULE.finding(FieldPath::new("spec.strategy.type"), problem).fact(needed);
    vec![finding.hint("use RollingUpdate")]
}

const PAGE: &str = r"## Why

With the strategy `Recreate`, all old pods stop before the first new pod is created. The drain protects the open requests,
but from the end of the drain until a new pod is ready, no pod accepts new ones. A longer budget makes this gap longer, not
shorter.

## What to do

If two versions may run at the same time, use a rolling update:

```yaml
spec:
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
```

If they may not (a volume that only one pod can mount, a database with a single writer), keep `Recreate`, and keep drain and
deadline short: they are part of the outage. To avoid this warning, remove the Winddown annotations from this Deployment.

## Source

- [Deployment: recreate](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#recreate-deployment)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::NoPodDuringRollout;
    use crate::rules::tests::{fires, silent, with_strategy};

    #[test]
    fn recreate_is_reported() {
        let recreate = json!({"type": "Recreate"});
        let (field, message) = fires(&with_strategy("Deployment", Some(3), &recreate), NoPodDuringRollout);
        assert_eq!(field, "spec.strategy.type");
        let expected = "Recreate stops all pods, for up to 35s, before the first new pod starts; use RollingUpdate";
        assert_eq!(message, expected);
        fires(&with_strategy("Deployment", None, &recreate), NoPodDuringRollout);
    }

    #[test]
    fn a_rolling_update_or_no_pods_are_not_reported() {
        silent(&with_strategy("Deployment", Some(0), &json!({"type": "Recreate"})), NoPodDuringRollout);
        silent(&with_strategy("Deployment", Some(3), &Value::Null), NoPodDuringRollout);
    }
}
