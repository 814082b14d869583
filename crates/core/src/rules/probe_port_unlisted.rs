//! A probe or hook uses a port number that no container lists. That is allowed, but if other ports are listed, it may be a
//! typo.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PodSpec;

use crate::finding::{Code, Finding, Severity};
use crate::pod::handlers::{Port, Request, requests_to_pod};
use crate::pod::sidecars::init_containers;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::ProbePortUnlisted,
    severity: Severity::Info,
    title: "A probe or a hook uses a port that no container lists, although its container lists others.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let listed = listed_ports(&subject.workload.pod);
    requests_to_pod(&subject.workload.pod).filter_map(|request| finding(&request, &listed)).collect()
}

/// The containers of a pod share one network: another container may serve the port.
fn listed_ports(pod: &PodSpec) -> BTreeSet<i32> {
    let containers = pod.containers.iter().chain(init_containers(pod));
    containers.flat_map(|container| container.ports.iter().flatten()).map(|port| port.container_port).collect()
}

fn finding(request: &Request<'_>, listed: &BTreeSet<i32>) -> Option<Finding> {
    let Port::Number(number) = request.port else { return None };
    let lists_others = request.running.container.ports.iter().flatten().next().is_some();
    if !lists_others || listed.contains(&number) {
        return None;
    }
    let finding = RULE.finding(request.field().join("port"), format!("no container lists port {number}"));
    Some(finding.fact(number).hint("add it to ports, or use a listed port"))
}

const PAGE: &str = r"## Why

The kubelet sends a request to a port number whether it is listed or not; the list of ports only documents them and gives
them names. But if a container lists some ports and its probe or hook uses another one, that may be a typo, such as 8008
for 8080. A typo in a readiness probe shows in the first rollout. A typo in a preStop hook does not: the hook fails
immediately, and the only sign is a `FailedPreStopHook` Event on a pod that is deleted shortly afterwards.

## What to do

If the number is right, list the port, so that others know what it is:

```yaml
ports:
- {name: web, containerPort: 8080}
- {name: management, containerPort: 8081}
```

If it is wrong, correct it, or better use the name of the port, which Winddown and the kubelet can check.

## Source

- [ContainerPort in the API reference](https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#ports)
- [Named ports in probes](https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#use-a-named-port)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ProbePortUnlisted;
    use crate::rules::tests::{container, fires, silent};

    fn probing(action: Value) -> Value {
        container(|app| {
            app["ports"] = json!([{"containerPort": 8080, "name": "web"}, {"containerPort": 9100}]);
            app["readinessProbe"] = action;
        })
    }

    #[test]
    fn a_number_that_is_not_listed_is_reported() {
        for (action, kind) in [
            (json!({"httpGet": {"port": 8008}}), "httpGet"),
            (json!({"tcpSocket": {"port": "8008"}}), "tcpSocket"),
            (json!({"grpc": {"port": 8008}}), "grpc"),
        ] {
            let (field, message) = fires(&probing(action), ProbePortUnlisted);
            assert_eq!(field, format!("spec.template.spec.containers[app].readinessProbe.{kind}.port"));
            assert_eq!(message, "no container lists port 8008; add it to ports, or use a listed port");
        }
        for port in [8080, 9100] {
            silent(&probing(json!({"grpc": {"port": port}})), ProbePortUnlisted);
        }
    }

    #[test]
    fn a_container_need_not_list_ports() {
        silent(&container(|app| app["livenessProbe"] = json!({"httpGet": {"port": 80}})), ProbePortUnlisted);
    }

    #[test]
    fn another_container_of_the_pod_may_list_the_port() {
        let beside = |list: &str| {
            let mut manifest = probing(json!({"httpGet": {"port": 15021}}));
            let proxy = json!({"name": "proxy", "ports": [{"containerPort": 15021}], "restartPolicy": "Always"});
            let pod = &mut manifest["spec"]["template"]["spec"];
            match pod[list].as_array_mut() {
                Some(containers) => containers.push(proxy),
                None => pod[list] = json!([proxy]),
            }
            manifest
        };
        silent(&beside("containers"), ProbePortUnlisted);
        silent(&beside("initContainers"), ProbePortUnlisted);
    }

    #[test]
    fn a_request_to_another_host_is_not_reported() {
        silent(&probing(json!({"httpGet": {"port": 8008, "host": "10.0.0.1"}})), ProbePortUnlisted);
    }
}
