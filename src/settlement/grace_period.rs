//! Who wrote `terminationGracePeriodSeconds`?
//!
//! The API server fills in 30 before admission (measured on 1.37), so 30 alone says nothing. What tells: a server-side
//! apply that owns the field, kubectl's last-applied configuration, or any other value.

use serde_json::Value;

use crate::plan::{DEFAULT_GRACE_PERIOD, GracePeriod};
use crate::seconds::Seconds;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Where a Deployment comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From an API server, with defaults filled in.
    ApiServer,
    /// From a file: what is there was written by somebody.
    File,
}

/// The grace period of a bare template of that Deployment.
pub(super) fn of(bare: &Value, deployment: &Value, origin: Origin) -> GracePeriod {
    let Some(seconds) = bare.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64) else {
        return GracePeriod::Unset;
    };
    let seconds = Seconds::from_api(seconds);
    let written = match origin {
        Origin::File => true,
        Origin::ApiServer => seconds != DEFAULT_GRACE_PERIOD || was_applied(deployment),
    };
    if written { GracePeriod::Explicit(seconds) } else { GracePeriod::Unset }
}

fn was_applied(deployment: &Value) -> bool {
    let Some(metadata) = deployment.get("metadata") else { return false };
    let managers = metadata.get("managedFields").and_then(Value::as_array);
    let owned = managers.into_iter().flatten().any(|entry| {
        entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry.pointer("/fieldsV1/f:spec/f:template/f:spec/f:terminationGracePeriodSeconds").is_some()
    });
    owned || last_applied(metadata).is_some_and(|seconds| !seconds.is_null())
}

fn last_applied(metadata: &Value) -> Option<Value> {
    let text = metadata.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
    let mut manifest: Value = serde_json::from_str(text).ok()?;
    Some(manifest.pointer_mut("/spec/template/spec/terminationGracePeriodSeconds")?.take())
}
