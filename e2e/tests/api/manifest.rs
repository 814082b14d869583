//! A builder for workload manifests.

use serde_json::{Map, Value, json};

/// A workload manifest before admission.
#[derive(Clone, Debug)]
pub(crate) struct Manifest(Value);

/// The prefix of Winddown's annotations.
pub(crate) const PREFIX: &str = "winddown.dev/";
/// The JSON pointer of the grace period in a workload.
pub(crate) const GRACE_PERIOD: &str = "/spec/template/spec/terminationGracePeriodSeconds";

/// A Deployment with one container and no replicas.
pub(crate) fn deployment(name: &str) -> Manifest {
    workload("Deployment", name)
}

/// The kinds that Winddown supports.
pub(crate) const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// A workload of one of [`KINDS`], with one container and no pods: there are no nodes for a DaemonSet.
pub(crate) fn workload(kind: &str, name: &str) -> Manifest {
    let mut manifest = with_one_container(name);
    manifest.0["kind"] = json!(kind);
    if let ("DaemonSet", Some(spec)) = (kind, manifest.0["spec"].as_object_mut()) {
        spec.remove("replicas");
    }
    manifest
}

fn with_one_container(name: &str) -> Manifest {
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
                        // Prevents findings that a test does not expect.
                        "startupProbe": {"tcpSocket": {"port": "http"}},
                    }],
                },
            },
        },
    }))
}

impl Manifest {
    /// Adds an annotation with [`PREFIX`].
    pub(crate) fn annotated(self, name: &str, value: &str) -> Self {
        let key = format!("{PREFIX}{name}").replace('/', "~1");
        self.with(&format!("/metadata/annotations/{key}"), value)
    }

    /// Sets a drain of 5 s and a deadline of 25 s. The default margin is 5 s, so the budget is 35 s.
    pub(crate) fn with_budget(self) -> Self {
        self.annotated("drain", "5s").annotated("deadline", "25s")
    }

    pub(crate) fn grace_period(self, seconds: i64) -> Self {
        self.with(GRACE_PERIOD, seconds)
    }

    pub(crate) fn image(self, image: &str) -> Self {
        self.with("/spec/template/spec/containers/0/image", image)
    }

    /// Sets the field at a JSON pointer. Creates missing parent objects.
    pub(crate) fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut current = &mut self.0;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            current = if let Ok(index) = step.parse::<usize>() {
                &mut current[index]
            } else {
                if current.is_null() {
                    *current = Value::Object(Map::new());
                }
                &mut current[step]
            };
        }
        *current = value.into();
        self
    }
}

impl From<Value> for Manifest {
    fn from(object: Value) -> Self {
        Self(object)
    }
}

impl AsRef<Value> for Manifest {
    fn as_ref(&self) -> &Value {
        &self.0
    }
}
