//! Runs one controller per kind.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{Stream, StreamExt, future, stream};
use kube::core::ApiResource;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::utils::PredicateConfig;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};
use tokio_util::sync::CancellationToken;

use super::context::{Context, Identity, Shared, now};
use super::reconcile::reconcile;
use super::selection::Selection;
use super::watched::Watched;
use crate::cluster::Cluster;
use crate::error_chain::ErrorChain;
use crate::kubernetes::{Error, api_resource};
use crate::metrics::Metrics;
use crate::trimming::Trimming;
use winddown_core::kind::Kind;

/// Objects in one answer to a list. One can have more than a megabyte, and an answer is in memory as a whole.
pub(super) const PAGE_SIZE: u32 = 10;

/// Runs until shutdown; writes only while this replica leads.
#[expect(clippy::too_many_arguments, reason = "each has a type of its own")]
pub(crate) async fn run(
    client: Client,
    cluster: Cluster,
    leading: watch::Receiver<bool>,
    shutdown: CancellationToken,
    identity: Identity,
    selection: Selection,
    trimming: Trimming,
    metrics: Metrics,
) {
    // What a missed workload gets depends on them.
    tokio::select! {
        () = cluster.listed() => {}
        () = shutdown.cancelled() => return,
    }
    let shared = Arc::new(Shared::new(client, cluster, leading, identity, selection, trimming, metrics));
    future::join_all(Kind::ALL.map(|kind| control(kind, shared.clone(), shutdown.clone()))).await;
}

async fn control(kind: Kind, shared: Arc<Shared>, shutdown: CancellationToken) {
    let resource = api_resource(kind);
    let writer = Writer::new(resource.clone());
    let reader = writer.as_reader();
    let api: Api<Watched> = Api::all_with(shared.client.clone(), &resource);
    let observer = shared.clone();
    let with_labels = shared.selection.needs_object_labels();
    let mut listed = HashSet::new();
    let changes = watcher(api, watcher::Config::default().page_size(PAGE_SIZE))
        .default_backoff()
        .inspect(move |event| match event {
            Ok(watcher::Event::Init) => {
                listed.clear();
                observer.cluster.governed.list(kind);
            }
            Ok(watcher::Event::InitApply(found)) => {
                listed.extend(found.metadata.uid.clone().filter(|_| found.annotations.is_some()));
                observer.exists(kind, found);
            }
            Ok(watcher::Event::InitDone) => {
                observer.metrics.workloads.retain(kind, &std::mem::take(&mut listed));
                observer.cluster.governed.listed(kind);
            }
            Ok(watcher::Event::Apply(found)) => observer.exists(kind, found),
            Ok(watcher::Event::Delete(deleted)) => {
                if let Some(uid) = &deleted.metadata.uid {
                    observer.history.forget(uid);
                    observer.pacing.forget(uid);
                    observer.metrics.workloads.forget(uid);
                    observer.cluster.governed.forget(uid);
                }
            }
            Err(error) => tracing::warn!(resource = kind.resource(), error = %ErrorChain(error), "watch failed"),
        })
        .reflect(writer)
        .applied_objects()
        .predicate_filter(move |watched: &Watched| Some(watched.relevant(with_labels)), PredicateConfig::default());
    // A new leader reconciles every workload: no watch event reports workloads that the previous leader did not update.
    let became_leader =
        WatchStream::from_changes(shared.leading.clone()).filter(|leads| future::ready(*leads)).map(|_| ());
    let policies_changed = shared.cluster.policies.changes();
    let of_namespaces = in_changed_namespaces(&shared, reader.clone(), resource.clone());
    Controller::for_stream_with(changes, reader, resource)
        .with_config(Config::default().concurrency(1))
        .reconcile_all_on(became_leader)
        // Counts and findings can change. A template does not change before its owner changes it.
        .reconcile_all_on(policies_changed)
        .reconcile_on(of_namespaces)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, on_error, Arc::new(Context { kind, shared }))
        .for_each(|_| future::ready(()))
        .await;
}

/// The workloads of namespaces whose labels change.
fn in_changed_namespaces(
    shared: &Shared,
    reader: Store<Watched>,
    resource: ApiResource,
) -> impl Stream<Item = ObjectRef<Watched>> + Send + use<> {
    let names = BroadcastStream::new(shared.cluster.namespaces.changes()).filter_map(|name| future::ready(name.ok()));
    names.flat_map(move |name| {
        let workloads = reader.state().into_iter();
        let found = workloads.filter(|watched| watched.metadata.namespace.as_deref() == Some(&*name));
        stream::iter(found.map(|watched| ObjectRef::from_obj_with(&*watched, resource.clone())).collect::<Vec<_>>())
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that the Controller requires")]
fn on_error(watched: Arc<Watched>, error: &Error, context: Arc<Context>) -> Action {
    let name = watched.metadata.name.as_deref().unwrap_or_default();
    let namespace = watched.metadata.namespace.as_deref().unwrap_or_default();
    let workload = format!("{} {namespace}/{name}", context.kind);
    let delay = context.shared.pacing.failed(watched.metadata.uid.as_deref().unwrap_or_default(), now());
    tracing::warn!(workload, error = %ErrorChain(error), retry_in = delay.as_secs(), "reconciliation failed");
    Action::requeue(delay)
}
