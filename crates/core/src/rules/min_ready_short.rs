//! New pods that count as available before the load balancer sends to them: the rollout then stops old pods too early.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::kind::Kind;
use crate::related::Neighbours;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::MinReadyShort,
    severity: Severity::Info,
    title: "New pods count as available before the load balancer sends to them.",
    page: PAGE,
    check: Check::Related(check),
};

const GATES: &str = "elbv2.k8s.aws/pod-readiness-gate-inject";
/// The only preset of a load balancer with registration that is not from AWS.
const AGIC: &str = "agic";

fn check(subject: &Subject<'_>, related: &Neighbours<'_>) -> Vec<Finding> {
    let workload = subject.workload;
    let traffic = subject.resolved.declaration.traffic.filter(|traffic| traffic.registers);
    let Some(traffic) = traffic else { return Vec::new() };
    // The AWS Load Balancer Controller injects gates into the pods of a namespace with this label.
    let gets_gates = related.namespace_label(GATES) == Some("enabled");
    let has_gates = workload.pod.readiness_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    let is_gated = has_gates || (gets_gates && traffic.name != AGIC);
    let is_stepwise = workload.kind != Kind::DaemonSet && workload.rollout.is_rolling();
    let (min_ready, needed) = (workload.rollout.min_ready, traffic.drain);
    if is_gated || !is_stepwise || min_ready >= needed {
        return Vec::new();
    }
    let name = traffic.name.as_str();
    let problem = format!("new pods are available after {min_ready}, but {name} may need {needed} to send to them");
    let finding = RULE.finding(FieldPath::new("spec.minReadySeconds"), problem).fact(min_ready).fact(name).fact(needed);
    vec![finding.hint(format!("set it to {}, or use a readiness gate", needed.as_i64()))]
}

const PAGE: &str = r"## Why

A rollout continues when a new pod is available: when it has been Ready for `minReadySeconds`, by default immediately. For a
load balancer that has pods as its targets, Ready is too early. The pod still has to be registered there and to pass the
health checks of the load balancer, which takes as long as deregistration. Meanwhile the rollout stops the next old pod, and
the next. With few replicas, all targets can be registering or deregistering at the same time, and users get 503s although
every pod was ready throughout.

## What to do

The best solution is a readiness gate: the pod then becomes Ready only when the load balancer sends to it. The AWS Load
Balancer Controller injects gates into the pods of a namespace with this label. They are not in the template, but Winddown reads
the Namespace if it is in the input of `winddown plan`:

```sh
kubectl label namespace shop elbv2.k8s.aws/pod-readiness-gate-inject=enabled
```

Without gates, as for the Application Gateway, let the rollout wait for the number in the message:

```yaml
spec:
  minReadySeconds: 90
  strategy:
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
```

`progressDeadlineSeconds` has to be longer than that.

## Source

- [Pod readiness gates](https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/)
  of the AWS Load Balancer Controller
- [minReadySeconds](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#min-ready-seconds)
- [ingress-gce #1072](https://github.com/kubernetes/ingress-gce/issues/1072): GKE had the same problem until it injected
  gates itself
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::MinReadyShort;
    use crate::rules::tests::{among, deployment, fires, silent};

    fn behind(traffic: &str, change: impl FnOnce(&mut Value)) -> Value {
        deployment(|deployment| {
            deployment["metadata"]["annotations"] = json!({"winddown.dev/traffic": traffic});
            change(deployment);
        })
    }

    #[test]
    fn pods_that_are_available_before_they_are_registered_are_reported() {
        for (min_ready, shown) in [(Value::Null, "0s"), (json!(0), "0s"), (json!(30), "30s")] {
            let (field, message) =
                fires(&behind("alb-ip", |deployment| deployment["spec"]["minReadySeconds"] = min_ready), MinReadyShort);
            assert_eq!(field, "spec.minReadySeconds");
            let problem = format!("new pods are available after {shown}, but alb-ip may need 60s to send to them; ");
            assert!(message.starts_with(&problem), "{message}");
        }
        fires(&behind("nlb-ip", |workload| workload["kind"] = json!("StatefulSet")), MinReadyShort);
    }

    #[test]
    fn a_readiness_gate_or_a_long_enough_wait_is_not_reported() {
        let gate = json!([{"conditionType": "target-health.elbv2.k8s.aws/shop"}]);
        silent(&behind("alb-ip", |shop| shop["spec"]["template"]["spec"]["readinessGates"] = gate), MinReadyShort);
        silent(&behind("alb-ip", |shop| shop["spec"]["minReadySeconds"] = json!(60)), MinReadyShort);
    }

    #[test]
    fn gates_that_a_controller_injects_into_the_pods_of_a_namespace_count() {
        let labelled = |traffic: &str, value: &str| {
            let labels = json!({"elbv2.k8s.aws/pod-readiness-gate-inject": value});
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web", "labels": labels}});
            among(behind(traffic, |shop| shop["metadata"]["namespace"] = json!("web")), &[namespace])
        };
        silent(&labelled("alb-ip", "enabled"), MinReadyShort);
        silent(&labelled("nlb-ip", "enabled"), MinReadyShort);
        fires(&labelled("alb-ip", "disabled"), MinReadyShort);
        fires(&labelled("agic", "enabled"), MinReadyShort);
    }

    #[test]
    fn a_workload_without_rolling_updates_is_not_reported() {
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
    fn a_balancer_that_sends_to_ready_pods_immediately_is_not_reported() {
        for traffic in ["service", "ingress-nginx", "alb-instance", "gce-neg"] {
            silent(&behind(traffic, |_| ()), MinReadyShort);
        }
    }
}
