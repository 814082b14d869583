//! The cluster with Winddown, and a namespace for the test.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Request;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::cluster::{self, delete_namespace, recreate_namespace};
use crate::command::CommandLine;
use crate::release::{self, Helm};
use crate::rollout::App;
use crate::wait::until;

/// What a test gets: the cluster, and a name for its namespace.
#[derive(Clone)]
pub struct Environment {
    /// A client for the cluster.
    pub client: Client,
    /// The name of the test's namespace, which may not exist yet.
    pub namespace: String,
}

/// Printed after a failed test.
const DIAGNOSTICS: [&str; 3] = [
    "kubectl get pods --all-namespaces --output wide",
    "kubectl get events --all-namespaces --sort-by .metadata.creationTimestamp",
    "kubectl logs --namespace winddown --selector app.kubernetes.io/name=winddown --prefix --tail 60",
];

/// The API server observes a new webhook configuration a moment later.
const WEBHOOK_LIMIT: Duration = Duration::from_secs(30);

/// The annotation of an injected pod template.
const INJECTED: &str = "winddown.dev/injected";

/// Whether this process installed Winddown, for arms that run at the same time.
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// For a new leader. A Lease that was not released expires after some seconds.
const LEASE_LIMIT: Duration = Duration::from_mins(1);

/// The default of the chart.
pub const METRICS_PORT: u16 = 8080;

/// The metric of a replica that has seen all pods.
const SYNCED: &str = "winddown_observer_synced 1";

/// For the start of a replica and its first lists.
const SYNC_LIMIT: Duration = Duration::from_mins(1);

/// For one read of the metrics.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

/// Lines that are printed of each diagnostic command.
const DIAGNOSTIC_LINES: usize = 80;

impl Environment {
    /// Connects to the cluster. The namespace is named after the test.
    pub async fn connect(test: &str) -> Result<Self> {
        let namespace: String = test.replace('_', "-").chars().take(60).collect();
        Ok(Self { client: cluster::connect().await?, namespace: namespace.trim_end_matches('-').to_owned() })
    }

    /// Installs Winddown with default values, creates the test's namespace, and waits until the API server calls the webhook.
    pub async fn set_up(&self) -> Result<()> {
        // First, so that webhooks that an earlier test left do not hold up the namespace.
        Helm::V4.install("").run().await?;
        recreate_namespace(&self.client, &self.namespace, &[]).await?;
        self.wait_for_webhook().await
    }

    /// Installs Winddown with default values, and waits until the API server calls the webhook in the test's namespace.
    pub async fn install(&self) -> Result<()> {
        Helm::V4.install("").run().await?;
        self.wait_for_webhook().await
    }

