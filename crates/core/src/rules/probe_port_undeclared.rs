//! A probe or hook names a port that its container does not declare: the kubelet cannot send the request.

use crate::finding::{Code, Finding, Severity};
use crate::pod::handlers::{Port, Request, requests};
use crate::rule::{Check, Rule, Subject};
use crate::sanitize::{listed, quoted};

pub(crate) const RULE: Rule = Rule {
    code: Code::ProbePortUndeclared,
    severity: Severity::Warning,
    title: "A probe or a hook names a port that its container does not declare.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    requests(&subject.workload.pod).filter_map(|request| finding(&request)).collect()
}

fn finding(request: &Request<'_>) -> Option<Finding> {
    let Port::Name(name) = request.port else { return None };
    let declared = || request.running.container.ports.iter().flatten().filter_map(|port| port.name.as_deref());
    if declared().any(|declared| declared == name) {
        return None;
    }
    let hint = match declared().next() {
        Some(_) => format!("named ports: {}", listed(declared())),
        None => "none of its ports has a name".to_owned(),
    };
    let problem = format!("no port of this container is named {}, so the kubelet cannot resolve it", quoted(name));
    Some(RULE.finding(request.field().join("port"), problem).fact(name).hint(hint))
}

const PAGE: &str = r"## Why

A probe or hook may name its port. The kubelet looks up the name only in the ports of the same container: not in those of
another container, and not in the Service, also if the request has a `host`. If the name is not there, no request is sent:

- a readiness or startup probe never succeeds, so the pod never gets traffic;
- a liveness probe has no result, so a container that hangs is never restarted;
- a preStop hook fails immediately, and SIGTERM follows without a drain.

The API server accepts such a name without a warning.

## What to do

Give the port that name, or use its number:

```yaml
ports:
- {name: web, containerPort: 8080}
readinessProbe:
  httpGet: {path: /health, port: web}
```

If the name belongs to a port of another container, use the number: the containers of a pod share one network.

## Source

- [Named ports in probes](https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#use-a-named-port)
- [pkg/probe/http/request.go](https://github.com/kubernetes/kubernetes/blob/master/pkg/probe/http/request.go): the port is
  resolved whatever the host is
- [kubernetes/kubernetes#139283](https://github.com/kubernetes/kubernetes/issues/139283)
- [A chart with this mistake](https://github.com/prometheus-community/helm-charts/issues/5856)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ProbePortUndeclared;
    use crate::rules::tests::{container, fires, pod, silent};

    fn requesting(place: &str, action: Value) -> Value {
        container(|app| {
            app["ports"] = json!([{"containerPort": 8080, "name": "web"}, {"containerPort": 9100}]);
            match place.strip_prefix("lifecycle.") {
                Some(hook) => app["lifecycle"] = json!({hook: action}),
                None => app[place] = action,
            }
        })
    }

    #[test]
    fn a_name_that_no_port_has_is_reported() {
        for place in ["readinessProbe", "livenessProbe", "startupProbe", "lifecycle.preStop", "lifecycle.postStart"] {
            let manifest = requesting(place, json!({"httpGet": {"port": "wbe"}}));
            let (field, message) = fires(&manifest, ProbePortUndeclared);
            assert_eq!(field, format!("spec.template.spec.containers[app].{place}.httpGet.port"));
            assert_eq!(
                message,
                "no port of this container is named \"wbe\", so the kubelet cannot resolve it; named ports: web"
            );
            silent(&requesting(place, json!({"httpGet": {"port": "web"}})), ProbePortUndeclared);
        }
    }

    #[test]
    fn the_ports_of_other_containers_do_not_count() {
        let manifest = pod(|pod| {
            pod["containers"][0]["readinessProbe"] = json!({"tcpSocket": {"port": "web"}});
            pod["containers"]
                .as_array_mut()
                .unwrap()
                .push(json!({"name": "proxy", "ports": [{"containerPort": 80, "name": "web"}]}));
        });
        let (_, message) = fires(&manifest, ProbePortUndeclared);
        assert!(message.ends_with("; none of its ports has a name"), "{message}");
    }

    #[test]
    fn a_host_does_not_change_where_the_name_is_looked_up() {
        let action = |port: &str| json!({"httpGet": {"port": port, "host": "10.0.0.1"}});
        fires(&requesting("readinessProbe", action("wbe")), ProbePortUndeclared);
        silent(&requesting("readinessProbe", action("web")), ProbePortUndeclared);
    }
}
