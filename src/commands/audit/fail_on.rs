//! The value of `--fail-on`: what makes the exit code 1.

use clap::ValueEnum;

use crate::exit::Exit;
use crate::render::survey::Survey;
use crate::render::workload::Workload;
use winddown_core::current_shutdown::LossCause;
use winddown_core::finding::Severity;

/// What exits with 1. Several values are judged independently of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// A finding that is an error or a warning
    Warning,
    /// A finding that is an error
    #[default]
    Error,
    /// A workload of which a rollout can drop requests today: yes in the column DROPS
    DroppedRequests,
}

/// One that is found outweighs one that is unknown.
pub(super) fn judge(wanted: &[FailOn], survey: &Survey, workloads: &[Workload]) -> Exit {
    let exits = wanted.iter().map(|wanted| match wanted {
        FailOn::Warning => findings(Severity::Warning, workloads),
        FailOn::Error => findings(Severity::Error, workloads),
        FailOn::DroppedRequests => dropped_requests(survey, workloads),
    });
    let exits: Vec<_> = exits.collect();
    [Exit::Findings, Exit::Unusable].into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Success)
}

fn findings(least: Severity, workloads: &[Workload]) -> Exit {
    if workloads.iter().any(|workload| workload.has(least)) { Exit::Findings } else { Exit::Success }
}

/// Unknown where Services could not be read, or findings that name a cause are withheld.
fn dropped_requests(survey: &Survey, workloads: &[Workload]) -> Exit {
    if workloads.iter().any(|workload| !workload.losses().is_empty()) {
        return Exit::Findings;
    }
    let current = || workloads.iter().filter_map(|workload| workload.current.as_ref());
    let is_withheld = survey.withheld.iter().any(|code| LossCause::of(*code).is_some());
    let takes_requests = |takes: Option<bool>| current().any(|current| current.takes_requests == takes);
    let is_unknown = takes_requests(None) || is_withheld && takes_requests(Some(true));
    if is_unknown { Exit::Unusable } else { Exit::Success }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Exit, FailOn, Workload, judge};
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

    #[test]
    fn each_value_fails_on_what_it_names() {
        use FailOn::{DroppedRequests, Error, Warning};
        let unprobed = || workload("unprobed", |it| container(it)["readinessProbe"] = Value::Null);
        for (wanted, found, exit) in [
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
        ] {
            let names: Vec<_> = found.iter().map(Workload::title).collect();
            assert_eq!(judge(wanted, &survey(), &found), exit, "{wanted:?} {names:?}");
        }
    }

    #[test]
    fn where_a_finding_that_names_a_cause_is_withheld_losses_are_unknown() {
        for (code, exit) in [(Code::SingleStatefulPod, Exit::Unusable), (Code::SurgeCost, Exit::Success)] {
            let mut survey = survey();
            survey.withheld = vec![code];
            assert_eq!(judge(&[FailOn::DroppedRequests], &survey, &[fine()]), exit, "{code:?}");
            assert_eq!(judge(&[FailOn::DroppedRequests], &survey, &[drops()]), Exit::Findings);
        }
    }
}
