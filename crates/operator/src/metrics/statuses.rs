//! What the `ShutdownBudget`s of the cluster say, and how their statuses are written.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Family, Type};
use winddown_core::observation::WorkloadRef;

pub(super) const PODS: Family = Family::new(
    Type::Gauge,
    "winddown_pods",
    &["namespace", "kind", "name", "budget"],
    "Number of running pods of a workload that carry its current budget, an old one or none; absent while 0. Only the \
     leader exports it, if it has --metrics-per-workload",
);
pub(super) const CONDITIONS: Family = Family::new(
    Type::Gauge,
    "winddown_workload_condition",
    &["namespace", "kind", "name", "type"],
    "1 while a condition of the ShutdownBudget of a workload is False: Fits, Injected, RolledOut or Honoured. Only the \
     leader exports it, if it has --metrics-per-workload",
);
pub(super) const WRITES: Family = Family::new(
    Type::Counter,
    "winddown_status_writes",
    &["result"],
    "Number of requests to write the status of a ShutdownBudget by result: stored, conflict or error",
);
pub(super) const BACKLOG: Family = Family::new(
    Type::Gauge,
    "winddown_status_backlog",
    &[],
    "Number of ShutdownBudgets whose status should have been written by now",
);

/// How a request to write a status ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Written {
    Stored,
    /// Somebody else wrote it in the meantime.
    Conflict,
    Failed,
}

/// The `ShutdownBudget`s, and their writes.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    per_workload: bool,
    shown: Mutex<HashMap<WorkloadRef, Shown>>,
    stored: AtomicU64,
    conflicts: AtomicU64,
    failed: AtomicU64,
    backlog: AtomicU64,
}

/// Small, because there can be thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    /// In the order of [`CARRIED`].
    pods: [u32; CARRIED.len()],
    /// In the order of [`TYPES`].
    is_false: [bool; TYPES.len()],
}

const CARRIED: [&str; 3] = ["current", "old", "none"];

/// Somebody else can have added others to a status.
const TYPES: [&str; 4] = ["Fits", "Injected", "RolledOut", "Honoured"];

impl Statuses {
    pub(crate) fn new(per_workload: bool) -> Self {
        Self { per_workload, ..Self::default() }
    }

    /// Keeps what the status of a workload's budget says: the pods that carry the current budget, an old one and none, and
    /// the conditions.
    pub(crate) fn shows(&self, workload: &WorkloadRef, pods: [u32; CARRIED.len()], conditions: &[Condition]) {
        if !self.per_workload {
            return;
        }
        let is_false = |kind| conditions.iter().any(|condition| condition.type_ == kind && condition.status == "False");
        self.shown().insert(workload.clone(), Shown { pods, is_false: TYPES.map(is_false) });
    }

    /// Forgets a workload without a budget.
    pub(crate) fn forget(&self, workload: &WorkloadRef) {
        self.shown().remove(workload);
    }

