//! Consul: <https://developer.hashicorp.com/consul/docs/k8s/annotations-and-labels>. The chart's defaults for the lifecycle
//! of the proxy are in `connectInject.sidecarProxy.lifecycle`.

use super::{Pods, Proxy, Sidecar};

const INJECT: &str = "consul.hashicorp.com/connect-inject";
/// Without it, Envoy exits immediately. The chart enables it.
const LIFECYCLE: &str = "consul.hashicorp.com/enable-sidecar-proxy-lifecycle";
/// How long the proxy runs after SIGTERM, in seconds.
const GRACE: &str = "consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds";
const NATIVE: &str = "consul.hashicorp.com/enable-consul-dataplane-as-sidecar";

pub(super) fn proxy(pods: &Pods<'_>, sidecar: &'static Sidecar) -> Option<Proxy> {
    let native = pods.boolean(NATIVE);
    if pods.boolean(INJECT) != Some(true) || native == Some(true) {
        return None;
    }
    let (grace, is_disabled) = (pods.seconds(GRACE), pods.boolean(LIFECYCLE) == Some(false));
    // The default is `defaultShutdownGracePeriodSeconds` of the chart.
    let exits_after = if is_disabled { None } else { grace.or(sidecar.stops_after) }.unwrap_or_default();
    Some(Proxy {
        mesh: &sidecar.name,
        is_certain: native.is_some() || grace.is_some() || is_disabled,
        accepts_for: exits_after,
        exits_after,
        is_called_by_app: false,
        exit_is_configured: grace.is_some(),
        wait_key: if is_disabled { LIFECYCLE } else { GRACE },
        exit_key: GRACE,
        wait_setting: if is_disabled {
            |seconds| format!("{LIFECYCLE}: \"true\" and {GRACE}: \"{}\"", seconds.as_i64())
        } else {
            |seconds| format!("{GRACE}: \"{}\"", seconds.as_i64())
        },
        native_key: Some(NATIVE),
    })
}
