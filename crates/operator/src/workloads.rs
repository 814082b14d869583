//! The controller: brings workloads that the webhook missed to plan, and reports.
//!
//! Every replica watches and remembers; only the one that holds the Lease writes. The watch is for metadata alone, and
//! keeps of it no more than our own annotations: in a cluster of ten thousand workloads, nearly all are none of our
//! business. A workload that is gets read whole, as JSON.

mod event_history;
mod reconcile;
mod rollout_gate;
mod workload_client;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, future};
use jiff::Timestamp;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use crate::error_chain::ErrorChain;
use crate::kubernetes::{Error, api_resource};
use event_history::Memory;
use reconcile::reconcile;
use rollout_gate::Turn;
use winddown_core::annotations::PREFIX;
use winddown_core::kind::Kind;
use winddown_core::policy::Policy;
use workload_client::Workloads;

/// A workload's metadata, which is all that is watched.
type Watched = PartialObjectMeta<DynamicObject>;

/// Who and where this replica is.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    /// The operator's namespace.
    pub namespace: String,
    /// The operator's own Deployment, which nobody but its owner changes.
    pub deployment: String,
    /// This replica's pod.
    pub pod: String,
}

/// What a reconciliation needs.
struct Context {
    kind: Kind,
    shared: Arc<Shared>,
}

/// What the controllers of all kinds share.
struct Shared {
    client: Client,
    reporter: Reporter,
    workloads: Workloads,
    policy: Policy,
    own: Own,
    leading: watch::Receiver<bool>,
    memory: Memory,
    turn: Turn,
    started: Timestamp,
}

impl Shared {
    /// A new one for each Event. A `Recorder` takes what it published before under the same reason for the same Event once
    /// more, and counts it, with the numbers of the first; here each is told because something changed.
    fn recorder(&self) -> Recorder {
        Recorder::new(self.client.clone(), self.reporter.clone())
    }
}

/// After trouble with the API server.
const RETRY: Duration = Duration::from_secs(10);

/// Runs until shutdown; writes only while this replica leads.
pub(crate) async fn run(client: Client, leading: watch::Receiver<bool>, shutdown: CancellationToken, own: Own) {
    let shared = Arc::new(Shared {
        reporter: Reporter { controller: "winddown".to_owned(), instance: Some(own.pod.clone()) },
        workloads: Workloads::new(client.clone()),
        client,
        policy: Policy::default(),
        own,
        turn: Turn::new(leading.clone()),
        leading,
        memory: Memory::default(),
        started: Timestamp::now(),
    });
    future::join_all(Kind::ALL.map(|kind| control(kind, shared.clone(), shutdown.clone()))).await;
}

/// Looks after the workloads of one kind.
async fn control(kind: Kind, shared: Arc<Shared>, shutdown: CancellationToken) {
    let resource = api_resource(kind);
    let writer = Writer::new(resource.clone());
    let reader = writer.as_reader();
    let api: Api<Watched> = Api::all_with(shared.client.clone(), &resource);
    let remembered = shared.clone();
    let changes = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(prune)
        .inspect(move |event| match event {
            Ok(watcher::Event::Delete(deleted)) => remembered.memory.forget(deleted),
            Ok(_) => {}
            Err(error) => tracing::warn!("cannot watch {}: {}", kind.resource(), ErrorChain(error)),
        })
        .reflect(writer)
        .applied_objects();
    // Whoever takes over looks at everything: what the last leader left undone is not told by any change.
    let took_over = WatchStream::from_changes(shared.leading.clone()).filter(|leads| future::ready(*leads)).map(|_| ());
    Controller::for_stream_with(changes, reader, resource)
        .with_config(Config::default().concurrency(1))
        .reconcile_all_on(took_over)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, on_error, Arc::new(Context { kind, shared }))
        .for_each(|_| future::ready(()))
        .await;
}

/// Keeps of a workload's metadata only what [`reconcile`] looks at before it reads the whole.
fn prune(watched: &mut Watched) {
    let metadata = &mut watched.metadata;
    metadata.managed_fields = None;
    metadata.labels = None;
    metadata.owner_references = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| key.starts_with(PREFIX));
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that the Controller calls")]
fn on_error(watched: Arc<Watched>, error: &Error, context: Arc<Context>) -> Action {
    let name = watched.metadata.name.as_deref().unwrap_or_default();
    let namespace = watched.metadata.namespace.as_deref().unwrap_or_default();
    tracing::warn!(workload = format!("{} {namespace}/{name}", context.kind), "{}", ErrorChain(error));
    Action::requeue(RETRY)
}
