//! Without a readiness probe a container is ready as soon as its process runs: during a rollout the new pod gets requests
//! before it can serve them, and the old pod stops too soon.

use k8s_openapi::api::core::v1::{Container, ContainerPort};

use crate::annotations::READINESS;
use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::Role;
use crate::pod::ports;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::ReadinessMissing,
    severity: Severity::Warning,
    title: "A container serves requests, but the pod has no readiness probe.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    // A drain of 0s says that the pod gets no traffic of a Service.
    if subject.resolved.drain == Seconds::ZERO {
        return Vec::new();
    }
    let containers = subject.containers();
    // A startup probe also keeps traffic away from a new pod.
    let is_probed = |container: &Container| container.readiness_probe.is_some() || container.startup_probe.is_some();
    if subject.resolved.declaration.readiness.is_some() || containers.iter().any(is_probed) {
        return Vec::new();
    }
    let serving = subject.lanes(Role::App).find_map(|(container, _)| Some((container, ports::serving(container)?)));
    serving.into_iter().map(|(container, port)| finding(container, port)).collect()
}

fn finding(container: &Container, port: &ContainerPort) -> Finding {
    let number = port.container_port;
    let probe = if is_http(port) { format!("http:{number}/") } else { format!("tcp:{number}") };
    let field = FieldPath::container(&container.name, "readinessProbe");
    let finding = RULE.finding(field, format!("serves port {number} but has no readiness probe"));
    finding.fact(number).hint(format!("add one, or set {READINESS}: {probe}"))
}

/// Determined by name and number. An HTTP probe of an app with another protocol fails.
fn is_http(port: &ContainerPort) -> bool {
    match port.name.as_deref() {
        Some(name) => name.split('-').any(|word| matches!(word, "http" | "http1" | "web" | "www")),
        None => matches!(port.container_port, 80 | 3000 | 8000 | 8080),
    }
}

const PAGE: &str = r"## Why

Without a readiness probe a container is ready as soon as its process runs. During a rollout that causes two problems. The
new pod is in the list of endpoints before it listens, so its first requests are refused. The old pod is stopped before
anything can replace it. The drain protects only the old pod, not the new one.

Winddown looks at the ports that the containers list, except UDP ports and those named metrics, health, admin and the like.
It does not report a pod with a drain of 0s, which gets no traffic, and not one that has a startup probe, because that keeps traffic away from a new pod as well.

## What to do

Let Winddown inject a probe:

```yaml
metadata:
  annotations:
    winddown.dev/readiness: http:8080/health
```

Or write one yourself; Winddown does not change it. The probe should succeed when the app can serve requests. It should not
depend on a database that all pods share, or all of them become unready at once.

## Source

- [Probes](https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/)
- [Readiness probes](https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#define-readiness-probes)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessMissing;
    use crate::rules::tests::{container, deployment, fires, pod, silent};

    fn serving(fields: &Value) -> Value {
        container(|app| {
            app["ports"] = json!([{"containerPort": 9100, "name": "http-metrics"}, {"containerPort": 8080}]);
            app.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        })
    }

    #[test]
    fn a_container_that_serves_without_a_probe_is_reported() {
        for fields in [
            json!({}),
            json!({"livenessProbe": {"tcpSocket": {"port": 8080}}}),
            json!({"ports": [{"containerPort": 8080, "protocol": ""}]}),
        ] {
            let (field, message) = fires(&serving(&fields), ReadinessMissing);
            assert_eq!(field, "spec.template.spec.containers[app].readinessProbe");
            assert_eq!(
                message,
                "serves port 8080 but has no readiness probe; add one, or set winddown.dev/readiness: http:8080/"
            );
        }
    }

    #[test]
    fn an_http_probe_is_proposed_only_for_http_ports() {
        for (port, probe) in [
            (json!({"containerPort": 8080}), "http:8080/"),
            (json!({"containerPort": 9000, "name": "http-api"}), "http:9000/"),
            (json!({"containerPort": 8080, "name": "grpc"}), "tcp:8080"),
            (json!({"containerPort": 5432}), "tcp:5432"),
            (json!({"containerPort": 8443, "name": "https"}), "tcp:8443"),
        ] {
            let (_, message) = fires(&serving(&json!({"ports": [port]})), ReadinessMissing);
            assert!(message.ends_with(&format!("or set winddown.dev/readiness: {probe}")), "{message}");
        }
    }

    #[test]
    fn one_probe_in_the_pod_is_enough() {
        let probe = json!({"httpGet": {"path": "/", "port": 8080}});
        silent(&serving(&json!({"readinessProbe": probe})), ReadinessMissing);
        silent(&serving(&json!({"startupProbe": probe})), ReadinessMissing);
        let mut declared = serving(&json!({}));
        declared["metadata"]["annotations"]["winddown.dev/readiness"] = json!("http:8080/health");
        silent(&declared, ReadinessMissing);
        let proxied = pod(|pod| {
            pod["containers"][0]["ports"] = json!([{"containerPort": 8080}]);
            let proxy = json!({"name": "proxy", "readinessProbe": {"tcpSocket": {"port": 80}}});
            pod["containers"].as_array_mut().unwrap().push(proxy);
        });
        silent(&proxied, ReadinessMissing);
    }

    #[test]
    fn a_container_without_a_port_for_requests_needs_no_probe() {
        for port in [
            json!({"containerPort": 9090, "name": "metrics"}),
            json!({"containerPort": 8081, "name": "health"}),
            json!({"containerPort": 53, "name": "dns", "protocol": "UDP"}),
        ] {
            silent(&container(|app| app["ports"] = json!([port])), ReadinessMissing);
        }
        silent(&deployment(|_| {}), ReadinessMissing);
        let mut without_traffic = serving(&json!({}));
        without_traffic["metadata"]["annotations"]["winddown.dev/drain"] = json!("0s");
        silent(&without_traffic, ReadinessMissing);
        let only_the_proxy = pod(|pod| {
            let proxy = json!({"name": "cloud-sql-proxy", "ports": [{"containerPort": 5432}]});
            pod["containers"].as_array_mut().unwrap().push(proxy);
        });
        silent(&only_the_proxy, ReadinessMissing);
    }
}
