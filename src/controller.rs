//! The controller: brings Deployments that the webhook missed to plan, and reports.
//!
//! Every replica watches and remembers; only the one that holds the Lease writes. The watch is for metadata alone, and
//! keeps of it no more than our own annotations: in a cluster of ten thousand Deployments, nearly all are none of our
//! business. A Deployment that is gets read whole, as JSON.

mod deployments;
pub mod lease;
mod memory;
mod reconcile;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use crate::annotations::PREFIX;
use crate::error_chain::ErrorChain;
use crate::kubernetes::Error;
use crate::policy::Policy;
use deployments::Deployments;
use memory::Memory;
use reconcile::reconcile;
use turn::Turn;

/// A Deployment's metadata, which is all that is watched.
type Watched = PartialObjectMeta<Deployment>;

/// Who and where this replica is.
#[derive(Clone, Debug)]
pub struct Own {
    /// The operator's namespace.
    pub namespace: String,
    /// The operator's own Deployment, which nobody but its owner changes.
    pub deployment: String,
    /// This replica's pod.
    pub pod: String,
}

/// What a reconciliation needs.
struct Context {
    client: Client,
    reporter: Reporter,
    deployments: Deployments,
    policy: Policy,
    own: Own,
    leading: watch::Receiver<bool>,
    memory: Arc<Memory>,
    turn: Turn,
    started: Timestamp,
}

impl Context {
    /// A new one for each Event. A `Recorder` takes what it published before under the same reason for the same Event once
    /// more, and counts it, with the numbers of the first; here each is told because something changed.
    fn recorder(&self) -> Recorder {
        Recorder::new(self.client.clone(), self.reporter.clone())
    }
}

/// After trouble with the API server.
const RETRY: Duration = Duration::from_secs(10);

/// Runs until shutdown; writes only while this replica leads.
pub async fn run(client: Client, leading: watch::Receiver<bool>, shutdown: CancellationToken, own: Own) {
    let memory = Arc::new(Memory::default());
    let reporter = Reporter { controller: "winddown".to_owned(), instance: Some(own.pod.clone()) };
    let context = Arc::new(Context {
        client: client.clone(),
        reporter,
        deployments: Deployments::new(client.clone()),
        policy: Policy::default(),
        own,
        leading: leading.clone(),
        memory: memory.clone(),
        turn: Turn::default(),
        started: Timestamp::now(),
    });

    let (reader, writer) = reflector::store();
    let api: Api<Watched> = Api::all(client);
    let changes = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(prune)
        .inspect(move |event| match event {
            Ok(watcher::Event::Delete(deleted)) => memory.forget(deleted),
            Ok(_) => {}
            Err(error) => tracing::warn!("cannot watch Deployments: {}", ErrorChain(error)),
        })
        .reflect(writer)
        .applied_objects();
    // Whoever takes over looks at everything: what the last leader left undone is not told by any change.
    let took_over = WatchStream::from_changes(leading).filter(|leads| std::future::ready(*leads)).map(|_| ());
    Controller::for_stream(changes, reader)
        .with_config(Config::default().concurrency(1))
        .reconcile_all_on(took_over)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, on_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

/// Keeps of a Deployment's metadata only what [`reconcile`] looks at before it reads the whole.
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
fn on_error(watched: Arc<Watched>, error: &Error, _: Arc<Context>) -> Action {
    let name = watched.metadata.name.as_deref().unwrap_or_default();
    let namespace = watched.metadata.namespace.as_deref().unwrap_or_default();
    tracing::warn!(deployment = format!("{namespace}/{name}"), "{}", ErrorChain(error));
    Action::requeue(RETRY)
}