    /// The same cluster, and another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { client: self.client.clone(), namespace: namespace.to_owned() }
    }

    /// As [`Self::set_up`], for arms that run at the same time: the first of this process installs Winddown.
    pub async fn set_up_beside_others(&self) -> Result<()> {
        let install = async || {
            // An operator that is running may be an older one: its image has the same name.
            release::remove().await?;
            Helm::V4.install("").run().await
        };
        INSTALLED.get_or_try_init(async || install().await.map(drop)).await?;
        recreate_namespace(&self.client, &self.namespace, &[]).await?;
        self.wait_for_webhook().await
    }

    async fn wait_for_webhook(&self) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), &self.namespace);
        let deployment = serde_json::from_value(dry_run())?;
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        until("the API server to call the webhook", WEBHOOK_LIMIT, async || {
            let created = deployments.create(&parameters, &deployment).await?;
            let annotations = created.spec.template.metadata.and_then(|metadata| metadata.annotations);
            Ok(annotations.unwrap_or_default().contains_key(INJECTED).then_some(()))
        })
        .await
    }

    /// Uninstalls Winddown, creates its namespace with these labels, and creates the test's namespace.
    pub async fn set_up_without_winddown(&self, labels: &[(&str, &str)]) -> Result<()> {
        release::remove().await?;
        recreate_namespace(&self.client, release::NAME, labels).await?;
        recreate_namespace(&self.client, &self.namespace, &[]).await
    }

    /// Deletes the test's namespace.
    pub async fn clean_up(&self) -> Result<()> {
        delete_namespace(&self.client, &self.namespace).await
    }

    /// Winddown's own Deployment.
    #[must_use]
    pub fn operator(&self) -> App {
        App::new(&self.client, release::NAME, release::NAME)
    }

    /// Waits until a replica that is not being deleted holds the Lease, and returns the name of its pod.
    pub async fn wait_for_leader(&self) -> Result<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), release::NAME);
        let leader = until("a replica to hold the Lease", LEASE_LIMIT, async || {
            let mut replicas = self.operator().all_pods().await?;
            replicas.retain(|replica| replica.metadata.deletion_timestamp.is_none());
            let lease = leases.get(release::NAME).await.context("get Lease winddown/winddown")?;
            let holder = lease.spec.and_then(|spec| spec.holder_identity);
            Ok(holder.filter(|holder| names(&replicas).contains(holder)))
        });
        let leader = leader.await?;
        eprintln!("  leader: {leader}");
        Ok(leader)
    }

    /// Waits until a replica has seen all pods.
    pub async fn wait_until_synced(&self, replica: &str) -> Result<()> {
        until(&format!("{replica} to have seen all pods"), SYNC_LIMIT, async || {
            Ok(self.is_synced(replica).await.then_some(()))
        })
        .await
    }

    /// Waits until a replica other than the leader has seen all pods.
    pub async fn wait_for_standby(&self, leader: &str) -> Result<()> {
        until("another replica to have seen all pods", SYNC_LIMIT, async || {
            for replica in names(&self.operator().all_pods().await?) {
                if replica != leader && self.is_synced(&replica).await {
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
        .await
    }

    async fn is_synced(&self, replica: &str) -> bool {
        let path = format!("/api/v1/namespaces/{}/pods/{replica}:{METRICS_PORT}/proxy/metrics", release::NAME);
        let Ok(request) = Request::get(path).body(Vec::new()) else { return false };
        // The client repeats requests that a starting pod refuses.
        let metrics = timeout(REQUEST_LIMIT, self.client.request_text(request)).await;
        metrics.is_ok_and(|metrics| metrics.is_ok_and(|metrics| metrics.lines().any(|line| line == SYNCED)))
    }

    /// Waits until the namespace has this many pods, and all are ready.
    pub async fn wait_for_ready_pods(&self, expected: usize, limit: Duration) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        until(&format!("{expected} pods to be ready"), limit, async || {
            let pods = pods.list(&ListParams::default()).await.context("list pods")?.items;
            Ok((pods.len() == expected && pods.iter().all(is_ready)).then_some(()))
        })
        .await
    }

    /// Waits for an Event about an object in the test's namespace and returns its note.
    pub async fn wait_for_event(&self, reason: &str, object: &str, limit: Duration) -> Result<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let matches = |event: &&Event| {
            let regarding = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
            event.reason.as_deref() == Some(reason) && regarding == Some(object)
        };
        until(&format!("the Event {reason} about {object}"), limit, async || {
            let events = events.list(&ListParams::default()).await.context("list Events")?;
            Ok(events.iter().find(matches).map(|event| event.note.clone().unwrap_or_default()))
        })
        .await
    }

    /// Prints pods, Events and the operator's log.
    pub async fn print_diagnostics() {
        for command in DIAGNOSTICS.map(CommandLine::new) {
            let output = command.run().await.unwrap_or_else(|error| format!("{error:#}"));
            let lines: Vec<_> = output.lines().collect();
            eprintln!("---- {command}");
            lines.iter().skip(lines.len().saturating_sub(DIAGNOSTIC_LINES)).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A minimal Deployment with annotations and without pods.
fn dry_run() -> Value {
    json!({
        "metadata": {"name": "dry-run", "annotations": {"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "dry-run"}},
            "template": {
                "metadata": {"labels": {"app": "dry-run"}},
                "spec": {"containers": [{"name": "app", "image": "winddown.local/node-http:dev"}]},
            },
        },
    })
}

/// Whether a pod has the condition `Ready`.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The names of these objects, sorted.
pub fn names<K: Resource>(objects: &[K]) -> Vec<String> {
    let mut names: Vec<_> = objects.iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}
