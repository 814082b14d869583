//! The value of `--fail-on`: what makes the exit code 1.

use clap::ValueEnum;

use crate::exit::Exit;
use crate::render::survey::Survey;
use crate::render::workload::Workload;
use winddown_core::current_shutdown::LossCause;
use winddown_core::finding::Severity;

/// A reason to exit with 1: one value of `--fail-on`. Several are judged independently of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailureReason {
    /// A finding that is an error or a warning
    Warning,
    /// A finding that is an error
    Error,
    /// A workload of which a rollout can drop requests today: yes in the column DROPS
    DroppedRequests,
}

/// One that is found outweighs one that is unknown.
pub(super) fn judge(reasons: &[FailureReason], survey: &Survey, workloads: &[Workload]) -> Exit {
    let exits: Vec<_> = reasons
        .iter()
        .map(|reason| match reason {
            FailureReason::Warning => findings(Severity::Warning, workloads),
            FailureReason::Error => findings(Severity::Error, workloads),
            FailureReason::DroppedRequests => dropped_requests(survey, workloads),
        })
        .collect();
    [Exit::Findings, Exit::Unusable].into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Success)
}

fn findings(least: Severity, workloads: &[Workload]) -> Exit {
    if workloads.iter().any(|workload| workload.has(least)) { Exit::Findings } else { Exit::Success }
}

/// Unknown where Services could not be read, findings that name a cause are withheld, or a workload was not judged, as with
/// `winddown.dev/mode: Off`.
fn dropped_requests(survey: &Survey, workloads: &[Workload]) -> Exit {
    if workloads.iter().any(|workload| !workload.losses().is_empty()) {
        return Exit::Findings;
    }
    let current = || workloads.iter().filter_map(|workload| workload.current.as_ref());
    let is_withheld = survey.withheld.iter().any(|code| LossCause::of(*code).is_some());
    let takes_requests = |takes: Option<bool>| current().any(|current| current.takes_requests == takes);
    let is_unjudged = workloads.iter().any(|workload| workload.current.is_none());
    let is_unknown = is_unjudged || takes_requests(None) || is_withheld && takes_requests(Some(true));
    if is_unknown { Exit::Unusable } else { Exit::Success }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Exit, FailureReason, Workload, judge};
    use crate::render::survey::tests::{container, survey, workload};
    use winddown_core::finding::Code;

    fn drops() -> Workload {
        workload("drops", |it| container(it)["lifecycle"] = Value::Null)
    }

    fn misfit() -> Workload {
        workload("misfit", |it| it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20))
    }

    fn fine() -> Workload {
        workload("fine", |_| ())
    }

    /// It lists no port, and the Services are unknown.
    fn unknown() -> Workload {
        let mut workload = fine();
        workload.current.as_mut().unwrap().takes_requests = None;
        workload
    }

    /// As with `winddown.dev/mode: Off`.
    fn unjudged() -> Workload {
        let mut workload = fine();
        workload.current = None;
        workload
    }

    #[test]
    fn each_value_fails_on_what_it_names() {
        use FailureReason::{DroppedRequests, Error, Warning};
        let unprobed = || workload("unprobed", |it| container(it)["readinessProbe"] = Value::Null);
        for (reasons, found, exit) in [
            (&[Error][..], vec![fine(), drops()], Exit::Success),
            (&[Error], vec![misfit()], Exit::Findings),
            (&[Error], vec![unprobed()], Exit::Success),
            (&[Warning], vec![unprobed()], Exit::Findings),
            (&[Warning], vec![drops()], Exit::Success),
            (&[DroppedRequests], vec![fine()], Exit::Success),
            (&[DroppedRequests], vec![fine(), drops()], Exit::Findings),
            (&[Error, DroppedRequests], vec![drops()], Exit::Findings),
            (&[Error, DroppedRequests], vec![fine()], Exit::Success),
            (&[DroppedRequests], vec![unknown()], Exit::Unusable),
            (&[DroppedRequests], vec![unknown(), drops()], Exit::Findings),
            (&[Error, DroppedRequests], vec![unknown(), misfit()], Exit::Findings),
            (&[Error], vec![unknown()], Exit::Success),
            (&[DroppedRequests], vec![unjudged()], Exit::Unusable),
            (&[Error], vec![unjudged()], Exit::Success),
        ] {
            let names: Vec<_> = found.iter().map(Workload::title).collect();
            assert_eq!(judge(reasons, &survey(), &found), exit, "{reasons:?} {names:?}");
        }
    }

    #[test]
    fn where_a_finding_that_names_a_cause_is_withheld_losses_are_unknown() {
        for (code, exit) in [(Code::SingleStatefulPod, Exit::Unusable), (Code::SurgeCost, Exit::Success)] {
            let mut survey = survey();
            survey.withheld = vec![code];
            assert_eq!(judge(&[FailureReason::DroppedRequests], &survey, &[fine()]), exit, "{code:?}");
            assert_eq!(judge(&[FailureReason::DroppedRequests], &survey, &[drops()]), Exit::Findings);
        }
    }
}
