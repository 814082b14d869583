//! Decides which findings are a denial, a warning or a note for the audit log.

use std::collections::HashSet;

use crate::annotations::Mode;
use crate::evaluation::Evaluation;
use crate::finding::{Finding, Severity};

/// The decision of the validating webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The reasons to reject the request; if empty, it is allowed.
    pub denials: Vec<Finding>,
    /// Shown to the client that made the request.
    pub warnings: Vec<Finding>,
    /// For the audit log.
    pub notes: Vec<Finding>,
}

/// Decides by the evaluation of an object, and by that of the replaced object, which is computed only if it is needed.
///
/// A pre-existing error with the same facts only causes a warning, so that a hotfix or a rollback during an incident is
/// allowed.
#[must_use]
pub fn judge(evaluation: Evaluation, before: impl FnOnce() -> Option<Evaluation>) -> Verdict {
    let Evaluation { mode, findings, .. } = evaluation;
    let may_deny = mode == Mode::Enforce && findings.iter().any(Finding::is_error);
    let before = if may_deny { before() } else { None };
    let before: HashSet<_> = before.iter().flat_map(|before| &before.findings).map(Finding::identity).collect();
    let existed = |finding: &Finding| before.contains(&finding.identity());
    let mut verdict = Verdict::default();
    for finding in findings {
        let place = match finding.severity {
            Severity::Error if may_deny && !existed(&finding) => &mut verdict.denials,
            Severity::Error | Severity::Warning => &mut verdict.warnings,
            Severity::Info => &mut verdict.notes,
        };
        place.push(finding);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::annotations::Mode;
    use crate::duration::Seconds;
    use crate::evaluation::{Changes, Evaluation};
    use crate::field_path::FieldPath;
    use crate::finding::{Code, Finding, Severity};

    fn evaluation(mode: Mode, findings: &[Finding]) -> Evaluation {
        let changes = Changes::default();
        Evaluation { mode, budget: None, timeline: None, findings: findings.to_vec(), injected: None, changes }
    }

    fn misfit(needed: u32) -> Finding {
        Finding::new(Code::BudgetDoesNotFit, Severity::Error, FieldPath::new("spec"), format!("{needed}s of 30s"))
            .fact(Seconds::new(needed))
    }

    #[test]
    fn a_new_error_is_denied_and_a_pre_existing_one_is_a_warning() {
        let (small, large) = ([misfit(35)], [misfit(50)]);
        for (mode, before, denied) in [
            (Mode::Enforce, None, true),
            (Mode::Enforce, Some(&[][..]), true),
            (Mode::Enforce, Some(&large[..]), true),
            (Mode::Enforce, Some(&small[..]), false),
            (Mode::Audit, None, false),
        ] {
            let before = before.map(|findings| evaluation(Mode::Enforce, findings));
            let verdict = judge(evaluation(mode, &small), || before);
            assert_eq!((verdict.denials.len(), verdict.warnings.len()), (denied.into(), (!denied).into()), "{mode:?}");
        }
    }

    #[test]
    fn text_and_hint_of_a_pre_existing_error_are_not_compared() {
        let unknown = |name: &str, hint: &str| {
            let field = FieldPath::new("metadata.annotations");
            let problem = format!("{name} is not a container of this pod");
            [Finding::new(Code::ContainerNotFound, Severity::Error, field, problem).fact(name).hint(hint)]
        };
        let before = evaluation(Mode::Enforce, &unknown("x", "containers: app"));
        for (findings, denied) in
            [(unknown("x", "containers: app, proxy"), false), (unknown("y", "containers: app"), true)]
        {
            let verdict = judge(evaluation(Mode::Enforce, &findings), || Some(before.clone()));
            assert_eq!(!verdict.denials.is_empty(), denied, "{findings:?}");
        }
    }

    #[test]
    fn the_replaced_object_is_only_evaluated_for_an_error_that_could_be_denied() {
        let warning = Finding::new(Code::PreStopShort, Severity::Warning, FieldPath::new("spec"), "short");
        for (mode, finding) in [(Mode::Enforce, warning), (Mode::Audit, misfit(35))] {
            let _ = judge(evaluation(mode, &[finding]), || panic!("it was evaluated"));
        }
    }

    #[test]
    fn warnings_are_shown_and_infos_are_noted() {
        let warning = Finding::new(Code::PreStopShort, Severity::Warning, FieldPath::new("spec"), "short");
        let info = Finding::new(Code::DrainOptedOut, Severity::Info, FieldPath::new("spec"), "none");
        let verdict = judge(evaluation(Mode::Enforce, &[warning.clone(), info.clone()]), || None);
        assert_eq!((verdict.denials, verdict.warnings, verdict.notes), (vec![], vec![warning], vec![info]));
    }
}
