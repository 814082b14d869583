//! Typed access to the JSON of a workload. Only this module contains the locations of fields.
//!
//! The JSON is not converted to API types and back, because fields that this version of the API types does not know would be
//! lost.

mod injectable;
mod partial;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::annotations::{DECLARING, INJECTED, MANAGED};
use crate::decode::InvalidField;
use crate::field_path::FieldPath;
use crate::kind::Kind;
use crate::sanitize::truncated;
use crate::workload::DEFAULT_GRACE_PERIOD;

pub(crate) use injectable::{GRACE_PERIOD_FIELD, injectable, set_injectable};
pub use partial::{Fields, MAX_VALUES, PartialObject, Reader, TooManyValues, last_applied_pod_spec, parse};

/// Where kubectl apply stores the manifest.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A workload as received.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a>(&'a Value);

impl<'a> Object<'a> {
    /// The workload in this JSON.
    #[must_use]
    pub fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// The JSON.
    #[must_use]
    pub fn value(self) -> &'a Value {
        self.0
    }

    /// Its kind, if it is one that Winddown supports.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        Kind::of(self.0)
    }

    /// `metadata.namespace`, empty if absent.
    #[must_use]
    pub fn namespace(self) -> &'a str {
        self.metadata("namespace").and_then(Value::as_str).unwrap_or_default()
    }

    /// `metadata.name`, if there is one.
    #[must_use]
    pub fn name(self) -> Option<&'a str> {
        self.metadata("name").and_then(Value::as_str)
    }

    /// Whether it was read from a cluster, with the API server's defaults in it.
    #[must_use]
    pub fn has_uid(self) -> bool {
        self.metadata("uid").is_some()
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_deleted(self) -> bool {
        self.metadata("deletionTimestamp").is_some_and(Value::is_string)
    }

    /// An annotation, if its value is a string.
    #[must_use]
    pub fn annotation(self, key: &str) -> Option<&'a str> {
        self.metadata("annotations")?.get(key)?.as_str()
    }

    /// Whether there is an annotation with that key and any value.
    #[must_use]
    pub fn has_annotation(self, key: &str) -> bool {
        self.metadata("annotations").is_some_and(|annotations| annotations.get(key).is_some())
    }

    /// Whether the annotations with which a workload declares its budget are those of another one.
    pub(crate) fn declares_like(self, other: Object<'_>) -> bool {
        DECLARING.iter().all(|key| self.annotation(key) == other.annotation(key))
    }

    /// All annotations.
    pub fn annotations(self) -> Result<BTreeMap<&'a str, &'a str>, InvalidField> {
        strings(self.metadata("annotations"), || FieldPath::new("metadata.annotations"))
    }

    /// All labels.
    pub fn labels(self) -> Result<BTreeMap<&'a str, &'a str>, InvalidField> {
        strings(self.metadata("labels"), || FieldPath::new("metadata.labels"))
    }

    /// Whether another object controls it, such as that of an operator, which would revert a change.
    #[must_use]
    pub fn is_controlled(self) -> bool {
        self.controller().is_some()
    }

    /// Kind and name of the object that controls it.
    #[must_use]
    pub fn controller(self) -> Option<(&'a str, &'a str)> {
        let owners = self.metadata("ownerReferences")?.as_array()?;
        let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        Some((text("kind"), text("name")))
    }

    /// The field manager that changed it last, apart from this one and from changes of a subresource such as the status.
    #[must_use]
    pub fn last_manager(self, except: &str) -> Option<&'a str> {
        let text = |entry: &'a Value, field: &str| entry.get(field).and_then(Value::as_str);
        let entries = self.managed_fields().iter().filter(|entry| entry.get("subresource").is_none());
        let entries = entries.filter_map(|entry| Some((text(entry, "time")?, text(entry, "manager")?)));
        entries.filter(|(_, manager)| *manager != except).max_by_key(|(time, _)| *time).map(|(_, manager)| manager)
    }

    /// The entries of `metadata.managedFields`.
    pub(crate) fn managed_fields(self) -> &'a [Value] {
        self.metadata("managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether its grace period is the API server's default, and no part of its metadata says who set it.
    #[must_use]
    pub fn has_unowned_default_grace_period(self) -> bool {
        let grace_period = self.template().ok().and_then(Template::grace_period).and_then(Value::as_i64);
        grace_period == Some(DEFAULT_GRACE_PERIOD.as_i64())
            && self.managed_fields().is_empty()
            && !self.has_annotation(LAST_APPLIED)
    }

    /// `spec`, null if absent.
    #[must_use]
    pub fn spec(self) -> &'a Value {
        self.0.get("spec").unwrap_or(&Value::Null)
    }

    /// The pod template. Its metadata must be an object, null or absent, so that label and record can be added.
    pub fn template(self) -> Result<Template<'a>, InvalidField> {
        let invalid = |field, problem: &str| InvalidField::new(FieldPath::new(field), problem);
        let template = match self.spec().get("template") {
            Some(template) if template.is_object() => template,
            None | Some(Value::Null) => {
                return Err(invalid(
                    "spec.template",
                    "is missing, so this is no whole object but a patch, for example",
                ));
            }
            Some(_) => return Err(invalid("spec.template", "is not an object")),
        };
        match template.get("metadata") {
            None | Some(Value::Null | Value::Object(_)) => Ok(Template(template)),
            Some(_) => Err(invalid("spec.template.metadata", "is not an object")),
        }
    }

    fn metadata(self, field: &str) -> Option<&'a Value> {
        self.0.get("metadata")?.get(field)
    }
}

