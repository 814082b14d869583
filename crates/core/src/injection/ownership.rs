//! Which fields of a template its owner wrote.
//!
//! The API server fills in a grace period of 30 before admission (measured on 1.37), and an owner may write down the very
//! value that Winddown had injected. So neither the number nor our own record says who wrote it. What does: a server-side
//! apply that owns the field, or kubectl's last-applied configuration with the value that is there.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::duration::Seconds;
use crate::object::{GRACE_PERIOD, Object, Template, last_applied_pod_spec};
use crate::plan::DEFAULT_GRACE_PERIOD;
use crate::workload::GracePeriod;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Where a workload comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From an API server, with defaults filled in.
    ApiServer,
    /// From a file: every field in it was written by its owner.
    File,
}

/// What a workload's metadata says about who wrote its fields. Read when first asked: most templates leave nothing open.
#[derive(Debug)]
pub struct Owners<'a> {
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

/// Of the fields that Winddown may inject, those that the owner wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership<'a> {
    /// `terminationGracePeriodSeconds`.
    pub grace_period: bool,
    /// The containers whose `lifecycle.preStop` is the owner's.
    pub pre_stops: BTreeSet<&'a str>,
    /// The containers whose `readinessProbe` is the owner's.
    pub probes: BTreeSet<&'a str>,
}

impl<'a> Owners<'a> {
    /// The owners of a workload's fields.
    #[must_use]
    pub fn of(object: Object<'a>) -> Self {
        Self { object, sources: OnceCell::new() }
    }

    /// Which values of a template the owner wrote.
    #[must_use]
    pub fn ownership<'t>(&self, template: Template<'t>) -> Ownership<'t> {
        let last_applied = self.sources().last_applied.as_ref();
        let mut ownership = Ownership { grace_period: self.own_grace_period(template), ..Ownership::default() };
        for (name, container) in template.containers() {
            // `managedFields` names a container by its key.
            let key = format!("k:{}", serde_json::json!({ "name": name }));
            let written = last_applied.and_then(|pod| written_container(pod, name));
            let owned = |applied: &[&str], path: &[&str]| {
                self.include(applied, written.and_then(|written| at(written, path)), at(container, path))
            };
            if owned(&["f:containers", &key, "f:lifecycle", "f:preStop"], &["lifecycle", "preStop"]) {
                ownership.pre_stops.insert(name);
            }
            if owned(&["f:containers", &key, "f:readinessProbe"], &["readinessProbe"]) {
                ownership.probes.insert(name);
            }
        }
        ownership
    }

    /// The grace period of a bare template, and whether the user set it.
    pub(crate) fn grace_period(&self, bare: Template<'_>, origin: Origin) -> GracePeriod {
        let Some(seconds) = bare.grace_period().and_then(Value::as_i64).map(Seconds::from_api) else {
            return GracePeriod::Unset;
        };
        let explicit = origin == Origin::File || seconds != DEFAULT_GRACE_PERIOD || self.own_grace_period(bare);
        if explicit { GracePeriod::Explicit(seconds) } else { GracePeriod::Unset }
    }

    fn own_grace_period(&self, template: Template<'_>) -> bool {
        let written = self.sources().last_applied.as_ref().and_then(|pod| pod.get(GRACE_PERIOD));
        self.include(&["f:terminationGracePeriodSeconds"], written, template.grace_period())
    }

    /// Whether a server-side apply owns the field, or the current value is the one that was applied client-side.
    fn include(&self, applied: &[&str], written: Option<&Value>, current: Option<&Value>) -> bool {
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

/// Whether everything that was written is there; the API server may have filled in defaults beside it.
fn is_part_of(written: &Value, current: &Value) -> bool {
    match (written, current) {
        (Value::Null, _) => false,
        (Value::Object(written), Value::Object(current)) => {
            written.iter().all(|(key, value)| current.get(key).is_some_and(|found| is_part_of(value, found)))
        }
        _ => written == current,
    }
}
