//! Reads a workload from a list or a watch, without copies of what is not kept.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{MAX_KEPT, Watched};
use winddown_core::annotations::{PREFIX, SETTLED};
use winddown_core::object::Fields;

/// The fields that are kept of each workload.
const IDENTITY: [&str; 7] =
    ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"];

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WorkloadVisitor)
    }
}

struct WorkloadVisitor;

impl<'de> Visitor<'de> for WorkloadVisitor {
    type Value = Watched;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a workload")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Watched, A::Error> {
        let fields = Fields::new(MAX_KEPT);
        let mut object = Map::new();
        let mut metadata = None;
        let mut pods = Pods::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == "metadata" {
                metadata = Some(map.next_value_seed(Metadata::within(&fields))?);
                continue;
            }
            if name == "status" {
                pods = map.next_value::<Option<Pods>>()?.unwrap_or_default();
                continue;
            }
            let is_kept = fields.fit() && metadata.as_ref().is_none_or(|metadata| metadata.annotations.own.is_some());
            match fields.at(&[&name]).filter(|_| is_kept) {
                Some(reader) => drop(object.insert(name, map.next_value_seed(reader)?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let Metadata { annotations, labels, kept, .. } = metadata.unwrap_or_else(|| Metadata::within(&fields));
        let metadata = identity(&kept);
        let is_kept = annotations.own.is_some() && fields.fit();
        let object = is_kept.then(|| {
            object.insert("metadata".to_owned(), Value::Object(kept));
            Value::Object(object)
        });
        let pods = pods.replicas.or(pods.current_number_scheduled).unwrap_or_default();
        Ok(Watched { metadata, annotations: annotations.own, labels: labels.all, pods, object })
    }
}

/// How many pods a workload has: the second field is that of a `DaemonSet`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Pods {
    replicas: Option<u32>,
    current_number_scheduled: Option<u32>,
}

fn identity(kept: &Map<String, Value>) -> ObjectMeta {
    let text = |field: &str| kept.get(field).and_then(Value::as_str).map(str::to_owned);
    let time = |field: &str| kept.get(field).and_then(|time| Time::deserialize(time).ok());
    ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        generation: kept.get("generation").and_then(Value::as_i64),
        creation_timestamp: time("creationTimestamp"),
        deletion_timestamp: time("deletionTimestamp"),
        ..ObjectMeta::default()
    }
}

struct Metadata<'a> {
    fields: &'a Fields,
    annotations: Hashes,
    labels: Hashes,
    kept: Map<String, Value>,
}

impl<'a> Metadata<'a> {
    fn within(fields: &'a Fields) -> Self {
        Self { fields, annotations: Hashes::default(), labels: Hashes::default(), kept: Map::new() }
    }
}

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = Self;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self, D::Error> {
        self.fields.count(0);
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let value = match name.as_str() {
                "annotations" | "labels" => {
                    let (hashes, entries) = map.next_value_seed(Entries { fields: self.fields })?;
                    if name == "labels" {
                        self.labels = hashes;
                    } else {
                        self.annotations = hashes;
                    }
                    entries
                }
                // They identify the workload, so the limit does not count.
                field if IDENTITY.contains(&field) => map.next_value()?,
                field => {
                    let Some(reader) = self.fields.at(&["metadata", field]) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    map.next_value_seed(reader)?
                }
            };
            self.kept.insert(name, value);
        }
        Ok(self)
    }
}

/// Hashes of the entries of a map, in any order.
#[derive(Clone, Copy, Debug, Default)]
struct Hashes {
    all: u64,
    /// Of those with a key of Winddown.
    own: Option<u64>,
}

/// Reads the entries of a map of strings.
struct Entries<'a> {
    fields: &'a Fields,
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = (Hashes, Value);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.fields.count(0);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = (Hashes, Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let fields = self.fields;
        let mut hashes = Hashes::default();
        let mut kept = Map::new();
        while let Some(key) = map.next_key_seed(Text { fields, hasher: DefaultHasher::default() })? {
            let value = map.next_value_seed(Text { fields, hasher: key.hasher })?;
            let entry = value.hasher.finish();
            hashes.all ^= entry;
            if key.is_own {
                hashes.own = Some(hashes.own.unwrap_or_default() ^ entry);
            }
            if let (Some(key), true) = (key.text, fields.fit()) {
                kept.insert(key, value.text.map_or(Value::Null, Value::String));
            }
        }
        Ok((hashes, Value::Object(kept)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok((Hashes::default(), Value::Null))
    }
}

/// Adds a text to a hash.
struct Text<'a> {
    fields: &'a Fields,
    hasher: DefaultHasher,
}

struct ReadText {
    hasher: DefaultHasher,
    /// Within the limit.
    text: Option<String>,
    /// Whether it is a key of Winddown.
    is_own: bool,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ReadText;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ReadText, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ReadText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<ReadText, E> {
        self.fields.count(text.len());
        text.hash(&mut self.hasher);
        let is_own = text.starts_with(PREFIX) || text == SETTLED;
        Ok(ReadText { hasher: self.hasher, text: self.fields.fit().then(|| text.to_owned()), is_own })
    }

    fn visit_unit<E>(self) -> Result<ReadText, E> {
        Ok(ReadText { hasher: self.hasher, text: None, is_own: false })
    }
}
