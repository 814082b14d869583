//! What the kubelet asks a container over the network: its probes and hooks.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// A request that the kubelet makes.
pub(crate) struct Request<'a> {
    /// Where it is written, in the container: `readinessProbe.httpGet`.
    pub(crate) field: String,
    /// Whom it asks; `None` where that is the pod itself.
    pub(crate) host: Option<&'a str>,
    /// The port it asks.
    pub(crate) port: Port<'a>,
}

/// A port as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port<'a> {
    Number(i32),
    /// The name of one of the container's own ports.
    Name(&'a str),
}

/// Everything the kubelet asks a container.
pub(crate) fn requests(container: &Container) -> Vec<Request<'_>> {
    let probes = [
        ("readinessProbe", &container.readiness_probe),
        ("livenessProbe", &container.liveness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    let probes = probes.into_iter().filter_map(|(field, probe)| Some((field, probe.as_ref()?)));
    let lifecycle = container.lifecycle.as_ref();
    let hooks = [
        ("lifecycle.postStart", lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref())),
        ("lifecycle.preStop", lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref())),
    ];
    let hooks = hooks.into_iter().filter_map(|(field, hook)| Some((field, hook?)));
    let in_probes = probes.flat_map(|(place, probe)| {
        let grpc = probe.grpc.as_ref();
        let grpc =
            grpc.map(|grpc| Request { field: format!("{place}.grpc"), host: None, port: Port::Number(grpc.port) });
        [http(place, probe.http_get.as_ref()), tcp(place, probe.tcp_socket.as_ref()), grpc]
    });
    let in_hooks =
        hooks.flat_map(|(place, hook)| [http(place, hook.http_get.as_ref()), tcp(place, hook.tcp_socket.as_ref())]);
    in_probes.flatten().chain(in_hooks.flatten()).collect()
}

fn http<'a>(place: &str, action: Option<&'a HTTPGetAction>) -> Option<Request<'a>> {
    action.map(|action| Request {
        field: format!("{place}.httpGet"),
        host: host(action.host.as_ref()),
        port: port(&action.port),
    })
}

fn tcp<'a>(place: &str, action: Option<&'a TCPSocketAction>) -> Option<Request<'a>> {
    action.map(|action| Request {
        field: format!("{place}.tcpSocket"),
        host: host(action.host.as_ref()),
        port: port(&action.port),
    })
}

/// An empty one is none.
fn host(host: Option<&String>) -> Option<&str> {
    host.map(String::as_str).filter(|host| !host.is_empty())
}

fn port(port: &IntOrString) -> Port<'_> {
    match port {
        IntOrString::Int(number) => Port::Number(*number),
        // The name of a port has a letter in it.
        IntOrString::String(text) => text.parse().map_or(Port::Name(text), Port::Number),
    }
}
