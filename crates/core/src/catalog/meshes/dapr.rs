//! Dapr: <https://docs.dapr.io/reference/arguments-annotations-overview/>. The app calls its API until it exits.

use super::{Pods, Proxy, Sidecar};
use crate::duration::go::go_duration;

const ENABLED: &str = "dapr.io/enabled";
/// How long the shutdown is delayed. The API works in that time, and no longer.
const BLOCK: &str = "dapr.io/block-shutdown-duration";
/// How long the proxy waits for open requests after that, in seconds.
const GRACE: &str = "dapr.io/graceful-shutdown-seconds";
const NATIVE: &str = "dapr.io/enable-native-sidecar";

pub(super) fn proxy(pods: &Pods<'_>, sidecar: &'static Sidecar) -> Option<Proxy> {
    let is_true = |key: &str| {
        let value = pods.annotation(key)?.to_ascii_lowercase();
        Some(matches!(value.as_str(), "true" | "t" | "yes" | "y" | "on" | "1"))
    };
    let native = is_true(NATIVE);
    if is_true(ENABLED) != Some(true) || native == Some(true) {
        return None;
    }
    let block = pods.annotation(BLOCK).and_then(go_duration);
    let accepts_for = block.unwrap_or_default();
    let grace = pods.seconds(GRACE).or(sidecar.stops_after).unwrap_or_default();
    Some(Proxy {
        mesh: &sidecar.name,
        is_certain: native.is_some() || block.is_some(),
        accepts_for,
        exits_after: accepts_for.plus(grace),
        is_called_by_app: true,
        exit_is_configured: block.is_some(),
        wait_key: BLOCK,
        exit_key: BLOCK,
        wait_setting: |seconds| format!("{BLOCK}: \"{seconds}\""),
        native_key: Some(NATIVE),
    })
}
