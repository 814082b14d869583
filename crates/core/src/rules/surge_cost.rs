//! Pods with a long shutdown run at the same time as their replacements: a rollout needs room for both.

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::kind::Kind;
use crate::related::Neighbours;
use crate::rule::{Check, Rule, Subject};
use crate::workload::Strategy;

pub(crate) const RULE: Rule = Rule {
    code: Code::SurgeCost,
    severity: Severity::Info,
    title: "A rollout needs room for pods that take long to stop.",
    page: PAGE,
    check: Check::Related(check),
};

/// Budgets up to this are not reported.
const LONG: Seconds = Seconds::new(60);

fn check(subject: &Subject<'_>, _: &Neighbours<'_>) -> Vec<Finding> {
    let (workload, needed) = (subject.workload, subject.budget().needed());
    let rollout = &workload.rollout;
    let (Kind::Deployment, Strategy::RollingUpdate { max_surge, max_unavailable }, Some(replicas @ 1..)) =
        (workload.kind, rollout.strategy, rollout.replicas)
    else {
        return Vec::new();
    };
    if needed <= LONG {
        return Vec::new();
    }
    // A stopping pod does not count as a replica (KEP-3973), so all old pods may be stopping beside all new ones. Before
    // the first old pod stops, only the surge exists in addition.
    let surge = max_surge.rounded_up(replicas);
    let most = replicas.max(surge);
    // But in each period of minReadySeconds only a limited number of pods starts to stop.
    let extra = match rollout.min_ready.as_i64() {
        0 => most,
        min_ready => {
            let steps = u32::try_from((needed.as_i64() + min_ready - 1) / min_ready).unwrap_or(u32::MAX);
            let per_step = surge.saturating_add(max_unavailable.rounded_down(replicas)).max(1);
            surge.saturating_add(per_step.saturating_mul(steps)).min(most)
        }
    };
    let pods = if extra == 1 { "pod" } else { "pods" };
    let problem = format!("a rollout may need up to {extra} extra {pods} for up to {needed}");
    let finding = RULE.finding(FieldPath::new("spec.replicas"), problem).fact(extra).fact(needed);
    vec![finding.hint("make sure that quota and nodes have room")]
}

const PAGE: &str = r"## Why

A stopping pod no longer counts as a replica: the Deployment creates its replacement immediately and does not wait until the
old pod has exited. If new pods become ready faster than old pods stop, a full set of old pods runs beside a full set of new
ones until the budget is over. This takes CPU, memory, IP addresses and quota. Without enough room, new pods stay pending and
the rollout takes longer.

## What to do

Nothing, if there is room for the number of pods in the message; the finding stays as a reminder. Otherwise shorten the drain
to what your load balancer really needs, or slow the rollout down so that fewer pods stop at the same time:

```yaml
spec:
  minReadySeconds: 60
  strategy:
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
```

`status.terminatingReplicas` shows how many pods are stopping (Kubernetes 1.35 and newer).

## Source

- [KEP-3973: consider terminating pods in Deployments](https://github.com/kubernetes/enhancements/tree/master/keps/sig-apps/3973-consider-terminating-pods-deployment)
- [Deployment: max surge](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-surge)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::SurgeCost;
    use crate::rules::tests::{autoscaled, deployment, fires, silent};

    fn draining(drain: &str, change: impl FnOnce(&mut Value)) -> Value {
        deployment(|workload| {
            workload["metadata"]["annotations"]["winddown.dev/drain"] = json!(drain);
            change(workload);
        })
    }

    #[test]
    fn a_long_budget_needs_room() {
        let (field, message) = fires(&draining("2m", |_| {}), SurgeCost);
        assert_eq!(field, "spec.replicas");
        assert!(message.starts_with("a rollout may need up to 3 extra pods for up to 145s; "), "{message}");
        let surging = json!({"rollingUpdate": {"maxSurge": "200%"}});
        let (_, message) = fires(&draining("2m", |workload| workload["spec"]["strategy"] = surging), SurgeCost);
        assert!(message.contains("up to 6 extra pods"), "{message}");
    }

    #[test]
    fn the_minimum_of_an_autoscaler_counts() {
        let (_, message) =
            fires(&autoscaled(draining("2m", |workload| workload["spec"]["replicas"] = Value::Null), 5), SurgeCost);
        assert!(message.contains("up to 5 extra pods"), "{message}");
    }

    #[test]
    fn a_slow_rollout_needs_less_room() {
        let slow = |min_ready: u32| {
            draining("70s", |workload| {
                workload["spec"]["replicas"] = json!(10);
                workload["spec"]["minReadySeconds"] = json!(min_ready);
                workload["spec"]["strategy"] = json!({"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
            })
        };
        // Each pod takes 95s to stop.
        for (min_ready, extra) in [(0, 10), (10, 10), (60, 3), (95, 2), (600, 2)] {
            let (_, message) = fires(&slow(min_ready), SurgeCost);
            assert!(message.contains(&format!("up to {extra} extra pods for up to 95s")), "{min_ready}: {message}");
        }
    }

    #[test]
    fn a_rollout_without_extra_pods_is_not_reported() {
        silent(&draining("10s", |_| {}), SurgeCost);
        silent(&draining("2m", |workload| workload["kind"] = json!("StatefulSet")), SurgeCost);
        silent(&draining("2m", |workload| workload["kind"] = json!("DaemonSet")), SurgeCost);
        silent(&draining("2m", |workload| workload["spec"]["replicas"] = json!(0)), SurgeCost);
        silent(&draining("2m", |workload| workload["spec"]["strategy"] = json!({"type": "Recreate"})), SurgeCost);
    }
}
