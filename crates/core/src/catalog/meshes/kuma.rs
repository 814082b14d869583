//! Kuma and Kong Mesh: <https://kuma.io/docs/latest/reference/kubernetes-annotations/>. Only the control plane can make the
//! proxy a native sidecar (`experimental.sidecarContainers`).

use super::{Pods, Proxy, Sidecar};
use crate::duration::go::go_duration;

/// A label of the pod or of its namespace; older versions also read the annotation.
const INJECT: &str = "kuma.io/sidecar-injection";
/// The time for which the proxy drains, all of which it waits, before it exits.
const DRAIN: &str = "kuma.io/sidecar-drain-time";

pub(super) fn proxy(pods: &Pods<'_>, sidecar: &'static Sidecar) -> Option<Proxy> {
    let of_namespace = || pods.namespace_label(INJECT).or_else(|| pods.namespace_annotation(INJECT));
    let inject = pods.label_or_annotation(INJECT).or_else(of_namespace);
    if !matches!(inject, Some("enabled" | "true")) {
        return None;
    }
    let configured = pods.annotation(DRAIN).and_then(go_duration);
    let exits_after = configured.or(sidecar.stops_after).unwrap_or_default();
    Some(Proxy {
        mesh: &sidecar.name,
        is_certain: configured.is_some(),
        accepts_for: exits_after,
        exits_after,
        is_called_by_app: false,
        exit_is_configured: configured.is_some(),
        wait_key: DRAIN,
        exit_key: DRAIN,
        wait_setting: |seconds| format!("{DRAIN}: \"{seconds}\""),
        native_key: None,
    })
}
