//! Manifests as people write them, in a few words.

use serde_json::{Map, Value, json};

/// A workload as its owner writes it.
#[derive(Clone, Debug)]
pub(crate) struct Manifest(Value);

/// What Winddown's annotations begin with.
pub(crate) const PREFIX: &str = "winddown.dev/";
/// The grace period's place in a Deployment.
pub(crate) const GRACE_PERIOD: &str = "/spec/template/spec/terminationGracePeriodSeconds";

/// A Deployment of one container. Without replicas: what matters here is the template.
pub(crate) fn deployment(name: &str) -> Manifest {
    workload("Deployment", name)
}

/// The kinds that Winddown plans.
pub(crate) const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// The same, as a workload of any of [`KINDS`]. A DaemonSet has no replicas, and here no nodes either.
pub(crate) fn workload(kind: &str, name: &str) -> Manifest {
    let mut manifest = of_one_container(name);
    manifest.0["kind"] = json!(kind);
    if let ("DaemonSet", Some(spec)) = (kind, manifest.0["spec"].as_object_mut()) {
        spec.remove("replicas");
    }
    manifest
}

fn of_one_container(name: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [{
                        "name": "app",
                        "image": "registry.example/app:1",
                        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                        // Nothing is to be said of it that a test does not ask for.
                        "startupProbe": {"tcpSocket": {"port": "http"}},
                    }],
                },
            },
        },
    }))
}

impl Manifest {
    /// With an annotation of Winddown's.
    pub(crate) fn annotated(self, name: &str, value: &str) -> Self {
        let key = format!("{PREFIX}{name}").replace('/', "~1");
        self.with(&format!("/metadata/annotations/{key}"), value)
    }

    /// With drain 5s, deadline 25s and so, by default, a margin of 5s.
    pub(crate) fn budgeted(self) -> Self {
        self.annotated("drain", "5s").annotated("deadline", "25s")
    }

    pub(crate) fn grace_period(self, seconds: i64) -> Self {
        self.with(GRACE_PERIOD, seconds)
    }

    pub(crate) fn image(self, image: &str) -> Self {
        self.with("/spec/template/spec/containers/0/image", image)
    }

    /// With a field at a JSON pointer; objects on the way are made.
    pub(crate) fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.0;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            place = if let Ok(index) = step.parse::<usize>() {
                &mut place[index]
            } else {
                if place.is_null() {
                    *place = Value::Object(Map::new());
                }
                &mut place[step]
            };
        }
        *place = value.into();
        self
    }
}

impl AsRef<Value> for Manifest {
    fn as_ref(&self) -> &Value {
        &self.0
    }
}
