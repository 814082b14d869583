//! A rollout step that takes longer than `progressDeadlineSeconds`.

use super::{Strategy, Workload};
use crate::budget::Budget;
use crate::duration::Seconds;
use crate::pod::ports;

/// A rollout step that waits for a stopping pod for longer than `progressDeadlineSeconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlowStep {
    /// `progressDeadlineSeconds`.
    pub(crate) progress_deadline: Seconds,
    /// How long the old pod takes to stop.
    pub(crate) budget: Seconds,
    /// `minReadySeconds` of the new pod.
    pub(crate) min_ready: Seconds,
    /// Whether every step waits for a stopping pod. If not, a step does so only if there is no room for another pod.
    pub(crate) always_waits: bool,
}

impl SlowStep {
    /// `None` if each step is fast enough, and for workloads without a progress deadline.
    pub(crate) fn of(workload: &Workload, budget: &Budget) -> Option<Self> {
        let step = Self {
            progress_deadline: workload.rollout.progress_deadline?,
            budget: budget.needed(),
            min_ready: workload.rollout.min_ready,
            always_waits: always_waits(workload),
        };
        (step.progress_deadline < step.total()).then_some(step)
    }

    /// How long the step takes.
    pub(crate) fn total(&self) -> Seconds {
        self.budget.plus(self.min_ready)
    }
}

/// Whether no new pod can start before an old one has exited: because of the strategy, or because both use the same port
/// of a node.
fn always_waits(workload: &Workload) -> bool {
    workload.rollout.strategy == Strategy::Recreate || ports::binds_node_ports(&workload.pod)
}
