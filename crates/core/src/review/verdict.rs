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
    let Evaluation { mode, findings, actions, .. } = evaluation;
    let may_deny = mode == Mode::Enforce && findings.iter().any(Finding::is_error);
    let before = if may_deny { before() } else { None };
    let before: HashSet<_> = before.iter().flat_map(|before| &before.findings).map(Finding::identity).collect();
    let existed = |finding: &Finding| before.contains(&finding.identity());
    let mut verdict = Verdict::default();
    for finding in findings {
        if actions.audits(&finding) && finding.severity != Severity::Info {
            verdict.notes.push(finding.clone());
        }
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
    use crate::policy::{ValidationAction, ValidationActions};

    fn evaluation(mode: Mode, findings: &[Finding]) -> Evaluation {
        Evaluation {
            mode,
            declared: true,
            budget: None,
            timeline: None,
            fits: false,
            findings: findings.to_vec(),
            actions: ValidationActions::default(),
            injected: None,
            waiting: false,
            changes: Changes::default(),
        }
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
    fn the_actions_of_a_policy_say_what_a_misfit_gets_and_an_unreadable_annotation_is_always_denied() {
        use ValidationAction::{Audit, Deny, Warn};
        let field = || FieldPath::new("metadata.annotations");
        let unreadable = Finding::new(Code::InvalidAnnotation, Severity::Error, field(), "is not a duration");
        for (actions, mode, expected) in [
            (&[Deny][..], None, [1, 0, 0]),
            (&[Deny, Audit], None, [1, 0, 1]),
            (&[Warn], None, [0, 1, 0]),
            (&[Warn, Audit], None, [0, 1, 1]),
            (&[Audit], None, [0, 0, 1]),
            (&[Audit], Some("Enforce"), [1, 0, 1]),
            (&[Warn], Some("Enforce"), [1, 0, 0]),
            (&[Deny], Some("Audit"), [0, 1, 0]),
        ] {
            let actions = ValidationActions::new(actions).unwrap().under(mode);
            let mode = mode.map_or(Mode::Enforce, |mode| mode.parse().unwrap());
            let judged = |finding: Finding| {
                let finding = actions.applied_to(finding);
                judge(Evaluation { actions, ..evaluation(mode, &[finding]) }, || None)
            };
            let verdict = judged(misfit(35));
            let sizes = [&verdict.denials, &verdict.warnings, &verdict.notes].map(Vec::len);
            assert_eq!(sizes, expected, "{actions:?} {mode:?}");
            assert_eq!(judged(unreadable.clone()).denials.is_empty(), mode == Mode::Audit, "{actions:?} {mode:?}");
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
