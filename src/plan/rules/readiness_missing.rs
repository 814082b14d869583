//! Without a readiness probe a container counts as ready as soon as its process runs: in a rollout the new pod gets
//! requests before it can answer, and the old one is told to stop too soon.

use k8s_openapi::api::core::v1::{Container, ContainerPort};

use super::Subject;
use crate::annotations;
use crate::finding::{Code, Finding};
use crate::plan::container_field;

pub(super) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let containers = &subject.workload.pod.containers;
    // A startup probe holds traffic off a new pod as well.
    let asked = |container: &Container| container.readiness_probe.is_some() || container.startup_probe.is_some();
    if subject.declaration.readiness.is_some() || containers.iter().any(asked) {
        return Vec::new();
    }
    let serving = containers
        .iter()
        .find_map(|container| Some((container, container.ports.iter().flatten().find(|port| serves(port))?)));
    let finding = serving.map(|(container, ContainerPort { container_port: port, .. })| {
        let message = format!(
            "serves port {port}, but nobody asks whether it is ready; declare {}, e.g. http:{port}/",
            annotations::READINESS
        );
        Finding::new(Code::ReadinessMissing, container_field(&container.name, "readinessProbe"), message)
    });
    finding.into_iter().collect()
}

/// Whether requests of users may come in there, as far as its name tells.
fn serves(port: &ContainerPort) -> bool {
    const ASIDE: [&str; 17] = [
        "admin",
        "debug",
        "exporter",
        "health",
        "healthcheck",
        "healthz",
        "jmx",
        "management",
        "metric",
        "metrics",
        "monitoring",
        "pprof",
        "probe",
        "probes",
        "prom",
        "prometheus",
        "telemetry",
    ];
    let aside = port.name.iter().flat_map(|name| name.split('-')).any(|word| ASIDE.contains(&word));
    // The API server takes an empty protocol for an absent one.
    !aside && matches!(port.protocol.as_deref(), None | Some("" | "TCP"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessMissing;
    use crate::plan::rules::tests::{container, deployment, fires, pod, silent};

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
