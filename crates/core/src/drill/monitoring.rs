//! The ports of a pod that are only for monitoring, so that a connection to them is no traffic.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerPort, PodSpec};

use crate::pod::ports::{is_internal, is_tcp};

/// The annotation by which many configurations of Prometheus find the port to scrape
/// (<https://github.com/prometheus/prometheus/blob/main/documentation/examples/prometheus-kubernetes.yml>).
pub(super) const PORT: &str = "prometheus.io/port";
/// Ports that are read.
const MAX_PORTS: usize = 1_000;

/// Ports whose names say so, and the one of the annotation. A port that may also serve requests is none of them: a drain that
/// is too short drops requests. Where no port that may serve is declared, the one of the annotation may be that of the app.
pub(super) fn ports(spec: &PodSpec, annotated: Option<&str>) -> BTreeSet<u16> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let declared = containers.flat_map(|container| container.ports.iter().flatten()).take(MAX_PORTS);
    let (internal, serving): (Vec<_>, Vec<_>) =
        declared.filter(|port| is_tcp(port)).partition(|port| is_internal(port));
    let number = |port: &&ContainerPort| u16::try_from(port.container_port).ok().filter(|port| *port > 0);
    let serving: BTreeSet<u16> = serving.iter().filter_map(number).collect();
    let annotated = annotated.and_then(|port| port.trim().parse::<u16>().ok());
    let annotated = annotated.filter(|port| *port > 0 && !serving.is_empty());
    let found: BTreeSet<u16> = internal.iter().filter_map(number).chain(annotated).collect();
    found.difference(&serving).copied().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The ports of a pod with one container, and an annotation.
    fn found(declared: &Value, annotated: Option<&str>) -> Vec<u16> {
        let spec = json!({"containers": [{"name": "app", "ports": declared}]});
        ports(&serde_json::from_value(spec).unwrap(), annotated).into_iter().collect()
    }

    #[test]
    fn a_port_is_for_monitoring_if_its_name_says_so_and_no_container_serves_on_it() {
        let http = json!({"name": "http", "containerPort": 8080});
        let named = |name: &str| json!({"name": name, "containerPort": 9090});
        for name in ["metrics", "prometheus", "http-metrics", "http-envoy-prom", "management"] {
            assert_eq!(found(&json!([http, named(name)]), None), [9_090], "{name}");
            // A worker has no other.
            assert_eq!(found(&json!([named(name)]), None), [9_090], "{name}");
        }
        for name in ["http", "grpc", "metricsapi", "web"] {
            assert_eq!(found(&json!([http, named(name)]), None), [0; 0], "{name}");
        }
        assert_eq!(found(&json!([http, {"containerPort": 9090}]), None), [0; 0]);
        assert_eq!(found(&json!([http, {"name": "metrics", "containerPort": 8080}]), None), [0; 0]);
        assert_eq!(found(&json!([http, {"name": "metrics", "containerPort": 9090, "protocol": "UDP"}]), None), [0; 0]);
        // Over TCP and UDP, such as DNS.
        let udp = json!({"name": "dns", "containerPort": 9090, "protocol": "UDP"});
        assert_eq!(found(&json!([http, udp, named("metrics")]), None), [9_090]);
    }

    #[test]
    fn the_annotated_port_is_for_monitoring_if_another_one_serves() {
        let http = json!({"name": "http", "containerPort": 8080});
        assert_eq!(found(&json!([http]), Some("9102")), [9_102]);
        assert_eq!(found(&json!([http, {"name": "metrics", "containerPort": 9090}]), Some(" 9102 ")), [9_090, 9_102]);
        // The app answers both on one port, or may do so.
        assert_eq!(found(&json!([http]), Some("8080")), [0; 0]);
        assert_eq!(found(&json!([http, {"containerPort": 9102}]), Some("9102")), [0; 0]);
        assert_eq!(found(&json!([]), Some("9102")), [0; 0]);
        assert_eq!(found(&json!([{"name": "metrics", "containerPort": 9090}]), Some("8080")), [9_090]);
        for damaged in ["", "0", "-1", "65536", "metrics", "9102,9103"] {
            assert_eq!(found(&json!([http]), Some(damaged)), [0; 0], "{damaged}");
        }
    }

    #[test]
    fn ports_that_the_api_server_would_reject_are_left_out() {
        assert_eq!(found(&json!([{"name": "metrics", "containerPort": 70_000}]), None), [0; 0]);
        assert_eq!(found(&json!([{"name": "metrics", "containerPort": -1}]), None), [0; 0]);
    }
}
