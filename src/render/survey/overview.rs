//! The numbers of a survey.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use crate::render::workload::Workload;
use winddown_core::current_shutdown::LossCause;
use winddown_core::finding::{Code, Severity};
use winddown_core::object::Object;

/// How many workloads there are, and what is wrong with how many of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    pub(crate) workloads: usize,
    pub(crate) namespaces: usize,
    /// Those whose requests are known: with a budget of their own or an assumed one.
    pub(crate) evaluated: usize,
    /// Of these, those that take requests.
    pub(crate) take_requests: usize,
    /// Of these, those of which a rollout can drop requests today.
    pub(crate) can_drop_requests: usize,
    /// Workloads with assumed annotations.
    pub(crate) assumed: usize,
    /// Workloads whose pods Winddown would change.
    pub(crate) would_change: usize,
    /// Workloads that another object controls.
    pub(crate) owned: usize,
    /// The findings that are errors, and the workloads that have some.
    pub(crate) errors: usize,
    pub(crate) workloads_with_errors: usize,
    /// The findings that are warnings, and the workloads that have some.
    pub(crate) warnings: usize,
    pub(crate) workloads_with_warnings: usize,
    /// The number of workloads for each cause, the most frequent first.
    #[serde(serialize_with = "causes")]
    pub(crate) causes: Vec<(LossCause, usize)>,
    /// Errors first, then by the number of workloads.
    pub(crate) codes: Vec<Count>,
}

/// How often a code was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Count {
    pub(crate) code: Code,
    pub(crate) severity: Severity,
    pub(crate) workloads: usize,
}

impl Overview {
    pub(crate) fn of(workloads: &[Workload]) -> Self {
        let number =
            |matches: &dyn Fn(&Workload) -> bool| workloads.iter().filter(|workload| matches(workload)).count();
        let takes_requests =
            |workload: &Workload| workload.current.as_ref().is_some_and(|current| current.takes_requests == Some(true));
        let findings = |severity| workloads.iter().map(|workload| workload.count(severity)).sum();
        let namespaces: BTreeSet<_> =
            workloads.iter().map(|workload| Object::new(&workload.object).namespace()).collect();
        Self {
            workloads: workloads.len(),
            namespaces: namespaces.len(),
            evaluated: number(&|workload| workload.current.is_some()),
            take_requests: number(&takes_requests),
            can_drop_requests: number(&|workload| !workload.losses().is_empty()),
            assumed: number(&|workload| workload.assumed.is_some()),
            would_change: number(&|workload| workload.evaluation.changes.rolls_out()),
            owned: number(&|workload| workload.owner().is_some()),
            errors: findings(Severity::Error),
            workloads_with_errors: number(&|workload| workload.count(Severity::Error) > 0),
            warnings: findings(Severity::Warning),
            workloads_with_warnings: number(&|workload| workload.count(Severity::Warning) > 0),
            causes: count_causes(workloads),
            codes: count_codes(workloads),
        }
    }
}

fn count_causes(workloads: &[Workload]) -> Vec<(LossCause, usize)> {
    let mut counts = BTreeMap::new();
    for loss in workloads.iter().flat_map(Workload::losses) {
        *counts.entry(loss.cause).or_default() += 1;
    }
    let mut counts: Vec<(LossCause, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// Without the findings for information.
fn count_codes(workloads: &[Workload]) -> Vec<Count> {
    let mut counts: BTreeMap<Code, (Severity, usize)> = BTreeMap::new();
    for workload in workloads {
        let mut severities: BTreeMap<Code, Severity> = BTreeMap::new();
        for finding in &workload.evaluation.findings {
            let worst = severities.entry(finding.code).or_insert(finding.severity);
            *worst = finding.severity.max(*worst);
        }
        for (code, severity) in severities {
            let (worst, count) = counts.entry(code).or_insert((severity, 0));
            *worst = severity.max(*worst);
            *count += 1;
        }
    }
    let mut counts: Vec<_> =
        counts.into_iter().map(|(code, (severity, workloads))| Count { code, severity, workloads }).collect();
    counts.retain(|count| count.severity >= Severity::Warning);
    counts.sort_by_key(|count| (std::cmp::Reverse((count.severity, count.workloads)), count.code));
    counts
}

fn causes<S: Serializer>(causes: &[(LossCause, usize)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(causes.iter().map(|(cause, count)| (cause.as_str(), count)))
}
