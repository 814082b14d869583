//! Workloads whose app is a shell script, in the image of the example.

use anyhow::{Context as _, Result};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};

use winddown_e2e::environment::Environment;

/// A Deployment or `StatefulSet` before its creation.
pub(super) struct Scripted {
    kind: &'static str,
    manifest: Value,
}

/// Exits with success on SIGTERM.
pub(super) const EXITS: &str = "trap 'exit 0' TERM; sleep infinity & wait";
/// Ignores SIGTERM.
pub(super) const IGNORES: &str = "trap '' TERM; sleep infinity & wait";
/// Exits with success 6 s after SIGTERM: after its deadline, before the end of its grace period.
pub(super) const OVERRUNS: &str = "trap 'sleep 6; exit 0' TERM; sleep infinity & wait";
/// Exits with 1 on SIGTERM.
pub(super) const FAILS: &str = "trap 'exit 1' TERM; sleep infinity & wait";
/// Needs more memory than it has on SIGTERM: the shell itself, which is the first process of the container.
pub(super) const RUNS_OUT_OF_MEMORY: &str =
    "trap 'a=0123456789abcdef; while :; do a=$a$a; done' TERM; sleep infinity & wait";

impl Scripted {
    /// A Deployment with one replica whose app runs `script`: drain 2s + deadline 2s + margin 6s = 10s of 10s.
    pub(super) fn deployment(name: &str, script: &str) -> Self {
        let annotations =
            json!({"winddown.dev/drain": "2s", "winddown.dev/deadline": "2s", "winddown.dev/margin": "6s"});
        let manifest = json!({
            "metadata": {"name": name, "annotations": annotations},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "automountServiceAccountToken": false,
                        "terminationGracePeriodSeconds": 10,
                        "containers": [container("app", script)],
                    },
                },
            },
        });
        Self { kind: "Deployment", manifest }
    }

    /// A `StatefulSet` instead.
    pub(super) fn into_stateful_set(self) -> Self {
        Self { kind: "StatefulSet", ..self }
    }

    pub(super) fn replicas(mut self, replicas: u32) -> Self {
        self.manifest["spec"]["replicas"] = json!(replicas);
        self
    }

    /// Adds a second container.
    pub(super) fn with_container(mut self, name: &str, script: &str) -> Self {
        if let Some(containers) = self.pod_spec()["containers"].as_array_mut() {
            containers.push(container(name, script));
        }
        self
    }

    /// Limits the memory of the app.
    pub(super) fn with_memory(mut self, limit: &str) -> Self {
        self.pod_spec()["containers"][0]["resources"]["limits"] = json!({"memory": limit});
        self
    }

    /// Places its pods on one node.
    pub(super) fn on_node(mut self, node: &str) -> Self {
        self.pod_spec()["nodeSelector"] = json!({"kubernetes.io/hostname": node});
        self
    }

    pub(super) async fn create(self, environment: &Environment) -> Result<()> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", self.kind));
        let workloads: Api<DynamicObject> =
            Api::namespaced_with(environment.client.clone(), &environment.namespace, &resource);
        let mut manifest = self.manifest;
        manifest["apiVersion"] = json!("apps/v1");
        manifest["kind"] = json!(self.kind);
        let created = workloads.create(&PostParams::default(), &serde_json::from_value(manifest)?).await;
        let created = created.with_context(|| format!("create a {}", self.kind))?;
        let template = &created.data["spec"]["template"];
        assert!(template["metadata"]["annotations"]["winddown.dev/injected"].is_string(), "not injected: {template}");
        Ok(())
    }

    fn pod_spec(&mut self) -> &mut Value {
        &mut self.manifest["spec"]["template"]["spec"]
    }
}

fn container(name: &str, script: &str) -> Value {
    json!({
        "name": name,
        "image": "winddown.local/node-http:dev",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", script],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
    })
}