    /// Counts a write.
    pub(crate) fn written(&self, result: Written) {
        let count = match result {
            Written::Stored => &self.stored,
            Written::Conflict => &self.conflicts,
            Written::Failed => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the number of statuses that should have been written by now.
    pub(crate) fn backlog(&self, backlog: usize) {
        self.backlog.store(backlog as u64, Ordering::Relaxed);
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<WorkloadRef, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without series of workloads on a replica that does not lead.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>, leading: bool) -> fmt::Result {
        let shown = self.shown();
        let shown = || shown.iter().filter(|_| leading);
        let mut series = PODS.start(encoder)?;
        for (WorkloadRef { kind, namespace, name }, Shown { pods, .. }) in shown() {
            for (budget, count) in CARRIED.into_iter().zip(pods).filter(|(_, count)| **count > 0) {
                let labels = [("namespace", &**namespace), ("kind", kind.as_str()), ("name", name), ("budget", budget)];
                series.gauge(&labels, (*count).into())?;
            }
        }
        let mut series = CONDITIONS.start(encoder)?;
        for (WorkloadRef { kind, namespace, name }, Shown { is_false, .. }) in shown() {
            for (condition, _) in TYPES.into_iter().zip(is_false).filter(|(_, is_false)| **is_false) {
                let labels =
                    [("namespace", &**namespace), ("kind", kind.as_str()), ("name", name), ("type", condition)];
                series.gauge(&labels, 1)?;
            }
        }
        let mut series = WRITES.start(encoder)?;
        for (result, count) in [("stored", &self.stored), ("conflict", &self.conflicts), ("error", &self.failed)] {
            series.counter(&[("result", result)], count.load(Ordering::Relaxed))?;
        }
        BACKLOG.start(encoder)?.only_gauge(self.backlog.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::metrics::Metrics;
    use crate::metrics::exposition::tests::{series, text};
    use winddown_core::kind::Kind;

    fn conditions(statuses: [(&str, &str); 2]) -> Vec<Condition> {
        let condition = |(kind, status)| {
            let time = "2026-01-31T21:00:03Z";
            json!({"type": kind, "status": status, "reason": "R", "message": "", "lastTransitionTime": time})
        };
        serde_json::from_value(json!(statuses.map(condition))).unwrap()
    }

    fn db() -> WorkloadRef {
        WorkloadRef { kind: Kind::StatefulSet, namespace: "shop".to_owned(), name: "db".to_owned() }
    }

    fn exported(statuses: &Arc<Statuses>, leading: bool, family: &str) -> Vec<String> {
        series(&text(&Metrics { statuses: statuses.clone(), ..Metrics::default() }, leading), family)
    }

    const PODS: &str = "winddown_pods";
    const CONDITION: &str = "winddown_workload_condition";

    #[test]
    fn the_leader_exports_pods_by_budget_and_the_conditions_that_are_false() {
        let statuses = Arc::new(Statuses::new(true));
        statuses.shows(&db(), [2, 1, 0], &conditions([("RolledOut", "False"), ("Honoured", "Unknown")]));
        let labels = "namespace=\"shop\",kind=\"StatefulSet\",name=\"db\"";
        let pods = [("current", 2), ("old", 1)];
        let pods = pods.map(|(budget, count)| format!("{PODS}{{{labels},budget=\"{budget}\"}} {count}"));
        assert_eq!(exported(&statuses, true, PODS), pods);
        assert_eq!(exported(&statuses, true, CONDITION), [format!("{CONDITION}{{{labels},type=\"RolledOut\"}} 1")]);
        assert_eq!(exported(&statuses, false, PODS), Vec::<String>::new());
        // Another type, which somebody added.
        statuses.shows(&db(), [3, 0, 0], &conditions([("Approved", "False"), ("Fits", "True")]));
        assert_eq!(exported(&statuses, true, CONDITION), Vec::<String>::new());
        statuses.forget(&db());
        assert_eq!(exported(&statuses, true, PODS), Vec::<String>::new());
        let statuses = Arc::new(Statuses::new(false));
        statuses.shows(&db(), [2, 1, 0], &[]);
        assert_eq!(exported(&statuses, true, PODS), Vec::<String>::new());
    }

    #[test]
    fn writes_count_by_result() {
        let statuses = Arc::new(Statuses::default());
        for result in [Written::Stored, Written::Stored, Written::Conflict, Written::Failed] {
            statuses.written(result);
        }
        statuses.backlog(5);
        let writes = [("stored", 2), ("conflict", 1), ("error", 1)];
        let writes =
            writes.map(|(result, count)| format!("winddown_status_writes_total{{result=\"{result}\"}} {count}"));
        assert_eq!(exported(&statuses, true, "winddown_status_writes_total"), writes);
        assert!(text(&Metrics { statuses, ..Metrics::default() }, true).contains("\nwinddown_status_backlog 5\n"));
    }
}
