//! A rollout stops an old pod as soon as a new one counts as available. Some balancers send to a new pod much later than it
//! is Ready: meanwhile the old pods go one after the other, and nobody is left.

use super::Subject;
use crate::finding::{Code, Finding};
use crate::kind::Kind;
use crate::workload::Step;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let workload = subject.workload;
    let Some(traffic) = subject.declaration.traffic.filter(|traffic| traffic.registers) else { return Vec::new() };
    let gated = workload.pod.readiness_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    let replaces_step_by_step = workload.kind != Kind::DaemonSet
        && matches!(workload.rollout.step, Step::Some { .. })
        && workload.rollout.replicas != Some(0);
    let (min_ready, needed) = (workload.rollout.min_ready, traffic.drain);
    if gated || !replaces_step_by_step || min_ready >= needed {
        return Vec::new();
    }
    let message = format!(
        "a new pod counts as available after {min_ready}, {} may need {needed} to send to it; set this to {}, or let a \
         readiness gate wait",
        traffic.name,
        needed.as_i64()
    );
    vec![Finding::new(Code::MinReadyShort, "spec.minReadySeconds", message)]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::MinReadyShort;
    use crate::rules::tests::{deployment, fires, silent};

    fn behind(traffic: &str, change: impl FnOnce(&mut Value)) -> Value {
        deployment(|deployment| {
            deployment["metadata"]["annotations"] = json!({"winddown.dev/traffic": traffic});
            change(deployment);
        })
    }

    #[test]
    fn old_pods_go_before_the_balancer_knows_the_new_ones() {
        for (min_ready, said) in [(Value::Null, "0s"), (json!(0), "0s"), (json!(30), "30s")] {
            let (field, message) =
                fires(&behind("alb-ip", |deployment| deployment["spec"]["minReadySeconds"] = min_ready), MinReadyShort);
            assert_eq!(field, "spec.minReadySeconds");
            let counts = format!("a new pod counts as available after {said}, alb-ip may need 60s to send to it; ");
            assert!(message.starts_with(&counts), "{message}");
        }
        fires(&behind("nlb-ip", |workload| workload["kind"] = json!("StatefulSet")), MinReadyShort);
    }

    #[test]
    fn a_readiness_gate_or_enough_seconds_wait_for_the_balancer() {
        let gate = json!([{"conditionType": "target-health.elbv2.k8s.aws/shop"}]);
        silent(&behind("alb-ip", |shop| shop["spec"]["template"]["spec"]["readinessGates"] = gate), MinReadyShort);
        silent(&behind("alb-ip", |shop| shop["spec"]["minReadySeconds"] = json!(60)), MinReadyShort);
    }

    #[test]
    fn nothing_waits_where_no_old_pod_makes_room_for_a_new_one() {
        silent(&behind("alb-ip", |shop| shop["spec"]["replicas"] = json!(0)), MinReadyShort);
        silent(&behind("alb-ip", |shop| shop["spec"]["strategy"] = json!({"type": "Recreate"})), MinReadyShort);
        let on_delete = json!({"type": "OnDelete"});
        silent(
            &behind("alb-ip", |shop| {
                shop["kind"] = json!("StatefulSet");
                shop["spec"]["updateStrategy"] = on_delete;
            }),
            MinReadyShort,
        );
        silent(&behind("alb-ip", |shop| shop["kind"] = json!("DaemonSet")), MinReadyShort);
    }

    #[test]
    fn most_balancers_know_a_pod_as_soon_as_it_is_ready() {
        for traffic in ["service", "ingress-nginx", "alb-instance", "gce-neg"] {
            silent(&behind(traffic, |_| ()), MinReadyShort);
        }
    }
}
