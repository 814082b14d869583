//! What the watch keeps of a workload.
//!
//! The metadata of an object can have a megabyte of annotations, labels and managed fields. They are read without a copy, and
//! only hashes of them are kept. A workload with annotations of Winddown is kept as a whole until it was evaluated.

mod received;

use std::borrow::Cow;

use kube::Resource;
use kube::core::{DynamicResourceScope, ObjectMeta};
use serde_json::Value;

use winddown_core::fingerprint::in_process;
use winddown_core::kind::Kind;
use winddown_core::observation::WorkloadRef;

/// A workload of the watch. Other fields of the metadata are absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    pub(super) metadata: ObjectMeta,
    /// A hash of Winddown's annotations, if there are any.
    pub(super) annotations: Option<u64>,
    pub(super) labels: u64,
    /// How many it has.
    pub(super) pods: u32,
    /// The workload as the webhooks receive it, unless it has no annotation of Winddown or is larger than [`MAX_KEPT`]. In a list, it
    /// has no `kind`.
    pub(super) object: Option<Value>,
}

/// The maximum number of values of an object that is kept until it was evaluated; long texts count as several. A page of them
/// takes about 10 MB at most. A usual workload has about a thousand.
pub(super) const MAX_KEPT: usize = 5_000;

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
    /// A copy of it is part of every reference to a workload.
    type DynamicType = Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Kind) -> Cow<'_, str> {
        kind.as_str().into()
    }

    fn group(_: &Kind) -> Cow<'_, str> {
        Kind::GROUP.into()
    }

    fn version(_: &Kind) -> Cow<'_, str> {
        Kind::VERSION.into()
    }

    fn plural(kind: &Kind) -> Cow<'_, str> {
        kind.resource().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use winddown_core::object::{self, PartialObject};

    use super::{MAX_KEPT, Watched};

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
        let watched = watched(&many, &many);
        assert!(format!("{watched:?}").len() < 2000);
        assert!(watched.annotations.is_some() && watched.metadata.uid.is_some());
    }

    /// A Deployment with this many list items in its spec, as its text in a list.
    fn deployment(annotations: &Value, items: usize) -> String {
        let containers = json!([{"name": "app", "args": vec!["x"; items]}]);
        json!({
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "generation": 2, "annotations": annotations,
                "managedFields": [{"manager": "helm", "fieldsV1": {"f:spec": {"f:replicas": {}}}}],
            },
            "spec": {"template": {"spec": {"containers": containers}}},
            "status": {"replicas": 3},
        })
        .to_string()
    }

    #[test]
    fn a_workload_with_annotations_is_kept_as_the_webhooks_receive_it() {
        let (drain, none) = (json!({"winddown.dev/drain": "5s"}), json!({"team": "shop"}));
        let read = |text: &str| serde_json::from_str::<Watched>(text).unwrap().object;
        let text = deployment(&drain, 10);
        let PartialObject::Read(received) = object::parse(&text).unwrap() else { panic!() };
        assert_eq!(read(&text), Some(received));
        assert_eq!(read(&deployment(&none, 10)), None);
        assert_eq!(read(&deployment(&drain, MAX_KEPT)), None, "too large");
        // The order of the fields does not matter.
        let [metadata, rest] =
            [r#""metadata":{"name":"web","annotations":{"winddown.dev/drain":"5s"}}"#, r#""spec":{"x":1}"#];
        let [first, last] =
            [format!("{{{metadata},{rest}}}"), format!("{{{rest},{metadata}}}")].map(|text| read(&text));
        assert!(first.is_some() && first == last);
    }
}
