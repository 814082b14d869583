//! The proxy that a mesh will inject into a pod, as the template's annotations tell: it is in no template yet, because
//! meshes inject into pods. How long it waits after the pod is told to stop is told by the same annotations.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::sidecars;
use crate::duration::Seconds;
use crate::duration::go::go_duration;
use crate::workload::Workload;

/// Linkerd's wait before SIGTERM, in seconds. Classic sidecars only.
const LINKERD_WAIT: &str = "config.alpha.linkerd.io/proxy-wait-before-exit-seconds";
/// Linkerd's longest wait after SIGTERM for open requests.
const LINKERD_GRACE: &str = "config.linkerd.io/shutdown-grace-period";
/// Linkerd's names for one switch, newest first.
const LINKERD_NATIVE: [&str; 3] = [
    "config.linkerd.io/proxy-enable-native-sidecar",
    "config.beta.linkerd.io/proxy-enable-native-sidecar",
    "config.alpha.linkerd.io/proxy-enable-native-sidecar",
];
const ISTIO_CONFIG: &str = "proxy.istio.io/config";
const ISTIO_NATIVE: &str = "sidecar.istio.io/nativeSidecar";
const ISTIO_INJECT: &str = "sidecar.istio.io/inject";

/// A classic sidecar that a mesh will inject, or one that may be.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// Whose it is.
    pub(crate) mesh: &'static str,
    /// Whether the template says that it is no native sidecar, or tells it what only a classic one is told.
    pub(crate) surely_classic: bool,
    /// How long it takes new requests after the pod is told to stop.
    pub(crate) accepts: Seconds,
    /// How long it lives, at most.
    pub(crate) lives: Seconds,
    /// Whether somebody wrote down how long it lives.
    pub(crate) lives_as_told: bool,
    /// The annotation to write, and whether it stands there.
    pub(crate) key: &'static str,
    /// What to write there, for so many seconds.
    pub(crate) way_out: fn(Seconds) -> String,
    /// How to say that it is a native sidecar.
    pub(crate) native: &'static str,
}

/// The classic proxy of a workload's pods. `None` without a mesh, with a native sidecar, and where the proxy already is in
/// the template, so that another rule looks at it.
pub(crate) fn proxy(workload: &Workload) -> Option<Proxy> {
    let in_template = |name: &str| workload.pod.containers.iter().any(|container| container.name == name);
    let native = |name: &str| sidecars::native(&workload.pod).any(|container| container.name == name);
    let known = |name: &str| in_template(name) || native(name);
    linkerd(workload).filter(|_| !known("linkerd-proxy")).or_else(|| istio(workload).filter(|_| !known("istio-proxy")))
}

fn linkerd(workload: &Workload) -> Option<Proxy> {
    let text = |key: &str| workload.annotations.get(key).map(|text| text.trim());
    if !matches!(text("linkerd.io/inject"), Some("enabled" | "ingress")) {
        return None;
    }
    let native = LINKERD_NATIVE.into_iter().find_map(text);
    if native == Some("true") {
        return None;
    }
    let wait =
        text(LINKERD_WAIT).and_then(|text| text.parse().ok()).map(|wait: u32| Seconds::new(wait).min(Seconds::MAX));
    let grace = text(LINKERD_GRACE).and_then(go_duration);
    let accepts = wait.unwrap_or_default();
    Some(Proxy {
        mesh: "Linkerd",
        surely_classic: native.is_some() || wait.is_some(),
        accepts,
        lives: accepts.plus(grace.unwrap_or(Seconds::new(120))),
        lives_as_told: grace.is_some(),
        key: LINKERD_WAIT,
        way_out: |seconds| format!("{LINKERD_WAIT}: \"{}\"", seconds.as_i64()),
        native: LINKERD_NATIVE[1],
    })
}

/// The part of Istio's proxy configuration that says when it stops.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IstioConfig {
    termination_drain_duration: Option<String>,
    proxy_metadata: BTreeMap<String, serde_json::Value>,
}

fn istio(workload: &Workload) -> Option<Proxy> {
    let text = |key: &str| workload.labels.get(key).or_else(|| workload.annotations.get(key)).map(String::as_str);
    // What cannot be read, Istio does not take either.
    let config = workload.annotations.get(ISTIO_CONFIG);
    let config: Option<IstioConfig> = config.map(|config| serde_saphyr::from_str(config).unwrap_or_default());
    if text(ISTIO_INJECT) == Some("false") || text(ISTIO_INJECT) != Some("true") && config.is_none() {
        return None;
    }
    let config = config.unwrap_or_default();
    let waits_for_connections = config.proxy_metadata.get("EXIT_ON_ZERO_ACTIVE_CONNECTIONS");
    if text(ISTIO_NATIVE) == Some("true")
        || waits_for_connections.is_some_and(|value| *value == "true" || *value == true)
    {
        return None;
    }
    let told = config.termination_drain_duration.as_deref().and_then(go_duration);
    let lives = told.unwrap_or(Seconds::new(5));
    Some(Proxy {
        mesh: "Istio",
        surely_classic: text(ISTIO_NATIVE).is_some() || told.is_some(),
        accepts: lives,
        lives,
        lives_as_told: told.is_some(),
        key: ISTIO_CONFIG,
        way_out: |seconds| format!("{ISTIO_CONFIG}: \"terminationDrainDuration: {seconds}\""),
        native: ISTIO_NATIVE,
    })
}
