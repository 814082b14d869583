//! The requests that the kubelet sends to containers: HTTP, TCP and gRPC handlers of probes and hooks.

use k8s_openapi::api::core::v1::{HTTPGetAction, LifecycleHandler, PodSpec, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::sidecars::{Running, running};
use crate::field_path::FieldPath;

/// A request that the kubelet sends.
pub(crate) struct Request<'a> {
    /// The container that has the probe or hook.
    pub(crate) running: Running<'a>,
    /// The probe or hook: `readinessProbe`, `lifecycle.preStop`.
    place: &'static str,
    /// The kind of handler: `httpGet`.
    handler: &'static str,
    /// The host to which it is sent; `None` for the pod itself.
    pub(crate) host: Option<&'a str>,
    /// The port at that host.
    pub(crate) port: Port<'a>,
}

/// A port in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port<'a> {
    Number(i32),
    /// The name of one of the container's own ports.
    Name(&'a str),
}

impl Request<'_> {
    /// The field of its handler.
    pub(crate) fn field(&self) -> FieldPath {
        self.running.field(self.place).join(self.handler)
    }
}

/// Every request that the probes and hooks of the main containers and the native sidecars send.
pub(crate) fn requests(pod: &PodSpec) -> impl Iterator<Item = Request<'_>> {
    running(pod).flat_map(of_container)
}

/// Only the requests that are sent to the pod itself.
pub(crate) fn requests_to_pod(pod: &PodSpec) -> impl Iterator<Item = Request<'_>> {
    requests(pod).filter(|request| request.host.is_none())
}

fn of_container(running: Running<'_>) -> impl Iterator<Item = Request<'_>> {
    let container = running.container;
    let probes = [
        ("readinessProbe", &container.readiness_probe),
        ("livenessProbe", &container.liveness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    let probes = probes.into_iter().filter_map(|(place, probe)| Some((place, probe.as_ref()?)));
    let lifecycle = container.lifecycle.as_ref();
    let hooks = [
        ("lifecycle.postStart", lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref())),
        ("lifecycle.preStop", lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref())),
    ];
    let hooks = hooks.into_iter().filter_map(|(place, hook)| Some((place, hook?)));
    let in_probes = probes.flat_map(move |(place, probe)| of_probe(running, place, probe));
    in_probes.chain(hooks.flat_map(move |(place, hook)| of_hook(running, place, hook)))
}

fn of_probe<'a>(running: Running<'a>, place: &'static str, probe: &'a Probe) -> impl Iterator<Item = Request<'a>> {
    let grpc = probe.grpc.as_ref();
    let grpc = grpc.map(|grpc| Request { running, place, handler: "grpc", host: None, port: Port::Number(grpc.port) });
    let http = probe.http_get.as_ref().map(|action| http(running, place, action));
    let tcp = probe.tcp_socket.as_ref().map(|action| tcp(running, place, action));
    [http, tcp, grpc].into_iter().flatten()
}

fn of_hook<'a>(
    running: Running<'a>,
    place: &'static str,
    hook: &'a LifecycleHandler,
) -> impl Iterator<Item = Request<'a>> {
    let http = hook.http_get.as_ref().map(|action| http(running, place, action));
    let tcp = hook.tcp_socket.as_ref().map(|action| tcp(running, place, action));
    [http, tcp].into_iter().flatten()
}

fn http<'a>(running: Running<'a>, place: &'static str, action: &'a HTTPGetAction) -> Request<'a> {
    Request { running, place, handler: "httpGet", host: host(action.host.as_ref()), port: port(&action.port) }
}

fn tcp<'a>(running: Running<'a>, place: &'static str, action: &'a TCPSocketAction) -> Request<'a> {
    Request { running, place, handler: "tcpSocket", host: host(action.host.as_ref()), port: port(&action.port) }
}

/// An empty host equals an absent one.
pub(super) fn host(host: Option<&String>) -> Option<&str> {
    host.map(String::as_str).filter(|host| !host.is_empty())
}

pub(super) fn port(port: &IntOrString) -> Port<'_> {
    match port {
        IntOrString::Int(number) => Port::Number(*number),
        // A port name contains a letter.
        IntOrString::String(text) => text.parse().map_or(Port::Name(text), Port::Number),
    }
}
