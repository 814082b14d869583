//! The workloads of a cluster before Winddown: of all kinds, most without annotations, with what is usually around them.

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use serde_json::{Value, json};

use crate::manifest::{KINDS, workload};
use crate::request::{create, send};

pub(super) const NAMESPACES: usize = 10;
pub(super) const WORKLOADS: usize = 300;
/// Those with annotations: one of ten.
pub(super) const ANNOTATED: usize = WORKLOADS / 10;
/// Those that another object controls.
pub(super) const OWNED: usize = 10;
/// Requests at the same time.
const CONCURRENT: usize = 8;

/// Those whose budget does not fit: their own one, or the assumed one.
pub(super) fn misfits() -> usize {
    (0..WORKLOADS).filter(|number| declares_too_much(*number) || has_too_little(*number)).count()
}

/// It declares a budget that is longer than its grace period.
fn declares_too_much(number: usize) -> bool {
    number.is_multiple_of(50)
}

/// It has a grace period that is too short for the assumed budget.
fn has_too_little(number: usize) -> bool {
    number % 7 == 2 && !number.is_multiple_of(10)
}

/// Would open a dialog or send a request.
const MARKUP: &str =
    r#"'"></script><script>alert(1)</script><img src="https://winddown.example/x" onerror="alert(2)">'"#;

/// Creates the namespaces, then everything in them.
pub(super) async fn create_all(client: &Client) -> Result<()> {
    let namespaces = (0..NAMESPACES)
        .map(|number| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("team-{number}")}}));
    store(client, namespaces.collect()).await?;
    store(client, (0..WORKLOADS).flat_map(objects).collect()).await
}

async fn store(client: &Client, objects: Vec<Value>) -> Result<()> {
    let requests = objects.iter().map(|object| async { send(client, &create(object)).await?.into_object().map(drop) });
    stream::iter(requests).buffer_unordered(CONCURRENT).try_collect().await
}

/// A workload, its Service, and for some an autoscaler and a disruption budget.
fn objects(number: usize) -> Vec<Value> {
    let (kind, namespace) = (KINDS[number % KINDS.len()], format!("team-{}", number / (WORKLOADS / NAMESPACES)));
    let name = format!("{}-{number}", ["checkout", "cart", "search", "mail", "worker"][number % 5]);
    let container = |field: &str| format!("/spec/template/spec/containers/0/{field}");
    let mut manifest = workload(kind, &name)
        .with("/metadata/namespace", namespace.clone())
        .with("/metadata/labels/tier", if number.is_multiple_of(2) { "web" } else { "batch" })
        .with("/metadata/labels/kind", kind.to_lowercase())
        .with("/spec/template/metadata/labels/tier", "web")
        .with(&container("env"), environment());
    if kind != "DaemonSet" {
        manifest = manifest.with("/spec/replicas", 3);
    }
    if kind == "StatefulSet" {
        manifest = manifest.with("/spec/serviceName", name.clone());
    }
    manifest = match number % 7 {
        0 => manifest.with(&container("lifecycle"), json!({"preStop": {"sleep": {"seconds": 10}}})),
        1 => manifest.with(&container("startupProbe"), Value::Null),
        3 => manifest.with(&container("command"), json!(["sh", "-c", "node server.js; true"])),
        // The diff quotes it, and it must not become a part of the page.
        4 => manifest.with("/spec/template/metadata/annotations/note", MARKUP),
        _ => manifest,
    };
    manifest = match number % 10 {
        // Too short for 5s + 25s + 5s.
        0 if declares_too_much(number) => manifest.with_budget().grace_period(31),
        0 => manifest.with_budget().grace_period(60),
        _ if has_too_little(number) => manifest.grace_period(10),
        _ => manifest,
    };
    if number % 30 == 7 {
        let api_version = "etcd.database.coreos.com/v1beta2";
        let owner =
            json!([{"apiVersion": api_version, "kind": "Etcd", "name": "main", "uid": "a1", "controller": true}]);
        manifest = manifest.with("/metadata/ownerReferences", owner);
    }
    let mut objects = vec![manifest.as_ref().clone()];
    objects.extend(neighbours(number, kind, &name, &namespace));
    objects
}

fn neighbours(number: usize, kind: &str, name: &str, namespace: &str) -> Vec<Value> {
    let (metadata, labels) = (json!({"name": name, "namespace": namespace}), json!({"app": name}));
    let mut objects = Vec::new();
    if !name.starts_with("worker") {
        let spec = json!({"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]});
        objects.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}));
    }
    if kind == "Deployment" && number.is_multiple_of(4) {
        let target = json!({"apiVersion": "apps/v1", "kind": kind, "name": name});
        let spec = json!({"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 9});
        objects.push(json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec,
        }));
    }
    if kind != "DaemonSet" && number % 20 == 1 {
        let spec = json!({"maxUnavailable": 0, "selector": {"matchLabels": labels}});
        objects.push(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec,
        }));
    }
    objects
}

/// Makes a workload about as large as real ones.
fn environment() -> Value {
    let variable = |number: usize| json!({"name": format!("SETTING_{number}"), "value": "some value of a setting"});
    (0..20).map(variable).collect()
}
