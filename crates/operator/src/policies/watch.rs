//! Watches the policies, also where their CRD is not installed yet.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use kube::api::ObjectMeta;
use kube::core::DynamicObject;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tokio::sync::watch::{Receiver, Sender};

use super::table::{Entries, Table};
use super::{CurrentPolicies, resource};
use crate::kubernetes::status_code;
use crate::telemetry::FailureLog;
use winddown_core::policy::Policies;

/// Policies in one answer to a list. One can have more than a megabyte, and an answer is in memory as a whole.
const PAGE_SIZE: u32 = 10;

/// First delay after a failure, or while the resource is absent; doubles up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// The watch, and what it has found.
pub(crate) struct Watch {
    client: Client,
    policies: Sender<Option<Arc<Policies>>>,
    entries: Sender<Arc<Entries>>,
    table: Table,
    /// Whether the API server does not know the resource.
    absent: bool,
}

impl Watch {
    pub(crate) fn new(client: Client) -> Self {
        let (policies, entries, table) = Default::default();
        Self { client, policies, entries, table, absent: false }
    }

    pub(crate) fn policies(&self) -> CurrentPolicies {
        CurrentPolicies::new(self.policies.subscribe())
    }

    pub(super) fn entries(&self) -> Receiver<Arc<Entries>> {
        self.entries.subscribe()
    }

    /// Never ends. While the API server does not answer, the policies stay as they are.
    pub(crate) async fn run(mut self) {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource());
        let events = watcher(api, watcher::Config::default().page_size(PAGE_SIZE)).modify(|policy| {
            let ObjectMeta { name, resource_version, generation, creation_timestamp, .. } =
                std::mem::take(&mut policy.metadata);
            policy.metadata =
                ObjectMeta { name, resource_version, generation, creation_timestamp, ..ObjectMeta::default() };
        });
        pin_mut!(events);
        let mut failures = FailureLog::new("the watch of ShutdownPolicies failed");
        let mut retry = FIRST_RETRY;
        while let Some(event) = events.next().await {
            match event {
                // The request follows, so this is no success yet. (kube's own back-off starts again at this event.)
                Ok(event @ watcher::Event::Init) => drop(self.table.apply(event)),
                Ok(event) => {
                    retry = FIRST_RETRY;
                    failures.record(None::<&watcher::Error>);
                    if std::mem::take(&mut self.absent) {
                        tracing::info!("ShutdownPolicies are installed");
                    }
                    if self.table.apply(event) {
                        self.publish();
                    }
                }
                Err(error) => {
                    self.fail(&error, &mut failures);
                    tokio::time::sleep(retry).await;
                    retry = LAST_RETRY.min(2 * retry);
                }
            }
        }
    }

    fn fail(&mut self, error: &watcher::Error, failures: &mut FailureLog) {
        match status_code(error) {
            Some(404) => {
                if !std::mem::replace(&mut self.absent, true) {
                    tracing::info!("ShutdownPolicies are not installed; the built-in policy counts");
                }
                self.table.clear();
                self.publish();
            }
            code => {
                failures.record(Some(error));
                // Without the rights, none will be listed. The operator then works as without policies.
                if code == Some(403) && self.policies.borrow().is_none() {
                    self.publish();
                }
            }
        }
    }

    fn publish(&self) {
        let policies = self.table.policies();
        // A change of a status is no change of the policies.
        self.policies.send_if_modified(|current| {
            let changed = current.as_ref().is_none_or(|current| current.ranked() != policies.ranked());
            if changed {
                *current = Some(Arc::new(policies));
            }
            changed
        });
        self.entries.send_replace(Arc::new(self.table.entries().clone()));
    }
}
