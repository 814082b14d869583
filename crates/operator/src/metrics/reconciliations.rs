//! Reconciliations of the controllers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kube::runtime::controller::Action;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};

use super::family::{Family, Type};
use super::histogram::Histogram;
use winddown_core::kind::Kind;

pub(super) const TOTAL: Family = Family::new(
    Type::Counter,
    "controller_runtime_reconcile",
    &["controller", "result"],
    "Number of reconciliations by result: success, requeue_after or error",
);
pub(super) const TIME: Family = Family::new(
    Type::Histogram,
    "controller_runtime_reconcile_time_seconds",
    &["controller"],
    "Time of a reconciliation",
);

static LIMITS: [Duration; 12] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_mins(1),
];

/// The reconciliations of all kinds.
#[derive(Debug, Default)]
pub(crate) struct Reconciliations {
    deployments: OfKind,
    stateful_sets: OfKind,
    daemon_sets: OfKind,
}

#[derive(Debug)]
struct OfKind {
    success: AtomicU64,
    requeue_after: AtomicU64,
    error: AtomicU64,
    time: Histogram<{ LIMITS.len() }>,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Labels {
    controller: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct ResultLabels {
    controller: String,
    result: &'static str,
}

impl Reconciliations {
    /// Counts a reconciliation that took this time.
    pub(crate) fn count<E>(&self, kind: Kind, result: &Result<Action, E>, time: Duration) {
        let counts = self.of(kind);
        let of_result = match result {
            Ok(action) if *action == Action::await_change() => &counts.success,
            Ok(_) => &counts.requeue_after,
            Err(_) => &counts.error,
        };
        of_result.fetch_add(1, Ordering::Relaxed);
        counts.time.observe(time);
    }

    fn of(&self, kind: Kind) -> &OfKind {
        match kind {
            Kind::Deployment => &self.deployments,
            Kind::StatefulSet => &self.stateful_sets,
            Kind::DaemonSet => &self.daemon_sets,
        }
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let all = Kind::ALL.map(|kind| (kind.as_str().to_ascii_lowercase(), self.of(kind)));
        let mut series = TOTAL.start(encoder)?;
        for (controller, counts) in &all {
            let OfKind { success, requeue_after, error, .. } = counts;
            for (result, count) in [("success", success), ("requeue_after", requeue_after), ("error", error)] {
                let labels = ResultLabels { controller: controller.clone(), result };
                series.counter(&labels, count.load(Ordering::Relaxed))?;
            }
        }
        let mut series = TIME.start(encoder)?;
        for (controller, counts) in all {
            series.histogram(&Labels { controller }, counts.time.sum(), &counts.time.buckets())?;
        }
        Ok(())
    }
}

impl Default for OfKind {
    fn default() -> Self {
        let (success, requeue_after, error) = <(AtomicU64, AtomicU64, AtomicU64)>::default();
        Self { success, requeue_after, error, time: Histogram::new(&LIMITS) }
    }
}
