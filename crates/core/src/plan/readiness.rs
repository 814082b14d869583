//! The readiness probe: injected only if `winddown.dev/readiness` is set and the container has none.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, GRPCAction, HTTPGetAction, PodSpec, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::policy::{Policy, Resolved};
use crate::probe_spec::{Check, Port, ProbeSpec};

/// The decision about the readiness probe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PlannedProbe {
    /// No probe is declared, or the named container does not exist.
    None,
    /// Inject this probe into this container.
    Inject { container: String, probe: Box<Probe> },
    /// This container already has a probe.
    Kept { container: String },
    /// No container declares the port number, and there are several.
    ContainerUnclear { port: u16 },
    /// The container, or any container, has no port with that name.
    PortNotFound { port: String, container: Option<String> },
}

pub(crate) fn plan(pod: &PodSpec, resolved: &Resolved<'_>) -> PlannedProbe {
    let Some(spec) = &resolved.declaration.readiness else { return PlannedProbe::None };
    let container = match target(pod, resolved, &spec.port) {
        Ok(container) => container,
        Err(planned) => return planned,
    };
    let name = || container.name.clone();
    if container.readiness_probe.is_some() {
        return PlannedProbe::Kept { container: name() };
    }
    match probe(container, spec, resolved.policy) {
        Some(probe) => PlannedProbe::Inject { container: name(), probe: Box::new(probe) },
        None => PlannedProbe::PortNotFound { port: spec.port.to_string(), container: Some(name()) },
    }
}

/// The container to probe: the first one named, else the one that declares the port, else the only one.
fn target<'a>(pod: &'a PodSpec, resolved: &Resolved<'_>, port: &Port) -> Result<&'a Container, PlannedProbe> {
    if let Some(first) = resolved.declaration.containers.as_ref().and_then(|names| names.first()) {
        return pod.containers.iter().find(|container| container.name == *first).ok_or(PlannedProbe::None);
    }
    if let Some(container) = pod.containers.iter().find(|container| declares(container, port).is_some()) {
        return Ok(container);
    }
    match (port, pod.containers.as_slice()) {
        (_, []) => Err(PlannedProbe::None),
        (Port::Number(_), [only]) => Ok(only),
        (Port::Number(port), _) => Err(PlannedProbe::ContainerUnclear { port: *port }),
        (Port::Name(name), _) => Err(PlannedProbe::PortNotFound { port: name.clone(), container: None }),
    }
}

fn declares<'a>(container: &'a Container, port: &Port) -> Option<&'a ContainerPort> {
    container.ports.iter().flatten().find(|declared| match port {
        Port::Number(number) => declared.container_port == i32::from(*number),
        Port::Name(name) => declared.name.as_deref() == Some(name),
    })
}

/// The probe with all defaults of the API, so that the API server returns it unchanged. `None` if the container has no port
/// with the name.
fn probe(container: &Container, spec: &ProbeSpec, policy: &Policy) -> Option<Probe> {
    let declared = declares(container, &spec.port);
    let port = match &spec.port {
        Port::Number(number) => IntOrString::Int(i32::from(*number)),
        Port::Name(name) => declared.map(|_| IntOrString::String(name.clone()))?,
    };
    let mut probe = Probe {
        period_seconds: Some(policy.readiness_period),
        failure_threshold: Some(policy.readiness_failure_threshold),
        success_threshold: Some(1),
        timeout_seconds: Some(1),
        ..Probe::default()
    };
    match &spec.check {
        Check::Http { tls, path } => {
            probe.http_get = Some(HTTPGetAction {
                path: Some(path.clone()),
                port,
                scheme: Some(if *tls { "HTTPS" } else { "HTTP" }.to_owned()),
                ..HTTPGetAction::default()
            });
        }
        Check::Tcp => probe.tcp_socket = Some(TCPSocketAction { port, ..TCPSocketAction::default() }),
        // A gRPC probe takes no port name (API reference of GRPCAction), so it is looked up here.
        Check::Grpc { service } => {
            let number = match &spec.port {
                Port::Number(number) => i32::from(*number),
                Port::Name(_) => declared?.container_port,
            };
            probe.grpc = Some(GRPCAction { port: number, service: Some(service.clone()), ..GRPCAction::default() });
        }
    }
    Some(probe)
}
