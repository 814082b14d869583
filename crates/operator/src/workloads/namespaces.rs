//! The labels of the namespaces, for the selectors of the webhooks. Watched only if a selector needs them.

use std::sync::Arc;

use futures::{StreamExt, future};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::broadcast;

use super::selection::Labels;
use super::watch::PAGE_SIZE;
use crate::error_chain::ErrorChain;

type Watched = PartialObjectMeta<Namespace>;

/// More changes than this at the same time are not all reported; the workloads are then updated with their next change.
const CHANGES: usize = 4096;

pub(super) struct Namespaces {
    store: Store<Watched>,
    changed: broadcast::Sender<Arc<str>>,
}

impl Namespaces {
    /// The namespaces, and the task that watches them. It never ends.
    pub(super) fn new(client: Client) -> (Self, impl Future<Output = ()> + Send) {
        let writer = Writer::default();
        let store = writer.as_reader();
        let (changed, _) = broadcast::channel(CHANGES);
        let (before, sender) = (store.clone(), changed.clone());
        let task = watcher(Api::<Watched>::all(client), watcher::Config::default().page_size(PAGE_SIZE))
            .default_backoff()
            .modify(|namespace| {
                let name = namespace.metadata.name.take();
                let labels = namespace.metadata.labels.take();
                let (resource_version, uid) =
                    (namespace.metadata.resource_version.take(), namespace.metadata.uid.take());
                namespace.metadata =
                    kube::api::ObjectMeta { name, labels, resource_version, uid, ..Default::default() };
            })
            .inspect(move |event| match event {
                Ok(watcher::Event::Apply(namespace) | watcher::Event::InitApply(namespace)) => {
                    let old = before.get(&ObjectRef::from_obj(namespace));
                    if old.is_some_and(|old| old.metadata.labels != namespace.metadata.labels)
                        && let Some(name) = &namespace.metadata.name
                    {
                        // Fails until the controllers run, and they start with the current labels.
                        let _ = sender.send(name.as_str().into());
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(resource = "namespaces", error = %ErrorChain(error), "watch failed"),
            })
            .reflect(writer)
            .for_each(|_| future::ready(()));
        (Self { store, changed }, task)
    }

    /// The labels of a namespace; `None` until it is known.
    pub(super) fn labels(&self, name: &str) -> Option<Labels> {
        let found = self.store.get(&ObjectRef::new(name))?;
        Some(found.metadata.labels.clone().unwrap_or_default())
    }

    /// The names of namespaces whose labels change from now on.
    pub(super) fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.changed.subscribe()
    }
}
