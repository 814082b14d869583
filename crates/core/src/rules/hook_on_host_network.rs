//! With `hostNetwork` the kubelet cannot resolve the address for an httpGet hook (kubernetes/kubernetes#134285): the hook
//! fails immediately, so the container has no drain.

use crate::finding::{Code, Finding, Severity};
use crate::pod::shell::effect::Failure;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::HookOnHostNetwork,
    severity: Severity::Warning,
    title: "An httpGet hook without a host fails in a pod with `hostNetwork`.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let failing = subject.own_hooks().filter(|(_, own)| own.failure() == Some(Failure::HostNetwork));
    let findings = failing.map(|(running, _)| {
        let problem = "fails immediately with hostNetwork, so SIGTERM is sent without a drain";
        RULE.finding(running.field("lifecycle.preStop.httpGet"), problem).hint("use preStop.sleep")
    });
    findings.collect()
}

const PAGE: &str = r#"## Why

A pod with `hostNetwork: true` has no address of its own that the container runtime could report to the kubelet. The
kubelet then has no address for an httpGet hook without `host`. The hook fails immediately with "failed to find networking
container", the pod gets a `FailedPreStopHook` Event, and SIGTERM follows without a drain. Probes are not affected: the
kubelet finds their address in another way.

## What to do

Use a sleep, which needs no network:

```yaml
lifecycle:
  preStop:
    sleep: {seconds: 15}
```

If the request itself is necessary (for example because it makes a proxy drain), set `host` to the loopback address. On
the network of the node, the container listens there:

```yaml
lifecycle:
  preStop:
    httpGet: {host: 127.0.0.1, path: /drain, port: 19002}
```

## Source

- [kubernetes/kubernetes#134285](https://github.com/kubernetes/kubernetes/issues/134285)
- [Workaround in Envoy Gateway](https://github.com/envoyproxy/gateway/pull/9861)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::HookOnHostNetwork;
    use crate::rules::tests::{fires, pod, silent};

    fn with(hook: &Value, host_network: bool) -> Value {
        pod(|pod| {
            pod["hostNetwork"] = json!(host_network);
            pod["containers"][0]["lifecycle"] = json!({"preStop": hook});
        })
    }

    #[test]
    fn an_http_hook_without_a_host_fails_with_host_network() {
        for hook in [json!({"httpGet": {"port": 80}}), json!({"httpGet": {"port": 80, "host": ""}})] {
            let (field, message) = fires(&with(&hook, true), HookOnHostNetwork);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop.httpGet");
            assert_eq!(
                message,
                "fails immediately with hostNetwork, so SIGTERM is sent without a drain; use preStop.sleep"
            );
            silent(&with(&hook, false), HookOnHostNetwork);
        }
    }

    #[test]
    fn native_sidecars_are_checked() {
        let manifest = pod(|pod| {
            pod["hostNetwork"] = json!(true);
            let hook = json!({"preStop": {"httpGet": {"port": 80}}});
            pod["initContainers"] = json!([{"name": "proxy", "restartPolicy": "Always", "lifecycle": hook}]);
        });
        let field = fires(&manifest, HookOnHostNetwork).0;
        assert_eq!(field, "spec.template.spec.initContainers[proxy].lifecycle.preStop.httpGet");
    }

    #[test]
    fn other_hooks_do_not_fail() {
        for hook in [
            json!({"sleep": {"seconds": 10}}),
            json!({"exec": {"command": ["drain"]}}),
            json!({"httpGet": {"port": 80, "host": "127.0.0.1"}}),
        ] {
            silent(&with(&hook, true), HookOnHostNetwork);
        }
    }
}
