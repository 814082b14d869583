//! The readiness probe: injected only where `winddown.dev/readiness` asks for it and the container has none.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, GRPCAction, HTTPGetAction, PodSpec, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::policy::{Policy, Resolved};
use crate::probe_spec::{Check, Port, ProbeSpec};

/// What `winddown.dev/readiness` comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PlannedProbe {
    /// It asks for none, or names a container that is not there.
    None,
    /// A probe for that container.
    Inject { container: String, probe: Box<Probe> },
    /// That container has one already.
    Kept { container: String },
    /// No container declares the port number, and there are several.
    ContainerUnclear { port: u16 },
    /// No port has that name: of that container, or of any.
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

/// The probe with every default of the API written out, so that what comes back from the API server is what was sent.
/// `None` where the port is a name that the container does not give to any of its ports.
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
