//! Pods of the workloads, on nodes that do not exist: what a ReplicaSet and a kubelet would write, without either.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::fleet::{CONNECTIONS, name, namespace};
use super::installation::Installation;
use crate::api::Api;
use crate::progress;

/// Pods on one node.
const ON_NODE: usize = 100;
/// Workloads in one answer to a list.
const PAGE: usize = 100;
/// From SIGTERM to the exit of the app, which comes after its `preStop` sleep of five seconds.
const EXITS_AFTER: Duration = Duration::from_millis(1500);
const DRAIN: Duration = Duration::from_secs(5);
/// The hash of every template.
const HASH: &str = "7d9f8c6b54";

/// All pods of a cluster: as many of each workload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pods {
    pub(super) workloads: usize,
    pub(super) pods: usize,
}

impl Pods {
    /// Creates the pods of the stored workloads. Their environment variables are left out, so that a pod has 6 KB.
    pub(super) async fn create(self, installation: &Installation) -> Result<()> {
        let api = &installation.api;
        let mut created = 0;
        let mut next = Some(String::new());
        while let Some(token) = next {
            let list = api.get(&format!("/apis/apps/v1/deployments?limit={PAGE}&continue={token}")).await?;
            let workloads = list["items"].as_array().context("no list of workloads")?;
            let pods: Vec<_> = workloads.iter().flat_map(|workload| self.of(workload)).collect();
            created += pods.len();
            let requests = stream::iter(pods).map(|pod| create(api, pod));
            requests.buffer_unordered(CONNECTIONS).try_collect::<()>().await?;
            progress(&format!("created {created} of {} pods", self.pods));
            next = list["metadata"]["continue"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        }
        ensure!(created == self.pods, "created {created} pods instead of {}", self.pods);
        Ok(())
    }

    /// The pods of one workload, with the labels and annotations of its template.
    fn of(self, workload: &Value) -> Vec<Value> {
        let name = workload["metadata"]["name"].as_str().unwrap_or_default();
        let Some(number) = name.rsplit_once('-').and_then(|(_, number)| number.parse::<usize>().ok()) else {
            return Vec::new();
        };
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-{HASH}"),
            "uid": "00000000-0000-4000-8000-000000000000", "controller": true, "blockOwnerDeletion": true});
        let mut metadata = workload["spec"]["template"]["metadata"].clone();
        metadata["labels"]["pod-template-hash"] = json!(HASH);
        metadata["ownerReferences"] = json!([owner]);
        metadata["namespace"] = workload["metadata"]["namespace"].clone();
        let mut spec = workload["spec"]["template"]["spec"].clone();
        for container in spec["containers"].as_array_mut().into_iter().flatten() {
            container["env"] = json!([]);
        }
        let pods = (number..self.pods).step_by(self.workloads).map(|pod| {
            (metadata["name"], spec["nodeName"]) = (json!(self.name(pod)), json!(format!("node-{}", pod / ON_NODE)));
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        });
        pods.collect()
    }

    /// The name of the pod with this number. The next pod is one of the next workload.
    fn name(self, pod: usize) -> String {
        format!("{}-{HASH}-x{:04}", name(pod % self.workloads), pod / self.workloads)
    }

    /// Stops a pod as a kubelet does that ends it after a deletion.
    pub(super) async fn stop(self, api: &Api, pod: usize) -> Result<()> {
        let path = format!("/api/v1/namespaces/{}/pods/{}", namespace(pod % self.workloads), self.name(pod));
        let deleted: Value = serde_json::from_slice(&api.succeed(Method::DELETE, &path, Vec::new()).await?)?;
        let status = format!("{path}/status");
        api.merge(&status, &json!({"status": {"observedGeneration": deleted["metadata"]["generation"]}})).await?;
        tokio::time::sleep(DRAIN + EXITS_AFTER).await;
        let mut containers = deleted["status"]["containerStatuses"].clone();
        for container in containers.as_array_mut().into_iter().flatten() {
            let started = container["state"]["running"]["startedAt"].take();
            container["state"] = json!({"terminated": {"exitCode": 143, "reason": "Error", "startedAt": started,
                "finishedAt": now(), "containerID": container["containerID"]}});
            (container["ready"], container["started"]) = (json!(false), json!(false));
        }
        let ended = json!({"phase": "Failed", "conditions": conditions("False"), "containerStatuses": containers});
        api.merge(&status, &json!({"status": ended})).await?;
        let removal = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": deleted["metadata"]["uid"]}});
        api.succeed(Method::DELETE, &path, serde_json::to_vec(&removal)?).await.map(drop)
    }
}

async fn create(api: &Api, pod: Value) -> Result<()> {
    let collection = format!("/api/v1/namespaces/{}/pods", pod["metadata"]["namespace"].as_str().unwrap_or_default());
    let created = api.create(&collection, &pod).await?;
    let path = format!("{collection}/{}/status", created["metadata"]["name"].as_str().unwrap_or_default());
    let containers = created["spec"]["containers"].as_array().into_iter().flatten().map(|container| {
        let image = container["image"].as_str().unwrap_or_default();
        json!({"name": container["name"], "image": image, "ready": true, "started": true, "restartCount": 0,
            "imageID": format!("{image}@sha256:{}", "0123456789abcdef".repeat(4)),
            "containerID": format!("containerd://{}", "0123456789abcdef".repeat(4)),
            "state": {"running": {"startedAt": now()}}})
    });
    let status = json!({
        "phase": "Running",
        "observedGeneration": 1,
        "conditions": conditions("True"),
        "hostIP": "192.0.2.1",
        "podIP": "198.51.100.1",
        "podIPs": [{"ip": "198.51.100.1"}],
        "startTime": now(),
        "qosClass": "Burstable",
        "containerStatuses": containers.collect::<Vec<_>>(),
    });
    api.merge(&path, &json!({"status": status})).await
}

/// `ready` is the status of those that change in the life of a pod.
fn conditions(ready: &str) -> Value {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "observedGeneration": 1, "lastProbeTime": null, "lastTransitionTime": now()});
    json!([
        condition("PodReadyToStartContainers", ready),
        condition("Initialized", "True"),
        condition("Ready", ready),
        condition("ContainersReady", ready),
        condition("PodScheduled", "True"),
    ])
}

/// In whole seconds, as the API has it.
fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string()
}
