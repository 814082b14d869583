//! Pods on a node that does not exist: the tests write what a kubelet would.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::manifest::{Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::{create, delete_within, get, merge};
use crate::suite::until;

/// The pods of one Deployment, which has no replicas of its own.
pub(crate) struct Kubelet<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) deployment: String,
    /// The annotation of its pod template with the injected budget.
    record: String,
}

/// How the containers of a pod end.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) after: Duration,
    pub(crate) exit_code: i32,
    pub(crate) reason: &'static str,
}

impl<'a> Kubelet<'a> {
    /// Creates the Deployment, with a budget, and waits for its `ShutdownBudget`.
    pub(super) async fn new(namespace: &'a Namespace, name: &str) -> Result<Self> {
        Self::of(namespace, deployment(name).with_budget()).await
    }

    /// The same with another Deployment that has a budget.
    pub(crate) async fn of(namespace: &'a Namespace, deployment: Manifest) -> Result<Self> {
        let stored = namespace.accepts(deployment).await?;
        let name = stored["metadata"]["name"].as_str().context("no name")?.to_owned();
        // One that does not fit is not injected.
        let kubelet = Self { namespace, deployment: name, record: record(&stored).unwrap_or_default() };
        // What ends before is not counted.
        until("the budget to be created", async || Ok(kubelet.status().await?["workload"].is_string().then_some(())))
            .await?;
        Ok(kubelet)
    }

    /// The same after a change of the deadline: new pods carry another budget.
    pub(super) async fn with_deadline(self, deadline: &str) -> Result<Self> {
        let change = self.namespace.annotate(&self.deployment, json!({"winddown.dev/deadline": deadline}));
        let record = record(&self.namespace.accepts(change).await?)?;
        Ok(Self { record, ..self })
    }

    pub(super) fn path(&self, pod: &str) -> String {
        format!("/api/v1/namespaces/{}/pods/{pod}", self.namespace.name)
    }

    /// Creates a pod that runs, with a grace period in seconds.
    pub(crate) async fn start(&self, pod: &str, grace_period: i64) -> Result<()> {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{}-7d9f", self.deployment),
            "uid": "00000000-0000-4000-8000-000000000000", "controller": true});
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": pod,
                "labels": {"winddown.dev/managed": "true", "pod-template-hash": "7d9f"},
                "annotations": {"winddown.dev/injected": self.record},
                "ownerReferences": [owner],
            },
            "spec": {
                "nodeName": "node-1",
                "terminationGracePeriodSeconds": grace_period,
                "containers": [{"name": "app", "image": "registry.example/app:1"}],
            },
        });
        self.namespace.accepts(create(&manifest)).await?;
        let running = json!({"running": {"startedAt": now()}});
        self.report(pod, json!({"phase": "Running", "observedGeneration": 1}), &running).await
    }

    /// Writes the status of a pod, and the state of its container.
    pub(super) async fn report(&self, pod: &str, mut status: Value, state: &Value) -> Result<()> {
        status["containerStatuses"] = json!([{"name": "app", "image": "registry.example/app:1", "imageID": "",
            "ready": false, "restartCount": 0, "state": state}]);
        self.namespace.accepts(merge(&format!("{}/status", self.path(pod)), json!({"status": status}))).await.map(drop)
    }

    /// Requests the deletion; with a grace period of 0, the pod is removed.
    pub(super) async fn delete(&self, pod: &str, grace_period: i64) -> Result<()> {
        self.namespace.accepts(delete_within(&self.path(pod), grace_period)).await.map(drop)
    }

    /// A whole stop, from the request with this grace period to the removal.
    pub(crate) async fn stop(&self, pod: &str, grace_period: i64, end: End) -> Result<()> {
        self.stop_without_removal(pod, grace_period, end).await?;
        self.delete(pod, 0).await
    }

    /// A stop whose pod remains, as long as something keeps it.
    pub(super) async fn stop_without_removal(&self, pod: &str, grace_period: i64, end: End) -> Result<()> {
        self.delete(pod, grace_period).await?;
        let deleted = self.namespace.accepts(get(&self.path(pod))).await?;
        let started = &deleted["status"]["containerStatuses"][0]["state"]["running"]["startedAt"];
        let acknowledged = json!({"observedGeneration": deleted["metadata"]["generation"]});
        self.namespace.accepts(merge(&format!("{}/status", self.path(pod)), json!({"status": acknowledged}))).await?;
        tokio::time::sleep(end.after).await;
        let End { exit_code, reason, .. } = end;
        let state = json!({"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": started,
            "finishedAt": now()}});
        let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
        self.report(pod, json!({"phase": phase}), &state).await
    }

    /// The status of the Deployment's `ShutdownBudget`; null if there is none yet.
    pub(super) async fn status(&self) -> Result<Value> {
        let path = "/apis/winddown.dev/v1alpha1/namespaces";
        let path = format!("{path}/{}/shutdownbudgets/deployment-{}", self.namespace.name, self.deployment);
        Ok(self.namespace.send(get(&path)).await?.object["status"].clone())
    }

    /// Waits for a status.
    pub(crate) async fn until_status(&self, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        // Stops are written together.
        let limit = Duration::from_secs(90);
        let waited = winddown_e2e::wait::until("the status of the ShutdownBudget", limit, async || {
            last = self.status().await?;
            Ok(condition(&last).then(|| last.clone()))
        });
        let waited = waited.await;
        waited.with_context(|| format!("{}: {last:#}", self.deployment))
    }
}

fn record(deployment: &Value) -> Result<String> {
    let record = &deployment["spec"]["template"]["metadata"]["annotations"]["winddown.dev/injected"];
    Ok(record.as_str().context("nothing was injected")?.to_owned())
}

fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string()
}
