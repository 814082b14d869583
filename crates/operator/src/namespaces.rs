//! The labels of all namespaces: selectors of webhooks and policies need them, and one of them opts a namespace in.
//!
//! Every replica watches them. A review can be the first to name a new namespace; its labels are then read.

mod reads;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt, future};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::broadcast;

use self::reads::Reads;
use crate::error_chain::ErrorChain;
use crate::kubernetes::Clients;
use winddown_core::policy::{Policies, Reach};

type Watched = PartialObjectMeta<Namespace>;

/// The labels of a namespace.
pub(crate) type Labels = BTreeMap<String, String>;

/// More changes than this at the same time are not all reported; the workloads are then updated with their next change.
const CHANGES: usize = 4096;
/// Namespaces in one answer to a list. One can have more than a megabyte, and an answer is in memory as a whole.
const PAGE_SIZE: u32 = 10;
/// Labels of one namespace; more are not considered, so that their memory is bounded.
const MAX_LABELS: usize = 256;

/// The namespaces of the cluster.
pub(crate) struct Namespaces {
    store: Store<Watched>,
    changed: broadcast::Sender<Arc<str>>,
    revision: Arc<AtomicU64>,
    reads: Reads,
}

impl Namespaces {
    /// The namespaces, and the task that watches them. It never ends.
    pub(crate) fn new(clients: &Clients) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let writer = Writer::default();
        let store = writer.as_reader();
        let (changed, _) = broadcast::channel(CHANGES);
        let revision = Arc::new(AtomicU64::new(0));
        let task = watch(clients.watching.clone(), writer, changed.clone(), revision.clone());
        (Self { store, changed, revision, reads: Reads::new(clients.short.clone()) }, task)
    }

    /// The labels of a namespace; `None` until it is known.
    pub(crate) fn labels(&self, name: &str) -> Option<Labels> {
        match self.store.get(&ObjectRef::new(name)) {
            Some(found) => Some(found.metadata.labels.clone().unwrap_or_default()),
            None => self.reads.known(name),
        }
    }

    /// The same after one read of a namespace that is not known; `None` if that fails or takes longer than `limit`.
    pub(crate) async fn read(&self, name: &str, limit: Duration) -> Option<Labels> {
        match self.labels(name) {
            Some(labels) => Some(labels),
            None => self.reads.read(name, limit).await,
        }
    }

    /// Waits until all namespaces are listed.
    pub(crate) async fn listed(&self) {
        // Fails if the watch has ended, which ends the process.
        let _ = self.store.wait_until_ready().await;
    }

    /// A number that grows with every change, from 1 on; `None` until all namespaces are listed.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.listed().now_or_never().map(|()| self.revision.load(Ordering::Relaxed))
    }

    /// The namespaces of each policy.
    pub(crate) fn reach(&self, policies: &Policies) -> BTreeMap<String, Reach> {
        let (namespaces, none) = (self.store.state(), Labels::new());
        policies.reach(namespaces.iter().map(|namespace| namespace.metadata.labels.as_ref().unwrap_or(&none)))
    }

    /// The names of namespaces whose labels change from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.changed.subscribe()
    }
}

fn watch(
    client: Client,
    writer: Writer<Watched>,
    changed: broadcast::Sender<Arc<str>>,
    revision: Arc<AtomicU64>,
) -> impl Future<Output = ()> + Send {
    let before = writer.as_reader();
    watcher(Api::<Watched>::all(client), watcher::Config::default().page_size(PAGE_SIZE))
        .default_backoff()
        .modify(|namespace| {
            let ObjectMeta { name, labels, resource_version, uid, .. } = std::mem::take(&mut namespace.metadata);
            let labels = labels.map(bounded);
            namespace.metadata = ObjectMeta { name, labels, resource_version, uid, ..ObjectMeta::default() };
        })
        .inspect(move |event| match event {
            Ok(watcher::Event::Apply(namespace) | watcher::Event::InitApply(namespace)) => {
                let old = before.get(&ObjectRef::from_obj(namespace));
                if old.is_some_and(|old| old.metadata.labels != namespace.metadata.labels)
                    && let Some(name) = &namespace.metadata.name
                {
                    // Fails until the controllers run, and they start with the current labels.
                    let _ = changed.send(name.as_str().into());
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(resource = "namespaces", error = %ErrorChain(error), "watch failed"),
        })
        .reflect(writer)
        .for_each(move |_| {
            revision.fetch_add(1, Ordering::Relaxed);
            future::ready(())
        })
}

fn bounded(labels: Labels) -> Labels {
    if labels.len() <= MAX_LABELS { labels } else { labels.into_iter().take(MAX_LABELS).collect() }
}

#[cfg(test)]
mod tests;
