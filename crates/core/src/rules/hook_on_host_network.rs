//! On the network of the node the kubelet does not know whom an httpGet hook is to ask (kubernetes/kubernetes#134285): the
//! hook fails at once, and so the drain is over before it began.

use super::Subject;
use crate::finding::{Code, Finding};
use crate::plan::container_field;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let pod = &subject.workload.pod;
    if pod.host_network != Some(true) {
        return Vec::new();
    }
    let failing = pod.containers.iter().filter(|container| {
        let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let request = hook.and_then(|hook| hook.http_get.as_ref());
        request.is_some_and(|request| request.host.as_ref().is_none_or(String::is_empty))
    });
    failing
        .map(|container| {
            let field = container_field(&container.name, "lifecycle.preStop.httpGet");
            let message = "fails at once with hostNetwork, SIGTERM follows without a drain; use preStop.sleep";
            Finding::new(Code::HookOnHostNetwork, field, message)
        })
        .collect()
}

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
    fn a_hook_that_asks_over_the_network_of_the_node_fails() {
        for hook in [json!({"httpGet": {"port": 80}}), json!({"httpGet": {"port": 80, "host": ""}})] {
            let (field, _) = fires(&with(&hook, true), HookOnHostNetwork);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop.httpGet");
            silent(&with(&hook, false), HookOnHostNetwork);
        }
    }

    #[test]
    fn other_hooks_do_not() {
        for hook in [
            json!({"sleep": {"seconds": 10}}),
            json!({"exec": {"command": ["drain"]}}),
            json!({"httpGet": {"port": 80, "host": "127.0.0.1"}}),
        ] {
            silent(&with(&hook, true), HookOnHostNetwork);
        }
    }
}
