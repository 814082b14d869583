//! The cluster, with Winddown on it and a namespace for the test.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, Resource, ResourceExt};
use winddown_e2e::cluster::{self, delete_namespace, fresh_namespace};
use winddown_e2e::command::Line;
use winddown_e2e::release::{self, Helm};
use winddown_e2e::rollout::App;
use winddown_e2e::until::{Elapsed, until};

use crate::suite::Result;

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) client: Client,
    /// What the test's own namespace is to be called.
    pub(crate) namespace: String,
}

/// What explains a failure: the operator, what happened, and where everything stands.
const EXPLANATIONS: [&str; 3] = [
    "kubectl get pods --all-namespaces --output wide",
    "kubectl get events --all-namespaces --sort-by .metadata.creationTimestamp",
    "kubectl logs --namespace winddown --selector app.kubernetes.io/name=winddown --prefix --tail 60",
];

/// A Lease that was not given back lasts for some seconds.
const LEASE: Duration = Duration::from_mins(1);

const LINES: usize = 80;

impl World {
    pub(crate) async fn connect(sentence: &str) -> Result<Self> {
        let namespace: String = sentence.replace('_', "-").chars().take(60).collect();
        Ok(Self { client: cluster::connect().await?, namespace: namespace.trim_end_matches('-').to_owned() })
    }

    /// Brings Winddown to where the chart has it, with the test's own namespace empty.
    pub(crate) async fn ready(&self) -> Result {
        Helm::V4.install("").run().await?;
        Ok(fresh_namespace(&self.client, &self.namespace, &[]).await?)
    }

    /// Removes every trace of Winddown, and makes the namespace that it is going to be installed in.
    pub(crate) async fn without_winddown(&self, labels: &[(&str, &str)]) -> Result {
        release::remove().await?;
        fresh_namespace(&self.client, release::NAME, labels).await?;
        Ok(fresh_namespace(&self.client, &self.namespace, &[]).await?)
    }

    /// Removes what the test has made.
    pub(crate) async fn clear(&self) -> Result {
        Ok(delete_namespace(&self.client, &self.namespace).await?)
    }

    /// Winddown's own Deployment.
    pub(crate) fn operator(&self) -> App {
        App::new(&self.client, release::NAME, release::NAME)
    }

    /// Waits until one of the replicas that are there leads.
    pub(crate) async fn led(&self) -> Result {
        let replicas = names(&self.operator().all_pods().await?);
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), release::NAME);
        let look = async || {
            let holder = leases.get(release::NAME).await?.spec.and_then(|spec| spec.holder_identity);
            Ok::<_, Failure>(holder.filter(|holder| replicas.contains(holder)))
        };
        let leader = until("a replica leads", LEASE, look).await?;
        eprintln!("  {leader} leads");
        Ok(())
    }

    /// Waits for an Event about an object in the test's namespace, and gives back its note.
    pub(crate) async fn event(&self, reason: &str, about: &str, limit: Duration) -> Result<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let told = |event: &&Event| {
            let regarding = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
            event.reason.as_deref() == Some(reason) && regarding == Some(about)
        };
        let look = async || {
            let all = events.list(&ListParams::default()).await?;
            let found = all.iter().find(told).map(|event| event.note.clone().unwrap_or_default());
            Ok::<_, Failure>(found)
        };
        Ok(until(&format!("there is an Event {reason} about {about}"), limit, look).await?)
    }

    /// Prints what explains a failure.
    pub(crate) async fn explain() {
        for line in EXPLANATIONS.map(Line::new) {
            let said = line.run().await.unwrap_or_else(|error| error.to_string());
            let lines: Vec<_> = said.lines().collect();
            eprintln!("---- {line}");
            lines.iter().skip(lines.len().saturating_sub(LINES)).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// What can go wrong while looking again and again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error(transparent)]
    Elapsed(#[from] Elapsed),
}

/// The names of a list of objects, sorted.
pub(crate) fn names<K: Resource>(objects: &[K]) -> Vec<String> {
    let mut names: Vec<_> = objects.iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}
