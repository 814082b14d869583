//! Runs one controller per kind.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, future};
use kube::Client;
use kube::runtime::controller::{Action, Config, Controller};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::changes::Changes;
use super::context::{Context, Identity, Reporting, Shared, now};
use super::known::Known;
use super::reconcile::reconcile;
use super::selection::Selection;
use super::watched::Watched;
use crate::cluster::Cluster;
use crate::kubernetes::Error;
use crate::metrics::Metrics;
use crate::trimming::Trimming;
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;

/// How long the controllers wait for the list of budgets.
const BUDGETS_LIMIT: Duration = Duration::from_secs(30);

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
    let known = Known::new(kind, shared.clone());
    let (store, table) = (known.store(), known.table());
    Controller::for_stream_with(Changes::new(known, kind, &shared).into_stream(), store, kind)
        .with_config(Config::default().concurrency(1))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, on_error, Arc::new(Context { kind, table, shared }))
        .for_each(|_| future::ready(()))
        .await;
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
