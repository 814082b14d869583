//! A Deployment with ready pods on a node that does not exist: the tests write what a kubelet would.

use anyhow::Result;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::{Request, create, delete, delete_within, get, merge};
use crate::suite::until;

/// Of a pod, in seconds.
const GRACE_PERIOD: u32 = 30;

/// The Deployment, which has no replicas of its own.
pub(super) struct App<'a> {
    pub(super) namespace: &'a Namespace,
    name: &'static str,
}

/// The security context that the restricted Pod Security Standard requires. It is that of the container, so that others do
/// not inherit it.
fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

impl<'a> App<'a> {
    /// Creates it and its pods, and waits until its controller has observed it.
    pub(super) async fn start(namespace: &'a Namespace, name: &'static str, pods: &[&str]) -> Result<Self> {
        namespace.accepts(deployment(name)).await?;
        let app = Self { namespace, name };
        for pod in pods {
            app.start_pod(pod).await?;
        }
        namespace.revisions(name).await?;
        Ok(app)
    }

    pub(super) async fn start_pod(&self, pod: &str) -> Result<()> {
        self.start_pod_within(pod, GRACE_PERIOD).await
    }

    /// Starts a pod with this grace period, in seconds.
    pub(super) async fn start_pod_within(&self, pod: &str, grace_period: u32) -> Result<()> {
        for request in self.requests_to_start(pod, grace_period) {
            self.namespace.accepts(request).await?;
        }
        Ok(())
    }

    /// What creates a pod, and what reports it as ready.
    pub(super) fn start_of(&self, pod: &str) -> [Request; 2] {
        self.requests_to_start(pod, GRACE_PERIOD)
    }

    fn requests_to_start(&self, pod: &str, grace_period: u32) -> [Request; 2] {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{}-7d9f", self.name),
            "uid": "00000000-0000-4000-8000-000000000000", "controller": true});
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": pod,
                "labels": {"app": self.name, "pod-template-hash": "7d9f"},
                "ownerReferences": [owner],
            },
            "spec": {
                "nodeName": "node-1",
                "terminationGracePeriodSeconds": grace_period,
                "containers": [{"name": "app", "image": "registry.example/app:1", "securityContext": restricted()}],
            },
        });
        let running = json!({"running": {"startedAt": now()}});
        let status = json!({
            "phase": "Running",
            "observedGeneration": 1,
            "hostIP": "10.0.0.1",
            "hostIPs": [{"ip": "10.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [container(&running)],
        });
        [create(&manifest).within(&self.namespace.name), self.status(pod, &status)]
    }

    pub(super) fn path(&self, pod: &str) -> String {
        format!("/api/v1/namespaces/{}/pods/{pod}", self.namespace.name)
    }

    /// Writes fields of the status of a pod.
    pub(super) async fn report(&self, pod: &str, status: Value) -> Result<()> {
        self.namespace.accepts(self.status(pod, &status)).await.map(drop)
    }

    fn status(&self, pod: &str, status: &Value) -> Request {
        merge(&format!("{}/status", self.path(pod)), json!({"status": status}))
    }

    /// Reports the container that was added to a pod as running.
    pub(super) async fn run_added_container(&self, pod: &str) -> Result<()> {
        let added = self.added_container(pod).await?;
        let status = json!({"name": added["name"], "image": added["image"], "imageID": "", "ready": false,
            "restartCount": 0, "state": {"running": {"startedAt": now()}}});
        self.report(pod, json!({"ephemeralContainerStatuses": [status]})).await
    }

    pub(super) async fn pod(&self, pod: &str) -> Result<Value> {
        self.namespace.accepts(get(&self.path(pod))).await
    }

    /// Whether nothing happened to a pod: it is not being deleted, and nothing was added to it.
    pub(super) async fn is_untouched(&self, pod: &str) -> Result<bool> {
        let pod = self.pod(pod).await?;
        let is_deleted = pod["metadata"]["deletionTimestamp"].is_string();
        Ok(!is_deleted && pod["spec"]["ephemeralContainers"].is_null())
    }

    /// The patch of the ephemeral containers of a pod.
    pub(super) fn ephemeral_containers(&self, pod: &str, containers: &[Value]) -> Request {
        let path = format!("{}/ephemeralcontainers", self.path(pod));
        merge(&path, json!({"spec": {"ephemeralContainers": containers}}))
    }

    /// Waits until a container was added to a pod, and returns it.
    pub(super) async fn added_container(&self, pod: &str) -> Result<Value> {
        until("the measuring container to be added", async || {
            let pod = self.pod(pod).await?;
            Ok(pod.pointer("/spec/ephemeralContainers/0").cloned())
        })
        .await
    }

    /// Waits until a pod was evicted.
    pub(super) async fn until_evicted(&self, pod: &str) -> Result<()> {
        until("the pod to be evicted", async || {
            Ok(self.pod(pod).await?["metadata"]["deletionTimestamp"].is_string().then_some(()))
        })
        .await
    }

    /// Waits until a pod was evicted, and lets its container exit with code 0.
    pub(super) async fn exit(&self, pod: &str) -> Result<()> {
        self.exit_without_removal(pod).await?;
        self.remove(pod).await
    }

    /// The same, but the pod stays for now.
    pub(super) async fn exit_without_removal(&self, pod: &str) -> Result<()> {
        self.until_evicted(pod).await?;
        let deleted = self.pod(pod).await?;
        self.report(pod, json!({"observedGeneration": deleted["metadata"]["generation"]})).await?;
        let started = &deleted["status"]["containerStatuses"][0]["state"]["running"]["startedAt"];
        let end =
            json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": now()}});
        self.report(pod, json!({"phase": "Succeeded", "containerStatuses": [container(&end)]})).await
    }

    /// Removes a pod at once.
    pub(super) async fn remove(&self, pod: &str) -> Result<()> {
        self.namespace.accepts(delete_within(&self.path(pod), 0)).await.map(drop)
    }

    pub(super) async fn delete_deployment(&self) -> Result<()> {
        self.namespace.accepts(delete(&self.namespace.deployment_path(self.name))).await.map(drop)
    }
}

fn container(state: &Value) -> Value {
    json!({"name": "app", "image": "registry.example/app:1", "imageID": "", "ready": true, "restartCount": 0,
        "state": state})
}

fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string()
}
