//! What the watch keeps of a workload.
//!
//! The metadata of an object can have a megabyte of annotations, labels and managed fields. They are read without a copy, and
//! only hashes of them are kept: a reconciliation reads the whole workload anyway.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope, ObjectMeta};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use winddown_core::annotations::{PREFIX, SETTLED};
use winddown_core::fingerprint::in_process;
use winddown_core::kind::Kind;
use winddown_core::observation::WorkloadRef;

/// A workload of the watch. Other fields of the metadata are absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    pub(super) metadata: ObjectMeta,
    /// A hash of Winddown's annotations, if there are any.
    pub(super) annotations: Option<u64>,
    labels: u64,
}

impl Watched {
    pub(super) fn reference(&self, kind: Kind) -> Option<WorkloadRef> {
        let (namespace, name) = (self.metadata.namespace.clone()?, self.metadata.name.clone()?);
        Some(WorkloadRef { kind, namespace, name })
    }

    /// A hash of what a reconciliation depends on, so that changes of the status cause no request. `generation` changes with
    /// the spec and with a deletion.
    pub(super) fn relevant(&self, with_labels: bool) -> u64 {
        let metadata = &self.metadata;
        let labels = with_labels.then_some(self.labels);
        in_process(&(metadata.generation, metadata.deletion_timestamp.is_some(), self.annotations, labels))
    }
}

impl Resource for Watched {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    /// The API server sends metadata only.
    fn metadata_api() -> bool {
        true
    }

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Received { metadata } = Received::deserialize(deserializer)?;
        let annotations = metadata.annotations.unwrap_or_default().own;
        let labels = metadata.labels.unwrap_or_default().all;
        let metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, annotations, labels })
    }
}

#[derive(Deserialize)]
struct Received {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    annotations: Option<Entries>,
    labels: Option<Entries>,
}

/// Hashes of the entries of a map, in any order.
#[derive(Clone, Copy, Debug, Default)]
struct Entries {
    all: u64,
    /// Of those with a key of Winddown.
    own: Option<u64>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        while let Some(Text { hasher, is_own }) = map.next_key_seed(Text::default())? {
            let entry = map.next_value_seed(Text { hasher, is_own })?.hasher.finish();
            entries.all ^= entry;
            if is_own {
                entries.own = Some(entries.own.unwrap_or_default() ^ entry);
            }
        }
        Ok(entries)
    }
}

/// Adds a text to a hash.
#[derive(Default)]
struct Text {
    hasher: DefaultHasher,
    /// Whether the text is a key of Winddown.
    is_own: bool,
}

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Self;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Text {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<Self, E> {
        text.hash(&mut self.hasher);
        Ok(Self { is_own: text.starts_with(PREFIX) || text == SETTLED, ..self })
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Watched;

    fn watched(annotations: &Value, labels: &Value) -> Watched {
        let metadata = json!({
            "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": annotations, "labels": labels,
            "managedFields": [{"manager": "helm", "fieldsV1": {"f:metadata": {}}}],
        });
        let object = json!({"kind": "PartialObjectMetadata", "metadata": metadata});
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn what_a_reconciliation_needs_is_kept() {
        let metadata = watched(&Value::Null, &Value::Null).metadata;
        assert_eq!((metadata.name.as_deref(), metadata.namespace.as_deref()), (Some("web"), Some("shop")));
        assert_eq!((metadata.uid.as_deref(), metadata.resource_version.as_deref()), (Some("u"), Some("7")));
        assert_eq!((metadata.generation, metadata.creation_timestamp.is_some()), (Some(2), true));
        assert_eq!((metadata.deletion_timestamp, metadata.managed_fields), (None, None));
    }

    #[test]
    fn only_annotations_of_winddown_count() {
        let of = |annotations: &Value| watched(annotations, &json!({})).annotations;
        for none in [json!(null), json!({}), json!({"team": "shop", "other.dev/drain": "5s"})] {
            assert_eq!(of(&none), None, "{none}");
        }
        let drain = of(&json!({"winddown.dev/drain": "5s"}));
        assert!(drain.is_some());
        assert_eq!(of(&json!({"team": "shop", "winddown.dev/drain": "5s"})), drain);
        for other in [
            json!({"winddown.dev/drain": "6s"}),
            json!({"winddown.dev/drain": null}),
            json!({"winddown.dev/deadline": "5s"}),
            json!({"winddown.dev/drain": "5s", "state.winddown.dev/settled": "{}"}),
        ] {
            assert!(of(&other).is_some() && of(&other) != drain, "{other}");
        }
    }

    #[test]
    fn labels_count_if_a_selector_needs_them() {
        let [web, db] = ["web", "db"].map(|tier| watched(&Value::Null, &json!({"tier": tier})));
        assert_eq!(web.relevant(false), db.relevant(false));
        assert_ne!(web.relevant(true), db.relevant(true));
        let mut next = web.clone();
        next.metadata.generation = Some(3);
        assert_ne!(web.relevant(false), next.relevant(false));
    }

    #[test]
    fn of_large_metadata_only_hashes_are_kept() {
        let many: serde_json::Map<_, _> = (0..15_000).map(|key| (format!("winddown.dev/{key}"), json!(""))).collect();
        let many = Value::Object(many);
        assert!(format!("{:?}", watched(&many, &many)).len() < 2000);
    }
}
