//! A probe or hook with a host: the kubelet sends the request there, and the answer does not depend on this pod. Pod
//! Security rejects the field in the baseline profile (KEP-4940).

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::pod::handlers::requests;
use crate::rule::{Check, Rule, Subject};
use crate::sanitize::quoted;

pub(crate) const RULE: Rule = Rule {
    code: Code::HostInHandler,
    severity: Severity::Warning,
    title: "A probe or a hook sends its request to another host than the pod.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    // With hostNetwork, loopback is the pod itself, and an httpGet hook works only with it.
    let on_node = subject.workload.pod.host_network == Some(true);
    let with_host = requests(&subject.workload.pod).filter_map(|request| Some((request.field(), request.host?)));
    let elsewhere = with_host.filter(|(_, host)| !(on_node && LOOPBACK.contains(host)));
    elsewhere.map(|(field, host)| finding(field.join("host"), host)).collect()
}

const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

fn finding(field: FieldPath, host: &str) -> Finding {
    let problem = format!("sends the request to {}, not to this pod", quoted(host));
    RULE.finding(field, problem).fact(host).hint("remove host")
}

const PAGE: &str = r"## Why

Without `host`, the kubelet sends the request of a probe or hook to the pod. With `host`, it sends the request to that
host, from the node: `127.0.0.1` is then the loopback address of the node, not of the container. The answer does not depend
on this pod: the pod may be ready when the app is not, or never become ready although the app works. A hook has its effect
on that host, not in the pod.

The field also makes the node send requests to places that the pod itself must not reach. Therefore the baseline profile of
Pod Security rejects it from version 1.34 on, and such a pod cannot start in a namespace that enforces the profile.

On the network of the node (`hostNetwork: true`) loopback is the pod's own address, and Winddown does not report it.

## What to do

Remove `host`. If the app expects a host name, send it in a header:

```yaml
readinessProbe:
  httpGet:
    path: /health
    port: 8080
    httpHeaders:
    - {name: Host, value: shop.example.com}
```

## Source

- [KEP-4940](https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4940-psa-block-host-field-in-probes)
- [Pod Security Standards, baseline](https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::HostInHandler;
    use crate::rules::tests::{container, fires, pod, silent};

    #[test]
    fn a_request_to_another_host_is_reported() {
        for kind in ["httpGet", "tcpSocket"] {
            let action = json!({kind: {"port": 80, "host": "127.0.0.1"}});
            for place in ["readinessProbe", "livenessProbe", "startupProbe"] {
                let (field, message) = fires(&container(|app| app[place] = action.clone()), HostInHandler);
                assert_eq!(field, format!("spec.template.spec.containers[app].{place}.{kind}.host"));
                assert_eq!(message, "sends the request to \"127.0.0.1\", not to this pod; remove host");
            }
            for place in ["preStop", "postStart"] {
                let (field, _) = fires(&container(|app| app["lifecycle"] = json!({place: action})), HostInHandler);
                assert_eq!(field, format!("spec.template.spec.containers[app].lifecycle.{place}.{kind}.host"));
            }
        }
    }

    #[test]
    fn native_sidecars_are_checked() {
        let probe = json!({"httpGet": {"port": 80, "host": "127.0.0.1"}});
        let sidecar = json!([{"name": "proxy", "restartPolicy": "Always", "readinessProbe": probe}]);
        let (field, _) = fires(&pod(|pod| pod["initContainers"] = sidecar), HostInHandler);
        assert_eq!(field, "spec.template.spec.initContainers[proxy].readinessProbe.httpGet.host");
    }

    #[test]
    fn a_request_without_a_host_is_not_reported() {
        for host in [json!(null), json!("")] {
            let probe = json!({"httpGet": {"port": 80, "host": host}});
            silent(&container(|app| app["readinessProbe"] = probe), HostInHandler);
        }
    }

    #[test]
    fn loopback_with_host_network_is_not_reported() {
        let on_node = |host: &str| {
            let hook = json!({"preStop": {"httpGet": {"port": 80, "host": host}}});
            pod(|pod| {
                pod["hostNetwork"] = json!(true);
                pod["containers"][0]["lifecycle"] = hook;
            })
        };
        silent(&on_node("127.0.0.1"), HostInHandler);
        fires(&on_node("10.0.0.1"), HostInHandler);
    }
}
