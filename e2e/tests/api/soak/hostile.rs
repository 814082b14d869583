//! The requests of somebody who wants to exhaust a replica.

use serde_json::{Map, Value, json};

use crate::manifest::deployment;

/// A workload, and the review in which an API server would send it.
pub(super) struct Shape {
    pub(super) object: Value,
    pub(super) review: Vec<u8>,
}

/// The API server needs minutes for lists of thousands of items that are invalid.
const QUICK: [&str; 5] = ["args", "containers", "keys", "record", "applied"];
/// The API server takes requests of up to 3 MiB.
const LARGEST: usize = 3 * 1024 * 1024;

pub(super) fn shapes() -> Vec<Shape> {
    let container = |number: usize| json!({"name": format!("c{number}"), "image": "registry.example/app:1"});
    let keyed = |number: usize, value: Value| (format!("c{number}"), value);
    let record = json!({
        "v": 1,
        "template": "0000000000000000",
        "declared": "drain=5s",
        "resolved": "",
        "preStop": (0..60_000).map(|number| keyed(number, json!(5))).collect::<Map<_, _>>(),
        "lifecycle": (0..60_000).map(|number| format!("c{number}")).collect::<Vec<_>>(),
    });
    let applied = json!({"spec": {"template": {"spec": {"containers": vec![json!({"name": "app"}); 60_000]}}}});
    let deep = (0..100).fold(json!({}), |inner, _| json!({"matchExpressions": [inner]}));
    let objects = [
        pod("args", "/containers/0/args", json!(vec![""; 850_000])),
        // Larger than the API server takes.
        pod("tolerations", "/tolerations", json!(vec![json!({}); 1_100_000])),
        pod("init-containers", "/initContainers", json!(vec![json!({}); 100_000])),
        pod("volumes", "/volumes", json!(vec![json!({}); 1_000])),
        pod("projected", "/volumes", json!([{"name": "v", "projected": {"sources": vec![json!({}); 45_000]}}])),
        pod("env", "/containers/0/env", json!(vec![json!({}); 45_000])),
        pod("spread", "/topologySpreadConstraints", json!(vec![json!({}); 45_000])),
        pod("deep", "/affinity", deep),
        pod("containers", "/containers", (0..1_000).map(container).collect()),
        pod("ports", "/containers/0/ports", json!(vec![json!({"containerPort": 1}); 20_000])),
        with_many_keys("keys"),
        template_annotation("record", "winddown.dev/injected", record.to_string()),
        metadata_annotation("applied", "kubectl.kubernetes.io/last-applied-configuration", applied.to_string()),
        metadata_annotation("long", "winddown.dev/containers", "a,".repeat(500_000)),
    ];
    objects.into_iter().map(Shape::of).collect()
}

/// In mode Audit, which rejects nothing: the API server stores it.
pub(super) fn with_many_keys(name: &str) -> Value {
    let mut manifest = deployment(name).with_budget().annotated("mode", "Audit").as_ref().clone();
    if let Some(annotations) = manifest["metadata"]["annotations"].as_object_mut() {
        annotations.extend((0..14_000).map(|key| (format!("winddown.dev/{key}"), json!(""))));
    }
    manifest
}

impl Shape {
    fn of(object: Value) -> Self {
        let mut request = json!({
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "operation": "UPDATE",
            "namespace": "soak",
            "name": object["metadata"]["name"],
            "object": object,
        });
        if object.to_string().len() < LARGEST {
            request["oldObject"] = object.clone();
        }
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        Self { review: review.to_string().into_bytes(), object }
    }

    pub(super) fn is_quick_for_the_api_server(&self) -> bool {
        self.object["metadata"]["name"].as_str().is_some_and(|name| QUICK.contains(&name))
    }
}

fn pod(name: &str, pointer: &str, value: Value) -> Value {
    let pointer = format!("/spec/template/spec{pointer}");
    deployment(name).with_budget().with(&pointer, value).as_ref().clone()
}

fn metadata_annotation(name: &str, key: &str, value: String) -> Value {
    with_annotation(name, "/metadata", key, value)
}

fn template_annotation(name: &str, key: &str, value: String) -> Value {
    with_annotation(name, "/spec/template/metadata", key, value)
}

fn with_annotation(name: &str, metadata: &str, key: &str, value: String) -> Value {
    let pointer = format!("{metadata}/annotations/{}", key.replace('/', "~1"));
    deployment(name).with_budget().with(&pointer, value).as_ref().clone()
}