/// A pod template as received.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a>(&'a Value);

impl<'a> Template<'a> {
    /// The template in this JSON.
    #[must_use]
    pub fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// Its JSON.
    #[must_use]
    pub fn value(self) -> &'a Value {
        self.0
    }

    /// An annotation, if its value is a string.
    #[must_use]
    pub fn annotation(self, key: &str) -> Option<&'a str> {
        self.metadata("annotations")?.get(key)?.as_str()
    }

    /// All annotations.
    pub fn annotations(self) -> Result<BTreeMap<&'a str, &'a str>, InvalidField> {
        strings(self.metadata("annotations"), || FieldPath::new("spec.template.metadata.annotations"))
    }

    /// All labels.
    pub fn labels(self) -> Result<BTreeMap<&'a str, &'a str>, InvalidField> {
        strings(self.metadata("labels"), || FieldPath::new("spec.template.metadata.labels"))
    }

    /// The pod spec.
    pub fn pod_spec(self) -> Result<&'a Value, InvalidField> {
        let spec = self.0.get("spec").filter(|spec| spec.is_object());
        spec.ok_or_else(|| InvalidField::new(FieldPath::new("spec.template.spec"), "is not an object"))
    }

    /// `terminationGracePeriodSeconds`.
    #[must_use]
    pub fn grace_period(self) -> Option<&'a Value> {
        self.0.get("spec")?.get(GRACE_PERIOD_FIELD)
    }

    /// The main containers by name, with their positions; of several with the same name, the first.
    pub(crate) fn containers(self) -> BTreeMap<&'a str, (usize, &'a Value)> {
        containers_by_name(self.container_list())
    }

    fn container_list(self) -> &'a [Value] {
        self.0.get("spec").map_or(&[], container_list)
    }

    /// Whether the templates are equal apart from Winddown's label and record.
    #[must_use]
    pub fn runs_like(self, other: Self) -> bool {
        let (Some(ours), Some(theirs)) = (self.0.as_object(), other.0.as_object()) else { return self.0 == other.0 };
        equal_except(ours, theirs, &["metadata"])
            && match (ours.get("metadata"), theirs.get("metadata")) {
                (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
                    equal_except(ours, theirs, &["annotations", "labels"])
                        && equal_maps(ours.get("annotations"), theirs.get("annotations"), INJECTED)
                        && equal_maps(ours.get("labels"), theirs.get("labels"), MANAGED)
                }
                (ours, theirs) => ours == theirs,
            }
    }

    fn metadata(self, field: &str) -> Option<&'a Value> {
        self.0.get("metadata")?.get(field)
    }
}

/// The main containers of a pod spec by name, with their positions; of several with the same name, the first.
pub(crate) fn containers_by_name(containers: &[Value]) -> BTreeMap<&str, (usize, &Value)> {
    let mut by_name = BTreeMap::new();
    for (position, container) in containers.iter().enumerate() {
        if let Some(name) = container.get("name").and_then(Value::as_str) {
            by_name.entry(name).or_insert((position, container));
        }
    }
    by_name
}

/// The main containers of a pod spec.
pub(crate) fn container_list(pod: &Value) -> &[Value] {
    pod.get("containers").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The fields of a template that Winddown may change.
pub(crate) struct TemplateMut<'a>(pub(crate) &'a mut Value);

