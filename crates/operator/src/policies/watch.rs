//! Watches the policies, also where their CRD is not installed yet.

use std::sync::Arc;

use kube::Client;
use kube::api::ObjectMeta;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use tokio::sync::watch::{Receiver, Sender};

use super::table::{Entries, Table};
use super::{CurrentPolicies, resource};
use crate::custom_resource::{self, Objects};
use crate::telemetry::FailureLog;
use winddown_core::policy::Policies;

/// Policies in one answer to a list. One can have more than a megabyte, and an answer is in memory as a whole.
const PAGE_SIZE: u32 = 10;

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

    /// Never ends.
    pub(crate) async fn run(self) {
        let failures = FailureLog::new("the watch of ShutdownPolicies failed");
        custom_resource::watch(self.client.clone(), &resource(), PAGE_SIZE, failures, self).await;
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

impl Objects for Watch {
    fn apply(&mut self, event: Event<DynamicObject>) {
        if !matches!(event, Event::Init) && std::mem::take(&mut self.absent) {
            tracing::info!("ShutdownPolicies are installed");
        }
        if self.table.apply(reduced(event)) {
            self.publish();
        }
    }

    fn not_installed(&mut self) {
        if !std::mem::replace(&mut self.absent, true) {
            tracing::info!("ShutdownPolicies are not installed; the built-in policy counts");
        }
        self.table.clear();
        self.publish();
    }

    /// Without the rights, none will be listed. The operator then works as without policies.
    fn forbidden(&mut self) {
        if self.policies.borrow().is_none() {
            self.publish();
        }
    }
}

/// Without the metadata that are not read.
fn reduced(mut event: Event<DynamicObject>) -> Event<DynamicObject> {
    if let Event::InitApply(policy) | Event::Apply(policy) | Event::Delete(policy) = &mut event {
        let ObjectMeta { name, resource_version, generation, creation_timestamp, .. } =
            std::mem::take(&mut policy.metadata);
        policy.metadata =
            ObjectMeta { name, resource_version, generation, creation_timestamp, ..ObjectMeta::default() };
    }
    event
}
