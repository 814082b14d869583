//! Watches the budgets, also where their CRD is not installed yet.

use std::sync::Arc;

use kube::Client;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;

use super::client::{Budget, resource};
use super::{Budgets, Installed};
use crate::custom_resource::{self, Objects};
use crate::metrics::Metrics;
use crate::telemetry::FailureLog;
use winddown_core::observation::WorkloadRef;

/// Budgets in one answer to a list, of at most 6 KB each.
const PAGE_SIZE: u32 = 50;

/// Keeps the table of budgets up to date on every replica.
pub(crate) struct Watch {
    pub(super) client: Client,
    pub(super) budgets: Budgets,
    pub(super) metrics: Metrics,
}

impl Watch {
    /// Never ends.
    pub(crate) async fn run(self) {
        let failures = FailureLog::new("the watch of ShutdownBudgets failed");
        custom_resource::watch(self.client.clone(), &resource(), PAGE_SIZE, failures, self).await;
    }

    fn forget(&self, gone: &[Arc<WorkloadRef>]) {
        for workload in gone {
            self.metrics.statuses.forget(workload);
            self.metrics.shutdowns.forget(workload);
        }
    }

    fn show(&self, event: &Event<Budget>) {
        if let Event::Apply(budget) | Event::InitApply(budget) = event
            && let (Some(workload), Some(pods)) = (&budget.workload, budget.status.pods)
        {
            let pods = [pods.current, pods.old, pods.none];
            self.metrics.statuses.shows(workload, pods, &budget.status.conditions);
        }
    }
}

impl Objects for Watch {
    fn apply(&mut self, event: Event<DynamicObject>) {
        let event = reduced(event);
        self.show(&event);
        self.forget(&self.budgets.apply(&event));
    }

    fn not_installed(&mut self) {
        self.forget(&self.budgets.set_installed(Installed::No));
    }

    /// Without the rights, the operator works as without budgets.
    fn forbidden(&mut self) {
        if self.budgets.installed_is_unknown() {
            self.not_installed();
        }
    }
}

fn reduced(event: Event<DynamicObject>) -> Event<Budget> {
    match event {
        Event::Init => Event::Init,
        Event::InitApply(budget) => Event::InitApply(budget.into()),
        Event::InitDone => Event::InitDone,
        Event::Apply(budget) => Event::Apply(budget.into()),
        Event::Delete(budget) => Event::Delete(budget.into()),
    }
}
