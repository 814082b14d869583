//! Finds the fields of a template that its owner set.
//!
//! The API server fills in a grace period of 30 before admission (measured on 1.37), and an owner may set the value that
//! Winddown has injected. So neither the number nor the record shows who set it. The owner did if a server-side apply owns
//! the field, or if kubectl's last-applied configuration contains the current value.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::record::Record;
use crate::duration::Seconds;
use crate::object::{GRACE_PERIOD_FIELD, Object, Template, container_list, containers_by_name, last_applied_pod_spec};
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

/// What the metadata says about injectable fields.
#[derive(Debug, Default)]
struct Sources<'a> {
    /// Whether a server-side apply owns the grace period.
    grace_period: bool,
    /// The keys of the containers with a preStop hook that a server-side apply owns.
    pre_stops: BTreeSet<&'a str>,
    /// The keys of the containers with a readiness probe that a server-side apply owns.
    probes: BTreeSet<&'a str>,
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

    /// The fields in a record that the owner set.
    #[must_use]
    pub(crate) fn owned_fields<'t>(&self, template: Template<'t>, record: &Record) -> OwnedFields<'t> {
        let sources = self.sources();
        let written = containers_by_name(sources.last_applied.as_ref().map_or(&[], container_list));
        let current = template.containers();
        let owns = |name: &str, applied: &BTreeSet<&str>, path: &[&str]| {
            let written = written.get(name).and_then(|(_, container)| at(container, path));
            let current = current.get(name).and_then(|(_, container)| at(container, path));
            applied.contains(container_key(name).as_str()) || is_written(written, current)
        };
        let names = current.keys().copied();
        let pre_stops = names.clone().filter(|name| record.pre_stop.contains_key(*name));
        let probes = names.filter(|name| record.readiness.contains_key(*name));
        OwnedFields {
            grace_period: self.owns_grace_period(template),
            pre_stops: pre_stops.filter(|name| owns(name, &sources.pre_stops, &["lifecycle", "preStop"])).collect(),
            probes: probes.filter(|name| owns(name, &sources.probes, &["readinessProbe"])).collect(),
        }
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
        let sources = self.sources();
        let written = sources.last_applied.as_ref().and_then(|pod| pod.get(GRACE_PERIOD_FIELD));
        sources.grace_period || is_written(written, template.grace_period())
    }

    /// Every entry and every container is visited once: both numbers come from the network.
    fn sources(&self) -> &Sources<'a> {
        self.sources.get_or_init(|| {
            let last_applied = self.object.annotation(LAST_APPLIED).and_then(last_applied_pod_spec);
            let mut sources = Sources { last_applied, ..Sources::default() };
            for pod in self.object.managed_fields().iter().filter_map(applied_pod_spec) {
                sources.grace_period |= pod.get("f:terminationGracePeriodSeconds").is_some();
                let containers = pod.get("f:containers").and_then(Value::as_object);
                for (key, fields) in containers.into_iter().flatten() {
                    if at(fields, &["f:lifecycle", "f:preStop"]).is_some() {
                        sources.pre_stops.insert(key);
                    }
                    if fields.get("f:readinessProbe").is_some() {
                        sources.probes.insert(key);
                    }
                }
            }
            sources
        })
    }
}

/// The fields of the pod spec that a server-side apply owns.
fn applied_pod_spec(entry: &Value) -> Option<&Value> {
    let applied = entry.get("operation").and_then(Value::as_str) == Some("Apply");
    if applied { at(entry, &["fieldsV1", "f:spec", "f:template", "f:spec"]) } else { None }
}

/// The name of a container in `managedFields`.
fn container_key(name: &str) -> String {
    format!("k:{}", serde_json::json!({ "name": name }))
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, field| value.get(field))
}

/// Whether the current value was applied client-side.
fn is_written(written: Option<&Value>, current: Option<&Value>) -> bool {
    written.zip(current).is_some_and(|(written, current)| is_part_of(written, current))
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
