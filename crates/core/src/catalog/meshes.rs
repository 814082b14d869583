//! The proxy that a mesh injects into pods, read from the annotations and labels of the template: meshes inject into pods,
//! so the template does not contain the proxy yet. The annotations also configure how long it waits after SIGTERM.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::budget::Budget;
use crate::duration::Seconds;
use crate::duration::go::go_duration;
use crate::pod::sidecars::native_sidecars;
use crate::workload::Workload;

/// How long Linkerd's proxy waits before SIGTERM, in seconds. Classic sidecars only.
const LINKERD_WAIT: &str = "config.alpha.linkerd.io/proxy-wait-before-exit-seconds";
/// How long Linkerd's proxy waits at most for open requests after SIGTERM.
const LINKERD_GRACE: &str = "config.linkerd.io/shutdown-grace-period";
/// Linkerd's names of one setting, newest first.
const LINKERD_NATIVE: [&str; 3] = [
    "config.linkerd.io/proxy-enable-native-sidecar",
    "config.beta.linkerd.io/proxy-enable-native-sidecar",
    "config.alpha.linkerd.io/proxy-enable-native-sidecar",
];
const ISTIO_CONFIG: &str = "proxy.istio.io/config";
const ISTIO_NATIVE: &str = "sidecar.istio.io/nativeSidecar";
const ISTIO_INJECT: &str = "sidecar.istio.io/inject";

/// A proxy that a mesh injects as a classic sidecar: a main container, which stops at the same time as the app.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// The name of the mesh.
    pub(crate) mesh: &'static str,
    /// Whether the template shows that it is a classic sidecar. If not, it may also be a native one.
    pub(crate) is_certain: bool,
    /// How long it accepts requests after the pod started to terminate.
    pub(crate) accepts_for: Seconds,
    /// The latest time at which it exits, from the same start.
    pub(crate) exits_after: Seconds,
    /// Whether an annotation sets that time.
    pub(crate) exit_is_configured: bool,
    /// The annotation that configures how long it waits.
    pub(crate) wait_key: &'static str,
    /// That annotation with this number of seconds.
    pub(crate) wait_setting: fn(Seconds) -> String,
    /// The annotation that changes it to a native sidecar.
    pub(crate) native_key: &'static str,
}

/// The problem of a proxy that stops before the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlyStop {
    /// It refuses new requests before the drain is over.
    Refuses { after: Seconds, drain: Seconds },
    /// It exits before the app does.
    Exits { after: Seconds, app: Seconds },
}

impl Proxy {
    /// The proxy of a workload's pods. `None` without a mesh, with a native sidecar, or if the template already contains
    /// the proxy, which `SidecarStopsFirst` then checks.
    pub(crate) fn of(workload: &Workload) -> Option<Self> {
        let main = |name: &str| workload.pod.containers.iter().any(|container| container.name == name);
        let native = |name: &str| native_sidecars(&workload.pod).any(|container| container.name == name);
        let is_present = |name: &str| main(name) || native(name);
        let linkerd = linkerd(workload).filter(|_| !is_present("linkerd-proxy"));
        linkerd.or_else(|| istio(workload).filter(|_| !is_present("istio-proxy")))
    }

    /// The problem, if it is a classic sidecar and stops too early.
    pub(crate) fn early_stop(&self, budget: &Budget) -> Option<EarlyStop> {
        let (drain, app) = (budget.drain, budget.drain.plus(budget.deadline));
        if self.accepts_for < drain {
            Some(EarlyStop::Refuses { after: self.accepts_for, drain })
        } else if self.exits_after < app {
            Some(EarlyStop::Exits { after: self.exits_after, app })
        } else {
            None
        }
    }

    /// How long it must wait. It then finishes open requests.
    pub(crate) fn needed_wait(&self, budget: &Budget) -> Seconds {
        let finishes = self.exits_after.minus(self.accepts_for);
        budget.drain.max(budget.drain.plus(budget.deadline).minus(finishes))
    }
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
    let accepts_for = wait.unwrap_or_default();
    Some(Proxy {
        mesh: "Linkerd",
        is_certain: native.is_some() || wait.is_some(),
        accepts_for,
        exits_after: accepts_for.plus(grace.unwrap_or(Seconds::new(120))),
        exit_is_configured: grace.is_some(),
        wait_key: LINKERD_WAIT,
        wait_setting: |seconds| format!("{LINKERD_WAIT}: \"{}\"", seconds.as_i64()),
        native_key: LINKERD_NATIVE[1],
    })
}

/// The part of Istio's proxy configuration that determines when the proxy stops.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IstioConfig {
    termination_drain_duration: Option<String>,
    proxy_metadata: BTreeMap<String, serde_json::Value>,
}

fn istio(workload: &Workload) -> Option<Proxy> {
    let text = |key: &str| workload.labels.get(key).or_else(|| workload.annotations.get(key)).map(String::as_str);
    // Istio does not apply a configuration that cannot be parsed either.
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
    let configured = config.termination_drain_duration.as_deref().and_then(go_duration);
    let exits_after = configured.unwrap_or(Seconds::new(5));
    Some(Proxy {
        mesh: "Istio",
        is_certain: text(ISTIO_NATIVE).is_some() || configured.is_some(),
        accepts_for: exits_after,
        exits_after,
        exit_is_configured: configured.is_some(),
        wait_key: ISTIO_CONFIG,
        wait_setting: |seconds| format!("{ISTIO_CONFIG}: \"terminationDrainDuration: {seconds}\""),
        native_key: ISTIO_NATIVE,
    })
}
