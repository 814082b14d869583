//! Pods that stop for long stand beside their successors: a rollout needs room for both.

use super::Subject;
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::kind::Kind;
use crate::workload::Step;

/// Up to a minute nobody asks what it costs.
const LONG: Seconds = Seconds::new(60);

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let workload = subject.workload;
    let needed = subject.budget.needed();
    let (Kind::Deployment, Step::Some { max_surge, max_unavailable }, Some(replicas @ 1..)) =
        (workload.kind, &workload.rollout.step, workload.rollout.replicas)
    else {
        return Vec::new();
    };
    if needed <= LONG {
        return Vec::new();
    }
    // A pod that stops counts as no replica any more (KEP-3973), so all the old ones may be stopping beside a full set of
    // new ones; before the first one stops, it is the surge that is too many.
    let surge = max_surge.rounded_up(replicas);
    let most = replicas.max(surge);
    // But only so many may stop each time new ones have been ready for long enough.
    let extra = match subject.workload.rollout.min_ready.as_i64() {
        0 => most,
        min_ready => {
            let times = u32::try_from((needed.as_i64() + min_ready - 1) / min_ready).unwrap_or(u32::MAX);
            let step = surge.saturating_add(max_unavailable.rounded_down(replicas)).max(1);
            surge.saturating_add(step.saturating_mul(times)).min(most)
        }
    };
    let pods = if extra == 1 { "pod" } else { "pods" };
    let message =
        format!("a rollout may need up to {extra} extra {pods} for up to {needed}; see that quota and nodes have room");
    vec![Finding::new(Code::SurgeCost, "spec.replicas", message)]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::SurgeCost;
    use crate::rules::tests::{deployment, fires, silent};

    fn draining(drain: &str, change: impl FnOnce(&mut Value)) -> Value {
        deployment(|workload| {
            workload["metadata"]["annotations"]["winddown.dev/drain"] = json!(drain);
            change(workload);
        })
    }

    #[test]
    fn a_long_budget_costs_room() {
        let (field, message) = fires(&draining("2m", |_| {}), SurgeCost);
        assert_eq!(field, "spec.replicas");
        assert!(message.starts_with("a rollout may need up to 3 extra pods for up to 145s; "), "{message}");
        let surging = json!({"rollingUpdate": {"maxSurge": "200%"}});
        let (_, message) = fires(&draining("2m", |workload| workload["spec"]["strategy"] = surging), SurgeCost);
        assert!(message.contains("up to 6 extra pods"), "{message}");
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
        // Each takes 95s to stop.
        for (min_ready, extra) in [(0, 10), (10, 10), (60, 3), (95, 2), (600, 2)] {
            let (_, message) = fires(&slow(min_ready), SurgeCost);
            assert!(message.contains(&format!("up to {extra} extra pods for up to 95s")), "{min_ready}: {message}");
        }
    }

    #[test]
    fn who_needs_no_second_set_of_pods_pays_nothing() {
        silent(&draining("10s", |_| {}), SurgeCost);
        silent(&draining("2m", |workload| workload["kind"] = json!("StatefulSet")), SurgeCost);
        silent(&draining("2m", |workload| workload["kind"] = json!("DaemonSet")), SurgeCost);
        silent(&draining("2m", |workload| workload["spec"]["replicas"] = json!(0)), SurgeCost);
        silent(&draining("2m", |workload| workload["spec"]["strategy"] = json!({"type": "Recreate"})), SurgeCost);
    }
}
