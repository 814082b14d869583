//! Why a pod was stopped.

use std::fmt;

use crate::observation::{Condition, PodView, Timestamp};

/// Why a pod was stopped, as far as the API tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A newer template replaced its template.
    Rollout,
    /// The Deployment has fewer pods than before, with the same template.
    ScaleDown,
    /// A pod was deleted; another one with the same template replaces it.
    PodDeletion,
    /// A deletion that is one of the above, or of the whole workload: no other pod tells which.
    Deletion,
    /// The Eviction API: `kubectl drain`, a cluster autoscaler, a descheduler.
    Eviction,
    /// The scheduler needed the place for a pod of higher priority.
    SchedulerPreemption,
    /// A taint `NoExecute` of the node.
    TaintEviction,
    /// The node was gone.
    NodeLost,
    /// The kubelet lacked memory, disk or process IDs, or the pod exceeded a limit of ephemeral storage.
    NodePressure,
    /// The kubelet shut down with its node.
    NodeShutdown,
    /// The kubelet needed the place for a critical pod.
    KubeletPreemption,
    /// The kubelet ended the pod for another reason.
    Kubelet,
    /// It was removed from the API without waiting for its end.
    Forced,
}

impl Cause {
    /// The name in metrics and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rollout => "Rollout",
            Self::ScaleDown => "ScaleDown",
            Self::PodDeletion => "PodDeletion",
            Self::Deletion => "Deletion",
            Self::Eviction => "Eviction",
            Self::SchedulerPreemption => "SchedulerPreemption",
            Self::TaintEviction => "TaintEviction",
            Self::NodeLost => "NodeLost",
            Self::NodePressure => "NodePressure",
            Self::NodeShutdown => "NodeShutdown",
            Self::KubeletPreemption => "KubeletPreemption",
            Self::Kubelet => "Kubelet",
            Self::Forced => "Forced",
        }
    }

    /// Whether node or kubelet ended the pod, with a grace period of their own.
    #[must_use]
    pub const fn is_node(self) -> bool {
        matches!(
            self,
            Self::NodeLost | Self::NodePressure | Self::NodeShutdown | Self::KubeletPreemption | Self::Kubelet
        )
    }

    /// The cause that the pod itself names.
    pub(crate) fn named_by(pod: &PodView) -> Option<Self> {
        let disruption = condition(pod, "DisruptionTarget", "True").and_then(|condition| condition.reason.as_deref());
        Some(match (disruption, pod.status.reason.as_deref()) {
            (Some("EvictionByEvictionAPI"), _) => Self::Eviction,
            (Some("PreemptionByScheduler"), _) => Self::SchedulerPreemption,
            (Some("DeletionByTaintManager" | "DeletionByDeviceTaintManager"), _) => Self::TaintEviction,
            (Some("DeletionByPodGC"), _) | (_, Some("NodeLost")) => Self::NodeLost,
            (_, Some("Evicted")) => Self::NodePressure,
            (_, Some("Terminated" | "NodeShutdown" | "Shutdown")) => Self::NodeShutdown,
            (_, Some("Preempting")) => Self::KubeletPreemption,
            (Some("TerminationByKubelet"), _) => Self::Kubelet,
            _ => return None,
        })
    }
}

/// When a pod without a deletion request and without ends of its containers began to stop: the disruption that it names, or
/// the time at which it was no longer ready.
pub(crate) fn stopped_at(pod: &PodView) -> Option<Timestamp> {
    let times = [("DisruptionTarget", "True"), ("Ready", "False")]
        .map(|(kind, status)| condition(pod, kind, status)?.last_transition_time.as_ref().map(Timestamp::from));
    times.into_iter().flatten().max()
}

fn condition<'a>(pod: &'a PodView, kind: &str, status: &str) -> Option<&'a Condition> {
    // A pod has a handful of conditions; the API does not limit them.
    let mut conditions = pod.status.conditions.iter().take(64);
    conditions.find(|condition| condition.kind == kind && condition.status == status)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Cause, PodView};

    #[test]
    fn a_disruption_names_the_cause_and_the_reason_of_the_kubelet_refines_it() {
        for (condition, reason, expected) in [
            (Some("EvictionByEvictionAPI"), None, Some(Cause::Eviction)),
            (Some("PreemptionByScheduler"), None, Some(Cause::SchedulerPreemption)),
            (Some("DeletionByTaintManager"), None, Some(Cause::TaintEviction)),
            (Some("DeletionByDeviceTaintManager"), None, Some(Cause::TaintEviction)),
            (Some("DeletionByPodGC"), None, Some(Cause::NodeLost)),
            (Some("TerminationByKubelet"), Some("Evicted"), Some(Cause::NodePressure)),
            (None, Some("Evicted"), Some(Cause::NodePressure)),
            (Some("TerminationByKubelet"), Some("Terminated"), Some(Cause::NodeShutdown)),
            (Some("TerminationByKubelet"), Some("Preempting"), Some(Cause::KubeletPreemption)),
            (Some("TerminationByKubelet"), None, Some(Cause::Kubelet)),
            (None, None, None),
        ] {
            let conditions =
                condition.map(|reason| json!({"type": "DisruptionTarget", "status": "True", "reason": reason}));
            let status = json!({"conditions": conditions.as_slice(), "reason": reason});
            let pod: PodView = serde_json::from_value(json!({"status": status})).unwrap();
            assert_eq!(Cause::named_by(&pod), expected, "{status}");
        }
        let withdrawn = json!({"type": "DisruptionTarget", "status": "False", "reason": "EvictionByEvictionAPI"});
        let pod: PodView = serde_json::from_value(json!({"status": {"conditions": [withdrawn]}})).unwrap();
        assert_eq!(Cause::named_by(&pod), None);
    }
}
