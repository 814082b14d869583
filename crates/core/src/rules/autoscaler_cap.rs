//! A budget that is longer than the Cluster Autoscaler waits for a pod when it removes a node.

use crate::catalog::platforms::Platform;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::AutoscalerCap,
    severity: Severity::Info,
    title: "The budget is longer than the Cluster Autoscaler waits for a pod.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let (workload, budget) = (subject.workload, subject.budget());
    // Any node may be removed, so these have no label.
    let platforms =
        Platform::all().iter().filter(|platform| platform.known_by.is_empty() && !platform.exempts(workload));
    let finding = |platform: &Platform| {
        let effect = platform.effect(budget)?;
        let Platform { name, cap, hint, .. } = platform;
        let hint = hint.as_deref().unwrap_or("shorten drain and deadline");
        let field = FieldPath::pod("terminationGracePeriodSeconds");
        let finding = RULE.finding(field, format!("{cap} limit on {name}: {effect}"));
        Some(finding.fact(*cap).fact(name.as_str()).fact(budget.drain).fact(budget.deadline).hint(hint))
    };
    platforms.filter_map(finding).collect()
}

const PAGE: &str = r#"## Why

The Cluster Autoscaler evicts the pods of a node before it removes the node. It waits for a pod no longer than
`--max-graceful-termination-sec` (600s by default), whatever the grace period of the pod is. Everything that the budget needs
beyond that is cut off. In a cluster where no nodes are removed nothing happens, so this is only an info.

## What to do

Raise `--max-graceful-termination-sec` to the time that the budget needs, or exclude such pods from eviction:

```yaml
spec:
  template:
    metadata:
      annotations:
        cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
```

A node with such a pod is not removed. Use this for a few long jobs, not for all workloads.

## Source

- [Cluster Autoscaler: frequently asked questions](https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md)
- [Grace periods above 600s](https://github.com/kubernetes/kubernetes/issues/94435)
"#;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::AutoscalerCap;
    use crate::rules::tests::{fires, pod, silent};

    #[test]
    fn a_budget_beyond_ten_minutes_is_reported_unless_the_pod_is_not_evicted() {
        let mut long = pod(|_| {});
        long["metadata"]["annotations"]["winddown.dev/deadline"] = json!("3h");
        let (field, message) = fires(&long, AutoscalerCap);
        assert_eq!(field, "spec.template.spec.terminationGracePeriodSeconds");
        let expected = "600s limit on nodes that the Cluster Autoscaler removes: the drain of 10s leaves 590s of the \
                        deadline of 10800s; raise its --max-graceful-termination-sec";
        assert_eq!(message, expected);
        let annotations = json!({"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"});
        long["spec"]["template"]["metadata"]["annotations"] = annotations;
        silent(&long, AutoscalerCap);
    }

    #[test]
    fn a_short_budget_is_not_reported() {
        silent(&pod(|_| {}), AutoscalerCap);
    }
}
