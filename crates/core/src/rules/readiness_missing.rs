//! Without a readiness probe a container counts as ready as soon as its process runs: in a rollout the new pod gets
//! requests before it can answer, and the old one is told to stop too soon.

use k8s_openapi::api::core::v1::{Container, ContainerPort};

use super::Subject;
use crate::annotations;
use crate::finding::{Code, Finding};
use crate::plan::container_field;
use crate::pod::ports;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let containers = &subject.workload.pod.containers;
    // A startup probe holds traffic off a new pod as well.
    let asked = |container: &Container| container.readiness_probe.is_some() || container.startup_probe.is_some();
    if subject.declaration.readiness.is_some() || containers.iter().any(asked) {
        return Vec::new();
    }
    let serving = containers.iter().find_map(|container| Some((container, ports::serving(container)?)));
    let finding = serving.map(|(container, port)| {
        let number = port.container_port;
        let probe = if is_http(port) { format!("http:{number}/") } else { format!("tcp:{number}") };
        let message = format!(
            "serves port {number}, but nobody asks whether it is ready; declare {}, e.g. {probe}",
            annotations::READINESS
        );
        Finding::new(Code::ReadinessMissing, container_field(&container.name, "readinessProbe"), message)
    });
    finding.into_iter().collect()
}

/// As far as name and number tell: who asks an app of another protocol for a page takes it out for ever.
fn is_http(port: &ContainerPort) -> bool {
    match port.name.as_deref() {
        Some(name) => name.split('-').any(|word| matches!(word, "http" | "http1" | "web" | "www")),
        None => matches!(port.container_port, 80 | 3000 | 8000 | 8080),
    }
}

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
    fn a_container_that_serves_is_asked_whether_it_is_ready() {
        for fields in [
            json!({}),
            json!({"livenessProbe": {"tcpSocket": {"port": 8080}}}),
            json!({"ports": [{"containerPort": 8080, "protocol": ""}]}),
        ] {
            let (field, message) = fires(&serving(&fields), ReadinessMissing);
            assert_eq!(field, "spec.template.spec.containers[app].readinessProbe");
            assert_eq!(
                message,
                "serves port 8080, but nobody asks whether it is ready; declare winddown.dev/readiness, e.g. http:8080/"
            );
        }
    }

    #[test]
    fn only_who_speaks_http_is_to_be_asked_for_a_page() {
        for (port, probe) in [
            (json!({"containerPort": 8080}), "http:8080/"),
            (json!({"containerPort": 9000, "name": "http-api"}), "http:9000/"),
            (json!({"containerPort": 8080, "name": "grpc"}), "tcp:8080"),
            (json!({"containerPort": 5432}), "tcp:5432"),
            (json!({"containerPort": 8443, "name": "https"}), "tcp:8443"),
        ] {
            let (_, message) = fires(&serving(&json!({"ports": [port]})), ReadinessMissing);
            assert!(message.ends_with(&format!("e.g. {probe}")), "{message}");
        }
    }

    #[test]
    fn who_is_asked_already_need_not_be_asked_again() {
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
    fn who_serves_nobody_is_not_asked() {
        for port in [
            json!({"containerPort": 9090, "name": "metrics"}),
            json!({"containerPort": 8081, "name": "health"}),
            json!({"containerPort": 53, "name": "dns", "protocol": "UDP"}),
        ] {
            silent(&container(|app| app["ports"] = json!([port])), ReadinessMissing);
        }
        silent(&deployment(|_| {}), ReadinessMissing);
    }
}
