//! The labels of all namespaces: selectors of webhooks and policies need them, and one of them opts a namespace in.
//!
//! Every replica watches them. A review can be the first to name a new namespace; its labels are then read.

mod reads;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, future};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{Config, Event};
use tokio::sync::broadcast;

pub(crate) use self::reads::READ_LIMIT;
use self::reads::Reads;
use crate::kubernetes::Clients;
use crate::listing;
use winddown_core::error_chain::ErrorChain;
use winddown_core::policy::{self, Policies, Reach};

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
    /// The namespaces, and the task that watches them. It never ends. `matters` tells whether a change of the labels, from
    /// the first to the second, means anything for workloads.
    pub(crate) fn new<F>(clients: &Clients, matters: F) -> (Self, impl Future<Output = ()> + Send + use<F>)
    where
        F: Fn(&policy::Namespace, &policy::Namespace) -> bool + Send,
    {
        let writer = Writer::default();
        let store = writer.as_reader();
        let (changed, _) = broadcast::channel(CHANGES);
        let revision = Arc::new(AtomicU64::new(0));
        let mut watched = Watch { writer, changed: changed.clone(), revision: revision.clone(), matters };
        let events =
            listing::events(Api::<Watched>::all(clients.watching.clone()), Config::default().page_size(PAGE_SIZE))
                .default_backoff()
                .modify(|namespace| {
                    let ObjectMeta { name, labels, resource_version, uid, .. } =
                        std::mem::take(&mut namespace.metadata);
                    let labels = labels.map(bounded);
                    namespace.metadata = ObjectMeta { name, labels, resource_version, uid, ..ObjectMeta::default() };
                });
        let task = events.for_each(move |event| {
            match event {
                Ok(event) => watched.apply(&event),
                Err(error) => tracing::warn!(resource = "namespaces", error = %ErrorChain(&error), "watch failed"),
            }
            future::ready(())
        });
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

    /// The names of namespaces that are new, or whose labels change in a way that matters, from now on. The labels are known.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.changed.subscribe()
    }
}

/// What the watch writes.
struct Watch<F> {
    writer: Writer<Watched>,
    changed: broadcast::Sender<Arc<str>>,
    revision: Arc<AtomicU64>,
    matters: F,
}

impl<F: Fn(&policy::Namespace, &policy::Namespace) -> bool> Watch<F> {
    /// The labels of a list count when it is complete. Changes are announced afterwards.
    fn apply(&mut self, event: &Event<Watched>) {
        let store = self.writer.as_reader();
        let before = match event {
            Event::Apply(namespace) => store.get(&ObjectRef::from_obj(namespace)).into_iter().collect(),
            Event::InitDone => store.state(),
            Event::Init | Event::InitApply(_) | Event::Delete(_) => Vec::new(),
        };
        self.writer.apply_watcher_event(event);
        match event {
            Event::Init | Event::InitApply(_) => return,
            Event::Apply(namespace) => self.announce(before.first().map(|before| &**before), namespace),
            Event::InitDone => {
                let before: HashMap<_, _> = before.iter().map(|before| (&before.metadata.name, &**before)).collect();
                for namespace in store.state() {
                    self.announce(before.get(&namespace.metadata.name).copied(), &namespace);
                }
            }
            Event::Delete(_) => {}
        }
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    fn announce(&self, before: Option<&Watched>, after: &Watched) {
        let Some(name) = &after.metadata.name else { return };
        let labelled =
            |watched: &Watched| policy::Namespace::labelled(name, watched.metadata.labels.clone().unwrap_or_default());
        let changed = before.is_none_or(|before| {
            before.metadata.labels != after.metadata.labels && (self.matters)(&labelled(before), &labelled(after))
        });
        if changed {
            // Fails until the controllers run, and they start with the current labels.
            let _ = self.changed.send(name.as_str().into());
        }
    }
}

fn bounded(labels: Labels) -> Labels {
    if labels.len() <= MAX_LABELS { labels } else { labels.into_iter().take(MAX_LABELS).collect() }
}

#[cfg(test)]
mod tests;