impl TemplateMut<'_> {
    /// The template itself.
    pub(crate) fn fields(&mut self) -> Option<&mut Map<String, Value>> {
        self.0.as_object_mut()
    }

    /// Its metadata, if it has any.
    pub(crate) fn metadata(&mut self) -> Option<&mut Map<String, Value>> {
        self.0.get_mut("metadata")?.as_object_mut()
    }

    /// The pod spec.
    pub(crate) fn pod_spec(&mut self) -> Option<&mut Map<String, Value>> {
        self.0.get_mut("spec")?.as_object_mut()
    }

    /// The main container at that position.
    pub(crate) fn container_at(&mut self, position: usize) -> Option<&mut Map<String, Value>> {
        self.pod_spec()?.get_mut("containers")?.get_mut(position)?.as_object_mut()
    }

    /// The main container of that name.
    pub(crate) fn container(&mut self, name: &str) -> Option<&mut Map<String, Value>> {
        let containers = self.pod_spec()?.get_mut("containers")?.as_array_mut()?;
        let mut containers = containers.iter_mut().filter_map(Value::as_object_mut);
        containers.find(|container| container.get("name").and_then(Value::as_str) == Some(name))
    }
}

/// An object that is parsed on first use; most reviews of an update need only the new object.
#[derive(Debug)]
pub struct LazyObject<'a> {
    source: Source<'a>,
    parsed: OnceCell<serde_json::Result<PartialObject>>,
}

#[derive(Debug)]
enum Source<'a> {
    Text { text: &'a [u8], read: fn(&[u8]) -> serde_json::Result<PartialObject> },
    Value(&'a Value),
}

impl<'a> LazyObject<'a> {
    /// An object that is not parsed yet: `read` finds it in the text.
    #[must_use]
    pub fn within(text: &'a [u8], read: fn(&[u8]) -> serde_json::Result<PartialObject>) -> Self {
        Self { source: Source::Text { text, read }, parsed: OnceCell::new() }
    }

    /// The object; `None` if it is not a JSON object, has too many values or cannot be parsed.
    #[must_use]
    pub fn get(&self) -> Option<&Value> {
        match self.source {
            Source::Value(value) => Some(value),
            Source::Text { text, read } => match self.parsed.get_or_init(|| read(text)) {
                Ok(PartialObject::Read(value)) => Some(value).filter(|value| value.is_object()),
                Ok(PartialObject::TooLarge(_)) | Err(_) => None,
            },
        }
    }

    /// The error, if it was used and could not be parsed.
    #[must_use]
    pub fn into_error(self) -> Option<serde_json::Error> {
        self.parsed.into_inner()?.err()
    }
}

impl<'a> From<&'a Value> for LazyObject<'a> {
    fn from(value: &'a Value) -> Self {
        Self { source: Source::Value(value), parsed: OnceCell::new() }
    }
}

/// Sets an annotation of a workload, or removes it, and the map of annotations if it is then empty.
pub(crate) fn set_annotation(object: &mut Value, key: &str, text: Option<&str>) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match text {
        Some(text) => {
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.insert(key.to_owned(), Value::String(text.to_owned()));
            }
        }
        None => {
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
                && annotations.shift_remove(key).is_some()
                && annotations.is_empty()
            {
                metadata.shift_remove("annotations");
            }
        }
    }
}

/// A map of strings, empty if absent or null. The API server reads a null value as an empty string.
fn strings<'a>(
    map: Option<&'a Value>,
    field: impl Fn() -> FieldPath,
) -> Result<BTreeMap<&'a str, &'a str>, InvalidField> {
    let fields = match map {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(InvalidField::new(field(), "is not an object")),
    };
    let entry = |(key, value): (&'a String, &'a Value)| match value {
        Value::Null => Ok((key.as_str(), "")),
        Value::String(text) => Ok((key.as_str(), text.as_str())),
        _ => Err(InvalidField::new(field().key(truncated(key, 80)), "is not a string (quote it)")),
    };
    fields.iter().map(entry).collect()
}

fn equal_except(ours: &Map<String, Value>, theirs: &Map<String, Value>, ignored: &[&str]) -> bool {
    let counts = |key: &&String| !ignored.contains(&key.as_str());
    ours.keys().filter(counts).count() == theirs.keys().filter(counts).count()
        && ours.iter().filter(|(key, _)| counts(key)).all(|(key, value)| theirs.get(key) == Some(value))
}

/// Whether two maps are equal apart from one key; an empty map equals an absent one.
fn equal_maps(ours: Option<&Value>, theirs: Option<&Value>, ignored: &str) -> bool {
    let empty = Value::Object(Map::new());
    match (ours.unwrap_or(&empty), theirs.unwrap_or(&empty)) {
        (Value::Object(ours), Value::Object(theirs)) => equal_except(ours, theirs, &[ignored]),
        (ours, theirs) => ours == theirs,
    }
}
