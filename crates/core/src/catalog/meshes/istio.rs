//! Istio: <https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/>.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Pods, Proxy, Sidecar};
use crate::duration::go::go_duration;

const CONFIG: &str = "proxy.istio.io/config";
const NATIVE: &str = "sidecar.istio.io/nativeSidecar";
const INJECT: &str = "sidecar.istio.io/inject";
/// The control plane that injects; only as a label.
const REVISION: &str = "istio.io/rev";
/// `ambient` is a mesh without sidecars.
const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";

const NAMESPACE_INJECT: &str = "istio-injection";

/// Whether the labels of the namespace ask for the proxy; `None` if they do not say.
fn is_injected_into_namespace(pods: &Pods<'_>) -> Option<bool> {
    match pods.namespace_label(NAMESPACE_INJECT) {
        Some("enabled") => Some(true),
        _ if pods.namespace_label(REVISION).is_some() => Some(true),
        _ => (pods.namespace_label(DATAPLANE_MODE) == Some("ambient")).then_some(false),
    }
}

/// The part of the proxy configuration that determines when the proxy stops.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    termination_drain_duration: Option<String>,
    proxy_metadata: BTreeMap<String, serde_json::Value>,
}

pub(super) fn proxy(pods: &Pods<'_>, sidecar: &'static Sidecar) -> Option<Proxy> {
    // Istio does not apply a configuration that cannot be parsed either.
    let config = pods.annotation(CONFIG);
    let config: Option<Config> = config.map(|config| serde_saphyr::from_str(config).unwrap_or_default());
    let is_injected = match pods.label_or_annotation(INJECT) {
        // The spellings of a boolean that the injector accepts; every other value switches it off.
        Some(inject) => matches!(inject.to_ascii_lowercase().as_str(), "true" | "yes" | "y" | "on"),
        None if pods.label(DATAPLANE_MODE) == Some("ambient") => false,
        None if config.is_some() || pods.label(REVISION).is_some() => true,
        None => is_injected_into_namespace(pods).unwrap_or(pods.traffic == Some("istio")),
    };
    let is_switched_off = pods.namespace_label(NAMESPACE_INJECT) == Some("disabled");
    let config = config.unwrap_or_default();
    let waits_for_connections = config.proxy_metadata.get("EXIT_ON_ZERO_ACTIVE_CONNECTIONS");
    let waits_for_connections = waits_for_connections.is_some_and(|value| *value == "true" || *value == true);
    let native = pods.label_or_annotation(NATIVE);
    if !is_injected || is_switched_off || native == Some("true") || waits_for_connections || pods.use_host_network() {
        return None;
    }
    let configured = config.termination_drain_duration.as_deref().and_then(go_duration);
    let exits_after = configured.or(sidecar.stops_after).unwrap_or_default();
    Some(Proxy {
        mesh: &sidecar.name,
        is_certain: native.is_some() || configured.is_some(),
        accepts_for: exits_after,
        exits_after,
        is_called_by_app: false,
        exit_is_configured: configured.is_some(),
        wait_key: CONFIG,
        exit_key: CONFIG,
        wait_setting: |seconds| format!("{CONFIG}: \"terminationDrainDuration: {seconds}\""),
        native_key: Some(NATIVE),
    })
}
