//! Finds the fields of a template that its owner set.
//!
//! The API server fills in a grace period of 30 before admission (measured on 1.37), and an owner may set the value that
//! Winddown has injected. So neither the number nor the record shows who set it. The owner did if a server-side apply owns
//! the field, or if kubectl's last-applied configuration contains the current value.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::duration::Seconds;
use crate::object::{GRACE_PERIOD_FIELD, Object, Template, last_applied_pod_spec};
use crate::workload::{DEFAULT_GRACE_PERIOD, GracePeriod};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The origin of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From an API server, with defaults filled in.
    ApiServer,
    /// From a file: its owner set all fields.
    File,
}

/// The owners of a workload's fields, from its metadata. Parsed on first use, because most templates do not need it.
#[derive(Debug)]
pub struct FieldOwners<'a> {
    object: Object<'a>,
    sources: OnceCell<Sources<'a>>,
}

#[derive(Debug)]
struct Sources<'a> {
    /// The fields of each server-side apply, below the pod spec.
    applied: Vec<&'a Value>,
    /// The pod spec of kubectl's last-applied configuration.
    last_applied: Option<Value>,
}

/// The injectable fields that the owner set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedFields<'a> {
    /// `terminationGracePeriodSeconds`.
    pub grace_period: bool,
    /// The containers with a `lifecycle.preStop` of the owner.
    pub pre_stops: BTreeSet<&'a str>,
    /// The containers with a `readinessProbe` of the owner.
    pub probes: BTreeSet<&'a str>,
}

impl<'a> FieldOwners<'a> {
    /// The owners of a workload's fields.
    #[must_use]
    pub fn of(object: Object<'a>) -> Self {
        Self { object, sources: OnceCell::new() }
    }

    /// The fields of a template that the owner set.
    #[must_use]
    pub fn owned_fields<'t>(&self, template: Template<'t>) -> OwnedFields<'t> {
        let last_applied = self.sources().last_applied.as_ref();
        let mut fields = OwnedFields { grace_period: self.owns_grace_period(template), ..OwnedFields::default() };
        for (name, container) in template.containers() {
            // `managedFields` names a container by its key.
            let key = format!("k:{}", serde_json::json!({ "name": name }));
            let written = last_applied.and_then(|pod| written_container(pod, name));
            let owned = |applied: &[&str], path: &[&str]| {
                self.owns(applied, written.and_then(|written| at(written, path)), at(container, path))
            };
            if owned(&["f:containers", &key, "f:lifecycle", "f:preStop"], &["lifecycle", "preStop"]) {
                fields.pre_stops.insert(name);
            }
            if owned(&["f:containers", &key, "f:readinessProbe"], &["readinessProbe"]) {
                fields.probes.insert(name);
            }
        }
        fields
    }

    /// The grace period of a bare template, and whether the user set it.
    pub(crate) fn grace_period(&self, bare: Template<'_>, origin: Origin) -> GracePeriod {
        let Some(seconds) = bare.grace_period().and_then(Value::as_i64).map(Seconds::from_api) else {
            return GracePeriod::Unset;
        };
        let explicit = origin == Origin::File || seconds != DEFAULT_GRACE_PERIOD || self.owns_grace_period(bare);
        if explicit { GracePeriod::Explicit(seconds) } else { GracePeriod::Unset }
    }

    fn owns_grace_period(&self, template: Template<'_>) -> bool {
        let written = self.sources().last_applied.as_ref().and_then(|pod| pod.get(GRACE_PERIOD_FIELD));
        self.owns(&["f:terminationGracePeriodSeconds"], written, template.grace_period())
    }

    /// Whether a server-side apply owns the field, or the current value was applied client-side.
    fn owns(&self, applied: &[&str], written: Option<&Value>, current: Option<&Value>) -> bool {
        self.sources().applied.iter().any(|fields| at(fields, applied).is_some())
            || written.zip(current).is_some_and(|(written, current)| is_part_of(written, current))
    }

    fn sources(&self) -> &Sources<'a> {
        self.sources.get_or_init(|| Sources {
            applied: self.object.managed_fields().iter().filter_map(applied_pod_spec).collect(),
            last_applied: self.object.annotation(LAST_APPLIED).and_then(last_applied_pod_spec),
        })
    }
}

/// The fields of the pod spec that a server-side apply owns.
fn applied_pod_spec(entry: &Value) -> Option<&Value> {
    let applied = entry.get("operation").and_then(Value::as_str) == Some("Apply");
    if applied { at(entry, &["fieldsV1", "f:spec", "f:template", "f:spec"]) } else { None }
}

fn written_container<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    let containers = pod.get("containers")?.as_array()?;
    containers.iter().find(|container| container.get("name").and_then(Value::as_str) == Some(name))
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, field| value.get(field))
}

/// Whether the current value contains the written one; the API server may have added defaults.
fn is_part_of(written: &Value, current: &Value) -> bool {
    match (written, current) {
        (Value::Null, _) => false,
        (Value::Object(written), Value::Object(current)) => {
            written.iter().all(|(key, value)| current.get(key).is_some_and(|found| is_part_of(value, found)))
        }
        _ => written == current,
    }
}
