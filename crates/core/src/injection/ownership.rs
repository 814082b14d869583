//! What in a template was written by its owner?
//!
//! The API server fills in a grace period of 30 before admission (measured on 1.37), and an owner may write down just the
//! value that Winddown had injected. So neither the number nor our own record tells alone. What tells: a server-side
//! apply that owns the field, or kubectl's last-applied configuration with the value that stands there.

use serde_json::{Map, Value};

use crate::duration::Seconds;
use crate::injection::Place;
use crate::plan::{DEFAULT_GRACE_PERIOD, GracePeriod};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Where a workload comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From an API server, with defaults filled in.
    ApiServer,
    /// From a file: what is there was written by somebody.
    File,
}

/// What a workload's metadata says of who wrote the fields of its template.
pub(crate) struct Claims<'a> {
    origin: Origin,
    /// The fields of each server-side apply, below the pod template's `spec`.
    applied: Vec<&'a Value>,
    /// The pod spec of kubectl's last-applied configuration.
    last_applied: Option<Value>,
}

impl<'a> Claims<'a> {
    pub(crate) fn of(workload: &'a Value, origin: Origin) -> Self {
        let metadata = workload.get("metadata").unwrap_or(&Value::Null);
        let managers = metadata.get("managedFields").and_then(Value::as_array);
        let applied = managers
            .into_iter()
            .flatten()
            .filter(|entry| entry.get("operation").and_then(Value::as_str) == Some("Apply"))
            .filter_map(|entry| entry.pointer("/fieldsV1/f:spec/f:template/f:spec"))
            .collect();
        Self { origin, applied, last_applied: last_applied(metadata) }
    }

    /// Whether somebody wrote the value that stands in this place.
    pub(crate) fn cover(&self, place: Place<'_>, standing: &Value) -> bool {
        let owned = self.applied.iter().any(|fields| match place {
            Place::GracePeriod => fields.get("f:terminationGracePeriodSeconds").is_some(),
            Place::PreStop(name) => {
                owned_container(fields, name).is_some_and(|fields| fields.pointer("/f:lifecycle/f:preStop").is_some())
            }
            Place::Readiness(name) => {
                owned_container(fields, name).is_some_and(|fields| fields.get("f:readinessProbe").is_some())
            }
        });
        let written = self.last_applied.as_ref().and_then(|pod| match place {
            Place::GracePeriod => pod.get("terminationGracePeriodSeconds"),
            Place::PreStop(name) => container(pod, name)?.get("lifecycle")?.get("preStop"),
            Place::Readiness(name) => container(pod, name)?.get("readinessProbe"),
        });
        owned || written.is_some_and(|written| is_part_of(written, standing))
    }

    /// The grace period of the bare template.
    pub(crate) fn grace_period(&self, bare: &Value) -> GracePeriod {
        let Some(standing) = bare.pointer("/spec/terminationGracePeriodSeconds") else { return GracePeriod::Unset };
        let Some(seconds) = standing.as_i64().map(Seconds::from_api) else { return GracePeriod::Unset };
        let written =
            self.origin == Origin::File || seconds != DEFAULT_GRACE_PERIOD || self.cover(Place::GracePeriod, standing);
        if written { GracePeriod::Explicit(seconds) } else { GracePeriod::Unset }
    }
}

fn last_applied(metadata: &Value) -> Option<Value> {
    let text = metadata.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
    let mut manifest: Value = serde_json::from_str(text).ok()?;
    Some(manifest.pointer_mut("/spec/template/spec")?.take())
}

fn container<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    let containers = pod.get("containers")?.as_array()?;
    containers.iter().find(|container| container.get("name").and_then(Value::as_str) == Some(name))
}

/// The fields of a container; `managedFields` names it by its key, `k:{"name":"app"}`.
fn owned_container<'a>(fields: &'a Value, name: &str) -> Option<&'a Value> {
    let key = format!("k:{}", serde_json::json!({ "name": name }));
    fields.get("f:containers")?.get(key)
}

/// Whether everything that was written stands there; the API server may have filled in defaults beside it.
fn is_part_of(written: &Value, standing: &Value) -> bool {
    match (written, standing) {
        (Value::Null, _) => false,
        (Value::Object(written), Value::Object(standing)) => holds(standing, written),
        _ => written == standing,
    }
}

fn holds(standing: &Map<String, Value>, written: &Map<String, Value>) -> bool {
    written.iter().all(|(key, value)| standing.get(key).is_some_and(|found| is_part_of(value, found)))
}
