//! The cluster with Winddown, and a namespace for the test.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, Resource, ResourceExt};
use winddown_e2e::cluster::{self, delete_namespace, recreate_namespace};
use winddown_e2e::command::CommandLine;
use winddown_e2e::release::{self, Helm};
use winddown_e2e::rollout::App;
use winddown_e2e::wait::until;

#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) client: Client,
    /// The name of the test's namespace, which may not exist yet.
    pub(crate) namespace: String,
}

/// Printed after a failed test.
const DIAGNOSTICS: [&str; 3] = [
    "kubectl get pods --all-namespaces --output wide",
    "kubectl get events --all-namespaces --sort-by .metadata.creationTimestamp",
    "kubectl logs --namespace winddown --selector app.kubernetes.io/name=winddown --prefix --tail 60",
];

/// For a new leader. A Lease that was not released expires after some seconds.
const LEASE_LIMIT: Duration = Duration::from_mins(1);

/// Lines that are printed of each diagnostic command.
const DIAGNOSTIC_LINES: usize = 80;

impl Environment {
    pub(crate) async fn connect(test: &str) -> Result<Self> {
        let namespace: String = test.replace('_', "-").chars().take(60).collect();
        Ok(Self { client: cluster::connect().await?, namespace: namespace.trim_end_matches('-').to_owned() })
    }

    /// Installs Winddown with default values and creates the test's namespace.
    pub(crate) async fn set_up(&self) -> Result<()> {
        Helm::V4.install("").run().await?;
        recreate_namespace(&self.client, &self.namespace, &[]).await
    }

    /// Uninstalls Winddown, creates its namespace with these labels, and creates the test's namespace.
    pub(crate) async fn set_up_without_winddown(&self, labels: &[(&str, &str)]) -> Result<()> {
        release::remove().await?;
        recreate_namespace(&self.client, release::NAME, labels).await?;
        recreate_namespace(&self.client, &self.namespace, &[]).await
    }

    /// Deletes the test's namespace.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        delete_namespace(&self.client, &self.namespace).await
    }

    /// Winddown's own Deployment.
    pub(crate) fn operator(&self) -> App {
        App::new(&self.client, release::NAME, release::NAME)
    }

    /// Waits until an existing replica holds the Lease.
    pub(crate) async fn wait_for_leader(&self) -> Result<()> {
        let replicas = names(&self.operator().all_pods().await?);
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), release::NAME);
        let leader = until("a replica to hold the Lease", LEASE_LIMIT, async || {
            let lease = leases.get(release::NAME).await.context("get Lease winddown/winddown")?;
            let holder = lease.spec.and_then(|spec| spec.holder_identity);
            Ok(holder.filter(|holder| replicas.contains(holder)))
        });
        eprintln!("  leader: {}", leader.await?);
        Ok(())
    }

    /// Waits for an Event about an object in the test's namespace and returns its note.
    pub(crate) async fn wait_for_event(&self, reason: &str, object: &str, limit: Duration) -> Result<String> {
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
    pub(crate) async fn print_diagnostics() {
        for command in DIAGNOSTICS.map(CommandLine::new) {
            let output = command.run().await.unwrap_or_else(|error| format!("{error:#}"));
            let lines: Vec<_> = output.lines().collect();
            eprintln!("---- {command}");
            lines.iter().skip(lines.len().saturating_sub(DIAGNOSTIC_LINES)).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// The names of these objects, sorted.
pub(crate) fn names<K: Resource>(objects: &[K]) -> Vec<String> {
    let mut names: Vec<_> = objects.iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}
