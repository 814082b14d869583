//! The order of a rehearsal: nothing is evicted before everything was checked, asked and looked at again.

/// A step with one pod, after it was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Would the API server evict the pod?
    DryRun,
    /// Would it admit the measuring container?
    DryRunOfContainer,
    /// The question to the user.
    Ask,
    /// The watches of the pod start, and show it.
    Watch,
    /// The workload and the pod are read once more: much may have changed in the meantime.
    LookAgain,
    /// The container joins the pod, and records for a while.
    Measure,
    /// The pod is evicted and followed to its end.
    Evict,
}

/// What the user wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Whether the traffic is measured.
    pub measure: bool,
    /// Whether to ask; only before the first pod.
    pub ask: bool,
}

impl Step {
    /// The steps for a pod, in order; `first` is whether no pod was evicted before.
    #[must_use]
    pub fn all(wanted: Wanted, first: bool) -> Vec<Self> {
        let Wanted { measure, ask } = wanted;
        let if_measured = |step: Self| measure.then_some(step);
        [
            Some(Self::DryRun),
            if_measured(Self::DryRunOfContainer),
            (ask && first).then_some(Self::Ask),
            Some(Self::Watch),
            // Before the container, whose entry cannot be removed, and after it, as it takes a while to start.
            if_measured(Self::LookAgain),
            if_measured(Self::Measure),
            Some(Self::LookAgain),
            Some(Self::Evict),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_evicted_last_and_once_after_every_check() {
        for (measure, ask, first) in [
            (false, false, false),
            (false, false, true),
            (false, true, false),
            (false, true, true),
            (true, false, false),
            (true, false, true),
            (true, true, false),
            (true, true, true),
        ] {
            let steps = Step::all(Wanted { measure, ask }, first);
            let at = |step| steps.iter().position(|other| *other == step);
            assert_eq!(steps.iter().filter(|step| **step == Step::Evict).count(), 1, "{steps:?}");
            // The pod is looked at between everything that takes long and what cannot be undone.
            assert!(steps.ends_with(&[Step::LookAgain, Step::Evict]), "{steps:?}");
            assert_eq!((at(Step::DryRun), at(Step::Ask).is_some()), (Some(0), ask && first), "{steps:?}");
            assert_eq!(at(Step::Measure).is_some(), measure, "{steps:?}");
            if let Some(measured) = at(Step::Measure) {
                assert_eq!(at(Step::DryRunOfContainer), Some(1), "{steps:?}");
                assert_eq!(steps[measured - 1], Step::LookAgain, "{steps:?}");
                assert!(at(Step::Ask) < Some(measured) && at(Step::Watch) < Some(measured), "{steps:?}");
            }
            assert!(at(Step::Ask) < at(Step::Watch), "{steps:?}");
        }
    }
}
