//! Watches the budgets, also where their CRD is not installed yet.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use kube::core::DynamicObject;
use kube::runtime::watcher;
use kube::{Api, Client};

use super::client::{Budget, resource};
use super::{Budgets, Installed};
use crate::kubernetes::status_code;
use crate::metrics::Metrics;
use crate::telemetry::FailureLog;
use winddown_core::observation::WorkloadRef;

/// Budgets in one answer to a list, of at most 6 KB each.
const PAGE_SIZE: u32 = 50;

/// First delay after a failure, or while the resource is absent; doubles up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// Keeps the table of budgets up to date on every replica.
pub(crate) struct Watch {
    pub(super) client: Client,
    pub(super) budgets: Budgets,
    pub(super) metrics: Metrics,
}

impl Watch {
    /// Never ends. While the API server does not answer, the budgets stay as they are.
    pub(crate) async fn run(self) {
        let mut failures = FailureLog::new("the watch of ShutdownBudgets failed");
        let mut retry = FIRST_RETRY;
        loop {
            self.watch(&mut failures, &mut retry).await;
        }
    }

    /// Returns to list the budgets anew: a watch that is not found can also be one of an API server that has just started.
    async fn watch(&self, failures: &mut FailureLog, retry: &mut Duration) {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource());
        let events = watcher(api, watcher::Config::default().page_size(PAGE_SIZE)).map_ok(reduced);
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                // The request follows, so this is no success yet.
                Ok(event @ watcher::Event::Init) => drop(self.budgets.apply(&event)),
                Ok(event) => {
                    *retry = FIRST_RETRY;
                    failures.record(None::<&watcher::Error>);
                    self.show(&event);
                    self.forget(&self.budgets.apply(&event));
                }
                Err(error) => {
                    let is_list = matches!(error, watcher::Error::InitialListFailed(_));
                    let code = status_code(&error);
                    // Without the rights, the operator works as without budgets.
                    let is_forbidden = code == Some(403) && self.budgets.installed_is_unknown();
                    if code != Some(404) {
                        failures.record(Some(&error));
                    }
                    if is_list && (code == Some(404) || is_forbidden) {
                        self.forget(&self.budgets.set_installed(Installed::No));
                    }
                    tokio::time::sleep(*retry).await;
                    *retry = LAST_RETRY.min(2 * *retry);
                    if !is_list && code == Some(404) {
                        return;
                    }
                }
            }
        }
    }

    fn forget(&self, gone: &[Arc<WorkloadRef>]) {
        for workload in gone {
            self.metrics.statuses.forget(workload);
            self.metrics.shutdowns.forget(workload);
        }
    }

    fn show(&self, event: &watcher::Event<Budget>) {
        if let watcher::Event::Apply(budget) | watcher::Event::InitApply(budget) = event
            && let (Some(workload), Some(pods)) = (&budget.workload, budget.status.pods)
        {
            let pods = [pods.current, pods.old, pods.none];
            self.metrics.statuses.shows(workload, pods, &budget.status.conditions);
        }
    }
}

fn reduced(event: watcher::Event<DynamicObject>) -> watcher::Event<Budget> {
    match event {
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitApply(budget) => watcher::Event::InitApply(budget.into()),
        watcher::Event::InitDone => watcher::Event::InitDone,
        watcher::Event::Apply(budget) => watcher::Event::Apply(budget.into()),
        watcher::Event::Delete(budget) => watcher::Event::Delete(budget.into()),
    }
}
