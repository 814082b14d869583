//! Information from the ports of a container.

use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec};

/// The first port that may serve requests of users.
pub(crate) fn serving(container: &Container) -> Option<&ContainerPort> {
    container.ports.iter().flatten().find(|port| may_serve(port))
}

/// Whether all ports of a container are for monitoring, as in an exporter or an agent.
pub(crate) fn is_only_watched(container: &Container) -> bool {
    any(container) && serving(container).is_none()
}

/// Whether the containers use ports of the node, so that two pods with them do not fit on a node. In the network of the
/// node, every port is one of the node: the API server sets `hostPort` to it in each pod.
pub(crate) fn binds_node_ports(pod: &PodSpec) -> bool {
    let mut ports = pod.containers.iter().flat_map(|container| container.ports.iter().flatten());
    let host_network = pod.host_network == Some(true);
    ports.any(|port| port.host_port.is_some_and(|port| port > 0) || (host_network && port.container_port > 0))
}

/// Whether a container declares a port.
pub(crate) fn any(container: &Container) -> bool {
    container.ports.as_ref().is_some_and(|ports| !ports.is_empty())
}

/// Whether a container declares a port of any protocol that is not for monitoring.
pub(crate) fn for_users(container: &Container) -> bool {
    container.ports.iter().flatten().any(|port| !is_internal(port))
}

fn may_serve(port: &ContainerPort) -> bool {
    !is_internal(port) && is_tcp(port)
}

/// Whether connections come to the port.
pub(crate) fn is_tcp(port: &ContainerPort) -> bool {
    // The API server treats an empty protocol as absent.
    matches!(port.protocol.as_deref(), None | Some("" | "TCP"))
}

/// Whether a port is for monitoring, determined by its name.
pub(crate) fn is_internal(port: &ContainerPort) -> bool {
    const INTERNAL: [&str; 17] = [
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
    port.name.iter().flat_map(|name| name.split('-')).any(|word| INTERNAL.contains(&word))
}
