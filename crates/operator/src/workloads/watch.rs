//! Runs one controller per kind.

use std::sync::Arc;

use futures::{StreamExt, future};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use super::context::{Context, Identity, Shared, Watched};
use super::reconcile::{RETRY, reconcile};
use crate::error_chain::ErrorChain;
use crate::kubernetes::{Error, api_resource};
use winddown_core::annotations::PREFIX;
use winddown_core::kind::Kind;
use winddown_core::policy::Policies;

/// Runs until shutdown; writes only while this replica leads.
pub(crate) async fn run(
    client: Client,
    policies: Arc<Policies>,
    leading: watch::Receiver<bool>,
    shutdown: CancellationToken,
    identity: Identity,
) {
    let shared = Arc::new(Shared::new(client, policies, leading, identity));
    future::join_all(Kind::ALL.map(|kind| control(kind, shared.clone(), shutdown.clone()))).await;
}

async fn control(kind: Kind, shared: Arc<Shared>, shutdown: CancellationToken) {
    let resource = api_resource(kind);
    let writer = Writer::new(resource.clone());
    let reader = writer.as_reader();
    let api: Api<Watched> = Api::all_with(shared.client.clone(), &resource);
    let observer = shared.clone();
    let changes = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(prune)
        .inspect(move |event| match event {
            Ok(watcher::Event::Delete(deleted)) => {
                if let Some(uid) = &deleted.metadata.uid {
                    observer.history.forget(uid);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(resource = kind.resource(), error = %ErrorChain(error), "watch failed"),
        })
        .reflect(writer)
        .applied_objects();
    // A new leader reconciles every workload: no watch event reports workloads that the previous leader did not update.
    let became_leader =
        WatchStream::from_changes(shared.leading.clone()).filter(|leads| future::ready(*leads)).map(|_| ());
    Controller::for_stream_with(changes, reader, resource)
        .with_config(Config::default().concurrency(1))
        .reconcile_all_on(became_leader)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, on_error, Arc::new(Context { kind, shared }))
        .for_each(|_| future::ready(()))
        .await;
}

/// Removes from the metadata what [`reconcile`] does not use before it reads the whole workload.
fn prune(watched: &mut Watched) {
    let metadata = &mut watched.metadata;
    metadata.managed_fields = None;
    metadata.labels = None;
    metadata.owner_references = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| key.starts_with(PREFIX));
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that the Controller requires")]
fn on_error(watched: Arc<Watched>, error: &Error, context: Arc<Context>) -> Action {
    let name = watched.metadata.name.as_deref().unwrap_or_default();
    let namespace = watched.metadata.namespace.as_deref().unwrap_or_default();
    let workload = format!("{} {namespace}/{name}", context.kind);
    tracing::warn!(workload, error = %ErrorChain(error), "reconciliation failed");
    Action::requeue(RETRY)
}
