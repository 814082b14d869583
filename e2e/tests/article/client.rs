//! Clients of the app: small Node.js scripts, mounted into a pod of the image of the service.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, LogParams, PostParams};
use kube::runtime::conditions::{is_deleted, is_pod_running};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use winddown_e2e::cluster::watch_until;
use winddown_e2e::environment::Environment;
use winddown_e2e::wait::within;

use crate::arm::SERVICE_IMAGE;

/// A script in `clients/`.
#[derive(Clone, Copy)]
pub(crate) struct Script {
    name: &'static str,
    text: &'static str,
}

/// Requests at a constant rate, over new and over kept connections.
pub(crate) const ORDERS: Script = Script { name: "orders", text: include_str!("clients/orders.mjs") };
/// `WebSocket`s that stay open.
pub(crate) const WEB_SOCKETS: Script = Script { name: "web-sockets", text: include_str!("clients/web-sockets.mjs") };
/// A request that never ends.
pub(crate) const SILENT: Script = Script { name: "silent", text: include_str!("clients/silent.mjs") };
/// A load balancer that sees only health checks.
pub(crate) const BALANCER: Script = Script { name: "balancer", text: include_str!("clients/balancer.mjs") };
/// Requests that are open at the same time, to one pod.
pub(crate) const OPEN_REQUESTS: Script =
    Script { name: "open-requests", text: include_str!("clients/open-requests.mjs") };

/// A running client. It logs one JSON object per line; the first one says that it has started.
pub(crate) struct Client {
    pods: Api<Pod>,
    maps: Api<ConfigMap>,
    name: &'static str,
    lines: watch::Receiver<Vec<Value>>,
    reader: JoinHandle<Result<()>>,
}

/// From the pod's creation to its first line, and from its deletion to its last one.
const LIMIT: Duration = Duration::from_mins(3);

/// For the answers to all requests after the deletion.
const GRACE_PERIOD_SECONDS: u64 = 100;

const FOLDER: &str = "/app/clients";

impl Client {
    /// Starts a script with these variables, in the namespace of the app, and waits until it has started.
    pub(crate) async fn start(environment: &Environment, script: Script, variables: &[(&str, &str)]) -> Result<Self> {
        let Script { name, text } = script;
        let (client, namespace) = (environment.client.clone(), &environment.namespace);
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        let map = json!({"metadata": {"name": name}, "data": {file(name): text}});
        maps.create(&PostParams::default(), &serde_json::from_value(map)?).await.context("create a ConfigMap")?;
        let pod = serde_json::from_value(pod(name, variables))?;
        pods.create(&PostParams::default(), &pod).await.with_context(|| format!("create Pod {name}"))?;
        watch_until(pods.clone(), name, &format!("Pod {name} to run"), LIMIT, is_pod_running()).await?;

        let (sender, lines) = watch::channel(Vec::new());
        let reader = tokio::spawn(read(pods.clone(), name, sender));
        let mut started = Self { pods, maps, name, lines, reader };
        started.wait_for("started").await?;
        Ok(started)
    }

    /// Waits for a line with this field and returns it.
    pub(crate) async fn wait_for(&mut self, field: &str) -> Result<Value> {
        let Self { name, lines, .. } = self;
        let find = |lines: &Vec<Value>| lines.iter().find(|line| !line[field].is_null()).cloned();
        within(&format!("Pod {name} to log {field:?}"), LIMIT, async {
            let found = lines.wait_for(|lines| find(lines).is_some()).await;
            let found = found.with_context(|| format!("the log of Pod {name} ended without {field:?}"))?;
            find(&found).with_context(|| format!("no {field:?}"))
        })
        .await
    }

    /// Removes a client that has ended, so that the script can run again.
    pub(crate) async fn remove(self) -> Result<()> {
        let Self { pods, maps, name, .. } = self;
        let uid = pods.get(name).await?.uid().unwrap_or_default();
        pods.delete(name, &DeleteParams::default()).await.with_context(|| format!("delete Pod {name}"))?;
        watch_until(pods, name, &format!("Pod {name} to be removed"), LIMIT, is_deleted(&uid)).await?;
        maps.delete(name, &DeleteParams::default()).await.with_context(|| format!("delete ConfigMap {name}"))?;
        Ok(())
    }

    /// Stops the client and returns its last line.
    pub(crate) async fn stop<T: DeserializeOwned>(self) -> Result<T> {
        let Self { pods, name, lines, reader, .. } = self;
        pods.delete(name, &DeleteParams::default()).await.with_context(|| format!("delete Pod {name}"))?;
        within(&format!("the last line of Pod {name}"), LIMIT, async { reader.await? }).await?;
        let last = lines.borrow().last().cloned().unwrap_or_default();
        serde_json::from_value(last.clone()).with_context(|| format!("the last line of Pod {name}: {last}"))
    }
}

async fn read(pods: Api<Pod>, name: &'static str, sender: watch::Sender<Vec<Value>>) -> Result<()> {
    let context = || format!("log of Pod {name}");
    let parameters = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(name, &parameters).await.with_context(context)?.lines();
    while let Some(line) = lines.try_next().await.with_context(context)? {
        // The kubelet ends the stream with a message of its own if it removes the container meanwhile.
        match serde_json::from_str(&line) {
            Ok(line) => sender.send_modify(|lines| lines.push(line)),
            Err(_) => eprintln!("  log of Pod {name}: {line}"),
        }
    }
    Ok(())
}

fn file(name: &str) -> String {
    format!("{name}.mjs")
}

fn pod(name: &str, variables: &[(&str, &str)]) -> Value {
    let variables: Vec<_> = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": GRACE_PERIOD_SECONDS,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [{
                "name": "client",
                "image": SERVICE_IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "command": ["node", format!("{FOLDER}/{}", file(name))],
                "env": variables,
                // A larger share of a busy node than apps have: a client that pauses sends nothing, and then too much.
                "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}},
                "volumeMounts": [{"name": "script", "mountPath": FOLDER}],
            }],
            "volumes": [{"name": "script", "configMap": {"name": name}}],
        },
    })
}
