//! Finds the fields of a template that its owner wrote.
//!
//! The API server fills in a grace period of 30 before admission (measured on 1.37), and an owner may write the value that
//! Winddown has injected. So neither the number nor the record shows who wrote it. The owner did if a server-side apply owns
//! the field, or if kubectl's last-applied configuration contains the current value.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::duration::Seconds;
use crate::object::{
    GRACE_PERIOD_FIELD, LAST_APPLIED, Object, Template, container_list, containers_by_name, last_applied_pod_spec,
};
use crate::workload::{DEFAULT_GRACE_PERIOD, GracePeriod};

/// The origin of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From an API server, with defaults filled in.
    ApiServer,
    /// From a file: its owner set all fields.
    File,
}

/// What shows that the owner wrote the grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GracePeriodOwner {
    /// A server-side apply owns the field, with any value.
    Apply,
    /// The last-applied configuration of kubectl has the current value.
    LastApplied,
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
    /// By the container's key in `managedFields`: the fields that any server-side apply owns.
    containers: BTreeMap<&'a str, AppliedFields<'a>>,
    /// The pod spec of kubectl's last-applied configuration. Absent if a server-side apply owns part of the pod spec: the
    /// annotation is not updated by it, so it is out of date.
    last_applied: Option<Value>,
}

/// A set of fields, as in `fieldsV1`: names without the prefix `f:`, and the keys of list items.
#[derive(Debug, Default)]
struct AppliedFields<'a>(BTreeMap<&'a str, Self>);

/// Who wrote a field of a container, or a field below it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldOwner<'o> {
    applied: Option<&'o AppliedFields<'o>>,
    last_applied: Option<&'o Value>,
}

impl<'a> FieldOwners<'a> {
    /// The owners of a workload's fields.
    #[must_use]
    pub fn of(object: Object<'a>) -> Self {
        Self { object, sources: OnceCell::new() }
    }

    /// The owners of the containers with these names.
    pub(super) fn of_containers<'n>(&self, names: impl Iterator<Item = &'n str>) -> BTreeMap<&'n str, FieldOwner<'_>> {
        let sources = self.sources();
        let written = containers_by_name(sources.last_applied.as_ref().map_or(&[], container_list));
        let owner = |name: &str| FieldOwner {
            applied: sources.containers.get(item_key(name).as_str()),
            last_applied: written.get(name).map(|(_, container)| *container),
        };
        names.map(|name| (name, owner(name))).collect()
    }

    /// The grace period of a bare template, and whether the user set it.
    pub(crate) fn grace_period(&self, bare: Template<'_>, origin: Origin) -> GracePeriod {
        let Some(seconds) = bare.grace_period().and_then(Value::as_i64).map(Seconds::from_api) else {
            return GracePeriod::Unset;
        };
        let explicit =
            origin == Origin::File || seconds != DEFAULT_GRACE_PERIOD || self.grace_period_owner(bare).is_some();
        if explicit { GracePeriod::Explicit(seconds) } else { GracePeriod::Unset }
    }

    /// What shows that the owner wrote the current grace period; `None` if the owner did not.
    pub(super) fn grace_period_owner(&self, template: Template<'_>) -> Option<GracePeriodOwner> {
        let sources = self.sources();
        if sources.grace_period {
            return Some(GracePeriodOwner::Apply);
        }
        let written = sources.last_applied.as_ref().and_then(|pod| pod.get(GRACE_PERIOD_FIELD))?;
        (Some(written) == template.grace_period()).then_some(GracePeriodOwner::LastApplied)
    }

    /// Every entry and every container is visited once: both numbers come from the network.
    fn sources(&self) -> &Sources<'a> {
        self.sources.get_or_init(|| {
            let mut sources = Sources::default();
            let mut applied = false;
            for pod in self.object.managed_fields().iter().filter_map(applied_pod_spec) {
                applied = true;
                sources.grace_period |= pod.get("f:terminationGracePeriodSeconds").is_some();
                let containers = pod.get("f:containers").and_then(Value::as_object);
                for (key, fields) in containers.into_iter().flatten() {
                    sources.containers.entry(key).or_default().add(fields);
                }
            }
            if !applied {
                sources.last_applied = self.object.annotation(LAST_APPLIED).and_then(last_applied_pod_spec);
            }
            sources
        })
    }
}

impl<'a> AppliedFields<'a> {
    fn add(&mut self, fields: &'a Value) {
        for (key, below) in fields.as_object().into_iter().flatten() {
            let item = || key.starts_with("k:").then_some(key.as_str());
            if let Some(name) = key.strip_prefix("f:").or_else(item) {
                self.0.entry(name).or_default().add(below);
            }
        }
    }
}

impl FieldOwner<'_> {
    /// The owner of a field below this one.
    pub(super) fn field(self, name: &str) -> Self {
        Self {
            applied: self.applied.and_then(|applied| applied.0.get(name)),
            last_applied: self.last_applied.and_then(|written| written.get(name)).filter(|written| !written.is_null()),
        }
    }

    /// The owner of the item with that name, if this field is a list.
    pub(super) fn item(self, name: &str) -> Self {
        let has_name = |item: &&Value| item.get("name").and_then(Value::as_str) == Some(name);
        Self {
            applied: self.applied.and_then(|applied| applied.0.get(item_key(name).as_str())),
            last_applied: self.last_applied.and_then(|written| written.as_array()?.iter().find(has_name)),
        }
    }

    /// Without the last-applied configuration if the current value does not contain it: after a rollback, it is newer than
    /// the template.
    pub(super) fn of_current(self, current: &Value) -> Self {
        Self { last_applied: self.last_applied.filter(|written| is_part_of(written, current)), ..self }
    }

    /// Whether the owner wrote this current value of the field.
    pub(super) fn wrote(self, current: &Value) -> bool {
        self.applied.is_some() || self.last_applied == Some(current)
    }

    /// Whether the owner wrote the field or a field below it, with any value.
    pub(super) fn wrote_any(self) -> bool {
        self.applied.is_some() || self.last_applied.is_some()
    }
}

/// The fields of the pod spec that a server-side apply owns.
fn applied_pod_spec(entry: &Value) -> Option<&Value> {
    let applied = entry.get("operation").and_then(Value::as_str) == Some("Apply");
    let path = ["fieldsV1", "f:spec", "f:template", "f:spec"];
    if applied { path.iter().try_fold(entry, |value, field| value.get(field)) } else { None }
}

/// Whether the current value contains the written one; the API server may have added defaults.
fn is_part_of(written: &Value, current: &Value) -> bool {
    match (written, current) {
        (Value::Object(written), Value::Object(current)) => {
            written.iter().all(|(key, value)| current.get(key).is_some_and(|found| is_part_of(value, found)))
        }
        _ => written == current,
    }
}

/// The key of a list item with that name in `managedFields`.
fn item_key(name: &str) -> String {
    format!("k:{}", serde_json::json!({ "name": name }))
}
