//! A `DaemonSet` without a surge: a rollout stops the pod of a node before its replacement starts there.

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::kind::Kind;
use crate::pod::ports;
use crate::rule::{Check, Rule, Subject};
use crate::workload::{Amount, Strategy};

pub(crate) const RULE: Rule = Rule {
    code: Code::NodeWithoutPod,
    severity: Severity::Warning,
    title: "A rollout of a DaemonSet leaves each node without a pod.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let (workload, needed) = (subject.workload, subject.budget().needed());
    let Strategy::RollingUpdate { max_surge: Amount::Pods(0) | Amount::Percent(0), .. } = workload.rollout.strategy
    else {
        return Vec::new();
    };
    // Without a drain there is no traffic that the node could lose, as for a log shipper.
    if workload.kind != Kind::DaemonSet || subject.resolved.drain == Seconds::ZERO {
        return Vec::new();
    }
    let field = FieldPath::new("spec.updateStrategy.rollingUpdate.maxSurge");
    let (reason, hint) = if ports::binds_node_ports(&workload.pod) {
        (
            "two pods cannot have the same port of a node",
            "set updateStrategy.type to OnDelete, and take each node out of its load balancer before its pod is replaced",
        )
    } else {
        ("maxSurge is 0", "set maxSurge to 1 and maxUnavailable to 0")
    };
    let problem = format!(
        "{reason}, so a rollout leaves each node without a pod for up to {needed}, and until the new one is ready"
    );
    vec![RULE.finding(field, problem).fact(needed).hint(hint)]
}

const PAGE: &str = r"## Why

A DaemonSet has one pod on each node. By default (`maxSurge: 0`) a rollout stops the pod of a node, waits until it has
exited, and then starts the new one. From the start of the drain until the new pod is ready, no ready pod is on the node. A
Service sends the requests to other nodes, but `externalTrafficPolicy: Local`, `internalTrafficPolicy: Local`, a `hostPort`
and a load balancer that has the node as its target do not. A longer budget makes this gap longer, not shorter.

It is not reported for a drain of 0s: that pod gets no traffic.

## What to do

Let the new pod start before the old one stops (Kubernetes 1.25 and newer):

```yaml
spec:
  updateStrategy:
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
```

That is not possible with a `hostPort`, or with `hostNetwork` and a port: both pods would need the same port of the node,
and the API server rejects `maxSurge` together with a `hostPort`. There, take a node out of its load balancer before its pod
is replaced (strategy `OnDelete`, one node after another), or run a Deployment behind a Service instead.

## Source

- [DaemonSet: rolling update strategy](https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/)
- [KEP-1591](https://github.com/kubernetes/enhancements/tree/master/keps/sig-apps/1591-daemonset-surge): surge, and why a
  hostPort excludes it
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::NodeWithoutPod;
    use crate::rules::tests::{fires, silent, with_strategy};

    fn daemon_set(pod: &Value) -> Value {
        let mut daemon_set = with_strategy("DaemonSet", None, &Value::Null);
        let spec = daemon_set["spec"]["template"]["spec"].as_object_mut().unwrap();
        spec.extend(pod.as_object().unwrap().clone());
        daemon_set
    }

    #[test]
    fn a_daemon_set_without_surge_leaves_its_node_without_a_pod() {
        for strategy in [
            Value::Null,
            json!({"rollingUpdate": {"maxUnavailable": "20%"}}),
            json!({"rollingUpdate": {"maxSurge": "0%"}}),
        ] {
            let (field, message) = fires(&with_strategy("DaemonSet", None, &strategy), NodeWithoutPod);
            assert_eq!(field, "spec.updateStrategy.rollingUpdate.maxSurge");
            assert_eq!(
                message,
                "maxSurge is 0, so a rollout leaves each node without a pod for up to 35s, and until the new one is \
                 ready; set maxSurge to 1 and maxUnavailable to 0"
            );
        }
    }

    #[test]
    fn a_port_of_the_node_allows_no_surge() {
        let ports = |port: Value| json!([{"name": "edge", "ports": [port]}]);
        for pod in [
            json!({"containers": ports(json!({"containerPort": 80, "hostPort": 80}))}),
            json!({"containers": ports(json!({"containerPort": 80})), "hostNetwork": true}),
        ] {
            let (_, message) = fires(&daemon_set(&pod), NodeWithoutPod);
            assert!(
                message.starts_with("two pods cannot have the same port of a node, so a rollout leaves each node "),
                "{message}"
            );
        }
        let without_ports = json!({"containers": [{"name": "agent"}], "hostNetwork": true});
        assert!(fires(&daemon_set(&without_ports), NodeWithoutPod).1.contains("; set maxSurge to 1"));
    }

    #[test]
    fn a_surge_another_strategy_and_a_pod_without_traffic_are_not_reported() {
        silent(&with_strategy("DaemonSet", None, &json!({"rollingUpdate": {"maxSurge": 1}})), NodeWithoutPod);
        silent(&with_strategy("DaemonSet", None, &json!({"type": "OnDelete"})), NodeWithoutPod);
        let mut shipper = daemon_set(&json!({}));
        shipper["metadata"]["annotations"]["winddown.dev/drain"] = json!("0s");
        silent(&shipper, NodeWithoutPod);
        silent(&with_strategy("StatefulSet", Some(3), &Value::Null), NodeWithoutPod);
        silent(&with_strategy("Deployment", Some(3), &json!({"rollingUpdate": {"maxSurge": 0}})), NodeWithoutPod);
    }
}
