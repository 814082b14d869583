//! Runs one controller per kind.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, future, stream};
use kube::core::ApiResource;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::utils::PredicateConfig;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};
use tokio_util::sync::CancellationToken;

use super::context::{Context, Identity, Reporting, Shared, now};
use super::known::Known;
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

/// How long the controllers wait for the list of budgets.
const BUDGETS_LIMIT: Duration = Duration::from_secs(10);

/// Runs until shutdown; writes only while this replica leads.
#[expect(clippy::too_many_arguments, reason = "each has a type of its own")]
pub(crate) async fn run(
    client: Client,
    cluster: Cluster,
    leading: watch::Receiver<bool>,
    shutdown: CancellationToken,
    identity: Identity,
    reporting: Reporting,
    selection: Selection,
    trimming: Trimming,
    metrics: Metrics,
) {
    // What a missed workload gets, and what is reported of the others, depends on them.
    let listed = async {
        // Without an answer, the budgets wait for one.
        let _ = futures::join!(cluster.listed(), tokio::time::timeout(BUDGETS_LIMIT, reporting.budgets.listed()));
    };
    tokio::select! {
        () = listed => {}
        () = shutdown.cancelled() => return,
    }
    let shared = Arc::new(Shared::new(client, cluster, leading, identity, reporting, selection, trimming, metrics));
    future::join_all(Kind::ALL.map(|kind| control(kind, shared.clone(), shutdown.clone()))).await;
}

async fn control(kind: Kind, shared: Arc<Shared>, shutdown: CancellationToken) {
    let resource = api_resource(kind);
    let mut known = Known::new(kind, resource.clone(), shared.clone());
    let reader = known.store();
    let api: Api<Watched> = Api::all_with(shared.client.clone(), &resource);
    let with_labels = shared.selection.needs_object_labels();
    let changes = watcher(api, watcher::Config::default().page_size(PAGE_SIZE))
        .default_backoff()
        .flat_map(move |event| {
            let found = match event {
                Ok(event) => known.apply(&event),
                Err(error) => {
                    tracing::warn!(resource = kind.resource(), error = %ErrorChain(&error), "watch failed");
                    Vec::new()
                }
            };
            stream::iter(found).map(|watched| Ok(Watched::clone(&watched)))
        })
        .predicate_filter(move |watched: &Watched| Some(watched.relevant(with_labels)), PredicateConfig::default());
    // A new leader reconciles every workload: no watch event reports workloads that the previous leader did not update.
    let became_leader =
        WatchStream::from_changes(shared.leading.clone()).filter(|leads| future::ready(*leads)).map(|_| ());
    let policies_changed = shared.cluster.policies.changes();
    let budgets_altered = of_altered_budgets(kind, &shared, resource.clone());
    let of_namespaces = in_changed_namespaces(&shared, reader.clone(), resource.clone());
    Controller::for_stream_with(changes, reader.clone(), resource)
        .with_config(Config::default().concurrency(1))
        .reconcile_all_on(became_leader)
        // Counts and findings can change. A template does not change before its owner changes it.
        .reconcile_all_on(policies_changed)
        .reconcile_all_on(shared.budgets.all_altered())
        .reconcile_on(budgets_altered)
        .reconcile_on(of_namespaces)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, on_error, Arc::new(Context { kind, store: reader, shared }))
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

/// The workloads of a kind whose budgets somebody deleted or changed.
fn of_altered_budgets(
    kind: Kind,
    shared: &Shared,
    resource: ApiResource,
) -> impl Stream<Item = ObjectRef<Watched>> + Send + use<> {
    let of_kind = shared.budgets.altered().filter(move |workload| future::ready(workload.kind == kind));
    of_kind.map(move |workload| ObjectRef::new_with(&workload.name, resource.clone()).within(&workload.namespace))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that the Controller requires")]
fn on_error(watched: Arc<Watched>, error: &Error, context: Arc<Context>) -> Action {
    let name = watched.metadata.name.as_deref().unwrap_or_default();
    let namespace = watched.metadata.namespace.as_deref().unwrap_or_default();
    let workload = format!("{} {namespace}/{name}", context.kind);
    let delay = context.shared.pacing.failed(watched.metadata.uid.as_deref().unwrap_or_default(), now());
    context.forget_if_gone(&watched);
    tracing::warn!(workload, error = %ErrorChain(error), retry_in = delay.as_secs(), "reconciliation failed");
    Action::requeue(delay)
}
