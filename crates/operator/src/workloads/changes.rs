//! The workloads of one kind that need a reconciliation, as a stream.

use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _, future, pin_mut};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};

use super::context::Shared;
use super::known::Known;
use super::watched::Watched;
use crate::listing;
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;
use winddown_core::observation::WorkloadRef;

/// Objects in one answer to a list. One can have more than a megabyte, and an answer is in memory as a whole.
pub(super) const PAGE_SIZE: u32 = 10;

/// Joins the watch of the workloads with what else they depend on.
pub(super) struct Changes {
    known: Known,
    kind: Kind,
    client: Client,
    events: Events,
    triggers: BoxStream<'static, Trigger>,
    /// Whether a list is not complete yet.
    is_listing: bool,
    /// Whether to list again once it is.
    list_again: bool,
}

type Events = BoxStream<'static, watcher::Result<Event<Watched>>>;

/// What causes another look at workloads that have not changed.
enum Trigger {
    All,
    InNamespace(Arc<str>),
    Workload(Arc<WorkloadRef>),
}

impl Changes {
    pub(super) fn new(known: Known, kind: Kind, shared: &Shared) -> Self {
        let client = shared.client.clone();
        let (is_listing, list_again) = (true, false);
        Self {
            known,
            kind,
            events: events(&client, kind),
            triggers: triggers(kind, shared),
            client,
            is_listing,
            list_again,
        }
    }

    pub(super) fn into_stream<E: Send + 'static>(self) -> impl Stream<Item = Result<Watched, E>> + Send + 'static {
        let found = stream::unfold(self, |mut changes| async {
            let found = changes.next().await;
            Some((stream::iter(found.into_iter().map(Ok)), changes))
        });
        found.flatten()
    }

    async fn next(&mut self) -> Vec<Watched> {
        tokio::select! {
            Some(trigger) = self.triggers.next() => match trigger {
                Trigger::All => self.list_again = true,
                Trigger::InNamespace(namespace) => return self.known.look_again_in(&namespace).await,
                Trigger::Workload(workload) => return self.known.look_again(&workload).await,
            },
            Some(event) = self.events.next() => match event {
                Ok(event) => {
                    match event {
                        Event::Init => self.is_listing = true,
                        Event::InitDone => self.is_listing = false,
                        _ => {}
                    }
                    let found = self.known.apply(event).await;
                    self.list_if_due();
                    return found;
                }
                Err(error) => {
                    tracing::warn!(resource = self.kind.resource(), error = %ErrorChain(&error), "watch failed");
                }
            },
            // Neither ends before the controller does.
            else => future::pending().await,
        }
        self.list_if_due();
        Vec::new()
    }

    /// A list delivers whole objects in pages: to look at all workloads needs no request for each. One that has begun ends
    /// first, however often there is a reason for the next one.
    fn list_if_due(&mut self) {
        if self.list_again && !self.is_listing {
            self.events = events(&self.client, self.kind);
            (self.is_listing, self.list_again) = (true, false);
        }
    }
}

/// The events of a watch. While a page is looked at, the next one is requested.
fn events(client: &Client, kind: Kind) -> Events {
    let api: Api<Watched> = Api::all_with(client.clone(), &kind);
    let events = listing::events(api, Config::default().page_size(PAGE_SIZE)).default_backoff();
    let (sender, receiver) = mpsc::channel(PAGE_SIZE as usize);
    let mut reader = JoinSet::new();
    reader.spawn(async move {
        pin_mut!(events);
        while let Some(event) = events.next().await
            && sender.send(event).await.is_ok()
        {}
    });
    // It ends with this stream.
    stream::unfold((receiver, reader), |(mut receiver, reader)| async {
        Some((receiver.recv().await?, (receiver, reader)))
    })
    .boxed()
}

fn triggers(kind: Kind, shared: &Shared) -> BoxStream<'static, Trigger> {
    let mut leading = shared.leading.clone();
    // The first list follows anyway.
    leading.mark_unchanged();
    // No watch event reports workloads that the previous leader did not update.
    let became_leader = WatchStream::from_changes(leading).filter(|leads| future::ready(*leads)).map(|_| Trigger::All);
    // Counts and findings can change. A template does not change before its owner changes it.
    let policies = shared.cluster.policies.changes().map(|()| Trigger::All);
    let budgets = shared.budgets.all_altered().map(|()| Trigger::All);
    let altered = shared.budgets.altered().filter(move |workload| future::ready(workload.kind == kind));
    let namespaces = BroadcastStream::new(shared.cluster.namespaces.changes());
    // More than can wait: any could have changed.
    let namespaces = namespaces.map(|name| name.map_or(Trigger::All, Trigger::InNamespace));
    stream::select_all([
        became_leader.boxed(),
        policies.boxed(),
        budgets.boxed(),
        altered.map(Trigger::Workload).boxed(),
        namespaces.boxed(),
    ])
    .boxed()
}
