//! A `PodDisruptionBudget` that allows no eviction.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::related::{Limit, Neighbours};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::EvictionNeverAllowed,
    severity: Severity::Warning,
    title: "A PodDisruptionBudget allows no eviction.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, related: &Neighbours<'_>) -> Vec<Finding> {
    // A drain of a node leaves the pods of a DaemonSet, whose number depends on the nodes.
    let Some(replicas) = subject.workload.rollout.replicas else { return Vec::new() };
    let most = related.autoscaler.map_or(replicas, |autoscaler| autoscaler.most.max(replicas));
    let findings = related.disruption_budgets.iter().filter_map(|budget| {
        let (name, limit) = (&budget.name, budget.blocks(most, related.pods)?);
        let problem =
            format!("PodDisruptionBudget {name} never allows the eviction of a pod ({limit}, at most {most} pods)");
        let finding =
            RULE.finding(FieldPath::new("spec.replicas"), problem).fact(name.as_str()).fact(limit.to_string());
        Some(finding.hint(match limit {
            Limit::MaxUnavailable(_) => "set its maxUnavailable to 1",
            Limit::MinAvailable(_) => "replace minAvailable by maxUnavailable: 1",
        }))
    });
    findings.collect()
}

const PAGE: &str = r"## Why

`kubectl drain`, an upgrade of the nodes and the cluster autoscaler evict pods, and an eviction has to be allowed by the
PodDisruptionBudget. One with `maxUnavailable: 0`, or with a `minAvailable` of all pods, allows none. A percentage is
rounded up: 80% of 3 pods are 3. The drain of a node then never completes. If an administrator or the platform then deletes
the node or kills the pods without the grace period, the requests that the PodDisruptionBudget was meant to protect fail.

A rollout does not ask the PodDisruptionBudget. Winddown reads the object if it is in the input of `winddown plan`, and the
controller reads it from the cluster. If an autoscaler scales the workload, its maximum counts.

## What to do

Let one pod at a time be evicted, and run at least two. Remove `minAvailable`: only one of the two fields may be set.

```yaml
apiVersion: policy/v1
kind: PodDisruptionBudget
spec:
  maxUnavailable: 1
```

## Source

- [Disruption budgets](https://kubernetes.io/docs/tasks/run-application/configure-pdb/): what allows no eviction
- [Disruptions](https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::EvictionNeverAllowed;
    use crate::rules::tests::{among, deployment, fires, silent, with_strategy};

    fn labelled(change: impl FnOnce(&mut Value)) -> Value {
        deployment(|shop| {
            shop["spec"]["template"]["metadata"]["labels"] = json!({"app": "shop"});
            change(shop);
        })
    }

    fn budget(spec: &Value) -> Value {
        let mut spec = spec.clone();
        if spec.get("selector").is_none() {
            spec["selector"] = json!({"matchLabels": {"app": "shop"}});
        }
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "shop"}, "spec": spec})
    }

    fn autoscaler(most: u32) -> Value {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"});
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop"},
            "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": most},
        })
    }

    #[test]
    fn a_budget_that_allows_no_eviction_is_reported() {
        for (spec, limit) in [
            (json!({"maxUnavailable": 0}), "maxUnavailable 0"),
            (json!({"maxUnavailable": "0%"}), "maxUnavailable 0%"),
            (json!({"minAvailable": "100%"}), "minAvailable 100%"),
            (json!({"minAvailable": "67%"}), "minAvailable 67%"),
            (json!({"minAvailable": 3}), "minAvailable 3"),
            (json!({"minAvailable": 9, "selector": {}}), "minAvailable 9"),
        ] {
            let (field, message) = fires(&among(labelled(|_| ()), &[budget(&spec)]), EvictionNeverAllowed);
            assert_eq!(field, "spec.replicas");
            let problem =
                format!("PodDisruptionBudget shop never allows the eviction of a pod ({limit}, at most 3 pods)");
            let hint = if limit.starts_with("max") {
                "set its maxUnavailable to 1"
            } else {
                "replace minAvailable by maxUnavailable: 1"
            };
            assert_eq!(message, format!("{problem}; {hint}"));
        }
        let only = labelled(|shop| shop["spec"]["replicas"] = json!(1));
        fires(&among(only, &[budget(&json!({"minAvailable": 1}))]), EvictionNeverAllowed);
        let least = budget(&json!({"minAvailable": 5}));
        fires(&among(labelled(|_| ()), &[least, autoscaler(5)]), EvictionNeverAllowed);
    }

    #[test]
    fn a_budget_that_allows_one_at_some_time_is_not_reported() {
        for spec in [
            json!({"maxUnavailable": 1}),
            json!({"maxUnavailable": "1%"}),
            json!({"minAvailable": 2}),
            json!({"minAvailable": "66%"}),
            json!({"minAvailable": "100%", "selector": null}),
            json!({}),
            json!({"maxUnavailable": 0, "selector": {"matchLabels": {"app": "other"}}}),
            json!({"maxUnavailable": 0, "selector": null}),
            json!({"maxUnavailable": "none"}),
        ] {
            silent(&among(labelled(|_| ()), &[budget(&spec)]), EvictionNeverAllowed);
        }
        let three = || budget(&json!({"minAvailable": 3}));
        silent(&among(labelled(|_| ()), &[three(), autoscaler(5)]), EvictionNeverAllowed);
        silent(
            &among(labelled(|_| ()), &[labelled(|other| other["metadata"]["name"] = json!("b")), three()]),
            EvictionNeverAllowed,
        );
        let mut elsewhere = budget(&json!({"maxUnavailable": 0}));
        elsewhere["metadata"]["namespace"] = json!("other");
        silent(&among(labelled(|_| ()), &[elsewhere]), EvictionNeverAllowed);
        let zero = labelled(|shop| shop["spec"]["replicas"] = json!(0));
        silent(&among(zero, &[budget(&json!({"maxUnavailable": 0}))]), EvictionNeverAllowed);
        let mut daemons = with_strategy("DaemonSet", None, &Value::Null);
        daemons["spec"]["template"]["metadata"]["labels"] = json!({"app": "shop"});
        silent(&among(daemons, &[budget(&json!({"maxUnavailable": 0}))]), EvictionNeverAllowed);
    }
}
