//! The readiness probe: injected only where `winddown.dev/readiness` asks for it and the container has none.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, GRPCAction, HTTPGetAction, PodSpec, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{container_field, names};
use crate::annotations::{self, Declaration};
use crate::finding::{Code, Finding};
use crate::mutation::Mutation;
use crate::policy::Policy;
use crate::probe_spec::{Check, Port, Readiness};

/// What the probe comes to.
#[derive(Default)]
pub(crate) struct Planned {
    pub(crate) mutation: Option<Mutation>,
    pub(crate) finding: Option<Finding>,
}

pub(crate) fn plan(pod: &PodSpec, declaration: &Declaration, policy: &Policy) -> Planned {
    let Some(readiness) = &declaration.readiness else { return Planned::default() };
    let container = match target(pod, declaration, &readiness.port) {
        Ok(Some(container)) => container,
        // Nothing to probe; a container that is named but missing has a finding of its own.
        Ok(None) => return Planned::default(),
        Err(finding) => return Planned { mutation: None, finding: Some(finding) },
    };
    if container.readiness_probe.is_some() {
        let field = container_field(&container.name, "readinessProbe");
        let finding = Finding::new(Code::ReadinessKept, field, "its own readiness probe is kept");
        return Planned { mutation: None, finding: Some(finding) };
    }
    match probe(container, readiness, policy) {
        Some(probe) => {
            let mutation = Mutation::SetReadinessProbe { container: container.name.clone(), probe: Box::new(probe) };
            Planned { mutation: Some(mutation), finding: None }
        }
        None => Planned { mutation: None, finding: Some(port_not_found(&readiness.port, &[container])) },
    }
}

/// The container to probe: the first one named, else the one that declares the port, else the only one.
fn target<'a>(pod: &'a PodSpec, declaration: &Declaration, port: &Port) -> Result<Option<&'a Container>, Finding> {
    if let Some(first) = declaration.containers.as_ref().and_then(|names| names.first()) {
        return Ok(pod.containers.iter().find(|container| container.name == *first));
    }
    if let Some(container) = pod.containers.iter().find(|container| declares(container, port).is_some()) {
        return Ok(Some(container));
    }
    match (port, pod.containers.as_slice()) {
        (_, []) => Ok(None),
        (Port::Number(_), [only]) => Ok(Some(only)),
        (Port::Number(number), several) => Err(Finding::new(
            Code::ReadinessContainerUnclear,
            annotations::field(annotations::READINESS),
            format!(
                "no container declares port {number}; add it to one's ports, or name one of {} in {}",
                names(several),
                annotations::CONTAINERS
            ),
        )),
        (Port::Name(_), containers) => Err(port_not_found(port, &containers.iter().collect::<Vec<_>>())),
    }
}

fn declares<'a>(container: &'a Container, port: &Port) -> Option<&'a ContainerPort> {
    container.ports.iter().flatten().find(|declared| match port {
        Port::Number(number) => declared.container_port == i32::from(*number),
        Port::Name(name) => declared.name.as_deref() == Some(name),
    })
}

fn port_not_found(port: &Port, containers: &[&Container]) -> Finding {
    const SHOWN: usize = 5;
    let ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
    let named: Vec<_> = ports.filter_map(|port| port.name.as_deref()).take(SHOWN).collect();
    let there = match named.as_slice() {
        [] => "no port there has a name".to_owned(),
        named => format!("there are {}", named.join(", ")),
    };
    Finding::new(
        Code::PortNotFound,
        annotations::field(annotations::READINESS),
        format!("no container port is named {:?}; {there}", port.to_string()),
    )
}

/// The probe with every default of the API written out, so that what comes back from the API server is what was sent.
/// `None` where the port is a name that the container does not give to any of its ports.
fn probe(container: &Container, readiness: &Readiness, policy: &Policy) -> Option<Probe> {
    let declared = declares(container, &readiness.port);
    let port = match &readiness.port {
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
    match &readiness.check {
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
            let number = match &readiness.port {
                Port::Number(number) => i32::from(*number),
                Port::Name(_) => declared?.container_port,
            };
            probe.grpc = Some(GRPCAction { port: number, service: Some(service.clone()), ..GRPCAction::default() });
        }
    }
    Some(probe)
}
