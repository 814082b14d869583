//! What a container's ports tell of it.

use k8s_openapi::api::core::v1::{Container, ContainerPort};

/// The first port that requests of users may come in through.
pub(crate) fn serving(container: &Container) -> Option<&ContainerPort> {
    container.ports.iter().flatten().find(|port| serves(port))
}

/// Whether a container says of all its ports that they are for those who watch it: an exporter, an agent.
pub(crate) fn is_only_watched(container: &Container) -> bool {
    container.ports.as_ref().is_some_and(|ports| !ports.is_empty()) && serving(container).is_none()
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
