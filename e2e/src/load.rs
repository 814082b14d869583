//! Load generator pods that send requests at a constant rate and count each of them.
//!
//! The generator logs a line with counts per second and a summary at its end. Both must agree. A pod that ends early or
//! sends too slowly is an error, so that lost measurements cannot look like zero failed requests.

mod totals;

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, LogParams, PostParams};
use kube::runtime::conditions::is_pod_running;
use kube::{Client, ResourceExt as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::totals::Totals;
pub(crate) use self::totals::{Counts, Finished};
use crate::cluster::watch_until;
use crate::wait::within;

/// The protocol, and how requests use connections.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// HTTP/1.1, one connection per request.
    New,
    /// HTTP/1.1, connections are kept alive and reused.
    Kept,
    /// HTTP/2 without TLS, 10 connections.
    Http2,
    /// Unary calls, 10 connections.
    Grpc,
    /// Messages that are echoed, 10 connections.
    WebSocket,
}

/// The parameters of a load generator.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The namespace of the pod and of the Service.
    pub(crate) namespace: String,
    /// The Service that receives the requests.
    pub(crate) service: String,
    /// Requests per second.
    pub(crate) rate: u32,
    pub(crate) connections: Connections,
    /// The generator ends after this time if it is not stopped.
    pub(crate) max_duration: Duration,
}

/// A running load generator pod.
pub(crate) struct Generator {
    pods: Api<Pod>,
    name: String,
    current: watch::Receiver<Counts>,
    totals: JoinHandle<Result<Finished>>,
}

/// From the pod's creation to its first request, and from SIGTERM to its summary.
const LIMIT: Duration = Duration::from_mins(1);

const LABEL: &str = "app.kubernetes.io/name=load";

impl Generator {
    /// Creates a pod and waits until it sends requests.
    pub(crate) async fn start(client: &Client, load: &Load) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &load.namespace);
        let created = pods.create(&PostParams::default(), &load.pod()).await;
        let name = created.context("create the load generator")?.name_any();
        watch_until(pods.clone(), &name, &format!("Pod {name} to run"), LIMIT, is_pod_running()).await?;

        let (sender, current) = watch::channel(Counts::default());
        let totals = tokio::spawn(follow(pods.clone(), name.clone(), load.rate, sender));
        let mut generator = Self { pods, name, current, totals };
        let condition = format!("Pod {} to send requests", generator.name);
        within(&condition, LIMIT, async {
            let started = generator.current.wait_for(|counts| counts.sent > 0).await;
            started.map(drop).context("the load generator ended before its first request")
        })
        .await?;
        Ok(generator)
    }

    /// The counts up to the last full second. Fails if the generator has ended.
    pub(crate) fn current(&self) -> Result<Counts> {
        ensure!(!self.totals.is_finished(), "load generator {} ended before it was stopped", self.name);
        Ok(self.current.borrow().clone())
    }

    /// Stops the generator and returns its verified totals.
    pub(crate) async fn stop(self) -> Result<Finished> {
        let Self { pods, name, totals, .. } = self;
        if totals.is_finished() {
            // An error in its log explains more than the early end.
            totals.await??;
            bail!("load generator {name} ended before it was stopped");
        }
        pods.delete(&name, &DeleteParams::default()).await.with_context(|| format!("delete Pod {name}"))?;
        within(&format!("the summary of Pod {name}"), LIMIT, async { totals.await? }).await
    }
}

/// Deletes all load generators in a namespace.
pub(crate) async fn delete_generators(client: &Client, namespace: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let deleted = pods.delete_collection(&DeleteParams::default(), &ListParams::default().labels(LABEL)).await;
    deleted.with_context(|| format!("delete the load generators in namespace {namespace}"))?;
    Ok(())
}

/// Reads a generator's log to its end.
async fn follow(pods: Api<Pod>, name: String, rate: u32, sender: watch::Sender<Counts>) -> Result<Finished> {
    let context = || format!("log of load generator {name}");
    let parameters = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(&name, &parameters).await.with_context(context)?.lines();
    let mut totals = Totals::default();
    while let Some(line) = lines.try_next().await.with_context(context)? {
        totals.add_line(&line).with_context(context)?;
        sender.send_replace(totals.current().clone());
    }
    totals.verify(rate).with_context(context)
}

impl Load {
    /// The pod runs on the control plane node (hence the toleration), because rollouts never place pods there.
    fn pod(&self) -> Pod {
        let Self { service, rate, connections, .. } = self;
        let (label, name) = LABEL.split_once('=').unwrap_or_default();
        let object = json!({
            "metadata": {"generateName": format!("load-{connections}-"), "labels": {label: name}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
                "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "load",
                    "image": "winddown.local/load:dev",
                    "imagePullPolicy": "IfNotPresent",
                    "args": [
                        "-target", format!("http://{service}{}", connections.path()),
                        "-rate", rate.to_string(),
                        "-connections", connections.to_string(),
                        "-timeout", "5s",
                        "-duration", format!("{}s", self.max_duration.as_secs()),
                    ],
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        });
        // The object above is valid, so the default is never used.
        serde_json::from_value(object).unwrap_or_default()
    }
}

impl Connections {
    /// Where the server expects the requests.
    fn path(self) -> &'static str {
        match self {
            Self::New | Self::Kept | Self::Http2 => "/",
            Self::Grpc => "/winddown.e2e.Echo/Call",
            Self::WebSocket => "/ws",
        }
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::New => "new",
            Self::Kept => "kept",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
        })
    }
}
