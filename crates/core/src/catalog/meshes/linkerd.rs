//! Linkerd: <https://linkerd.io/2/reference/proxy-configuration/>.

use super::{Pods, Proxy, Sidecar, seconds};
use crate::duration::Seconds;
use crate::duration::go::go_duration;

/// How long the proxy waits before SIGTERM, in seconds. Classic sidecars only.
const WAIT: &str = "config.alpha.linkerd.io/proxy-wait-before-exit-seconds";
/// How long the proxy waits at most for open requests after SIGTERM.
const GRACE: &str = "config.linkerd.io/shutdown-grace-period";
/// The names of one setting, newest first.
const NATIVE: [&str; 3] = [
    "config.linkerd.io/proxy-enable-native-sidecar",
    "config.beta.linkerd.io/proxy-enable-native-sidecar",
    "config.alpha.linkerd.io/proxy-enable-native-sidecar",
];
/// Only the longest time: connections that are closed earlier end it earlier.
const DEFAULT_GRACE: Seconds = Seconds::new(120);

pub(super) fn proxy(pods: &Pods<'_>, sidecar: &'static Sidecar) -> Option<Proxy> {
    // The annotations of the namespace are the defaults of its pods.
    let annotation = |key: &str| pods.annotation(key).or_else(|| pods.namespace_annotation(key));
    let is_injected = match annotation("linkerd.io/inject") {
        Some(inject) => matches!(inject, "enabled" | "ingress"),
        None => pods.traffic == Some("linkerd"),
    };
    let native = NATIVE.into_iter().find_map(annotation);
    if !is_injected || native == Some("true") || pods.use_host_network() {
        return None;
    }
    let wait = annotation(WAIT).and_then(seconds);
    let grace = annotation(GRACE).and_then(go_duration);
    let accepts_for = wait.unwrap_or_default();
    Some(Proxy {
        mesh: &sidecar.name,
        is_certain: native.is_some() || wait.is_some(),
        accepts_for,
        exits_after: accepts_for.plus(grace.unwrap_or(DEFAULT_GRACE)),
        is_called_by_app: false,
        exit_is_configured: grace.is_some(),
        wait_key: WAIT,
        exit_key: GRACE,
        wait_setting: |seconds| format!("{WAIT}: \"{}\"", seconds.as_i64()),
        native_key: Some(NATIVE[1]),
    })
}
