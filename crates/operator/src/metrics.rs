//! The metrics of this process, in the text format of Prometheus (`OpenMetrics` 1.0.0).
//!
//! Where the meaning is that of controller-runtime or client-go, name and labels are theirs, so that dashboards and alerts
//! for them also work here. Every label has a type or a bounded set of values.

mod api_requests;
mod exposition;
mod family;
mod histogram;
mod observation;
mod process;
mod reconciliations;
mod reviews;
mod server;
mod shutdowns;
mod statuses;
mod workloads;

use std::sync::Arc;

pub(crate) use api_requests::ApiRequests;
pub(crate) use exposition::Exposition;
#[cfg(test)]
pub(crate) use exposition::tests::text;
pub use family::{Family, Type};
pub(crate) use observation::{Observed, Seen};
pub(crate) use reconciliations::Reconciliations;
pub(crate) use reviews::{Reviews, counted};
pub(crate) use server::serve;
pub(crate) use shutdowns::Shutdowns;
#[cfg(test)]
pub(crate) use shutdowns::tests::stop;
pub(crate) use statuses::{Statuses, Written};
pub(crate) use workloads::Workloads;

/// Every family that the operator exports.
pub const FAMILIES: [Family; 30] = [
    reviews::LATENCY,
    reviews::REQUESTS,
    reviews::IN_FLIGHT,
    reconciliations::TOTAL,
    reconciliations::TIME,
    api_requests::TOTAL,
    exposition::LEADER,
    workloads::FINDINGS,
    workloads::BUDGETS,
    statuses::PODS,
    statuses::CONDITIONS,
    statuses::WRITES,
    statuses::BACKLOG,
    shutdowns::TOTAL,
    shutdowns::DURATION,
    shutdowns::WITHDRAWAL,
    shutdowns::CAUSES,
    shutdowns::LOST,
    observation::PODS,
    observation::SYNCED,
    observation::LOST_SIGHT,
    observation::MISSED,
    observation::RELISTS,
    observation::UNTRACKED,
    observation::NODE_DRAIN,
    exposition::BUILD,
    process::CPU,
    process::MEMORY,
    process::FILES,
    process::START,
];

/// What the parts of the operator count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) reviews: Arc<Reviews>,
    pub(crate) reconciliations: Arc<Reconciliations>,
    pub(crate) api_requests: ApiRequests,
    pub(crate) workloads: Arc<Workloads>,
    pub(crate) statuses: Arc<Statuses>,
    pub(crate) shutdowns: Arc<Shutdowns>,
    pub(crate) observed: Arc<Observed>,
}

impl Metrics {
    pub(crate) fn new(per_workload: bool) -> Self {
        Self {
            workloads: Arc::new(Workloads::new(per_workload)),
            statuses: Arc::new(Statuses::new(per_workload)),
            shutdowns: Arc::new(Shutdowns::new(per_workload)),
            ..Self::default()
        }
    }
}
