//! From findings to a decision: what is denied, what is warned of, what is merely noted.

use crate::annotations::Mode;
use crate::evaluation::Settlement;
use crate::finding::{Finding, Severity};

/// What admission does about a settlement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Reasons to refuse the request; empty lets it pass.
    pub denials: Vec<Finding>,
    /// Shown to whoever made the request.
    pub warnings: Vec<Finding>,
    /// For the audit log.
    pub notes: Vec<Finding>,
}

/// Judges an object by its settlement, and by that of the object it replaces.
///
/// A ratchet: an error that stood there before, number for number, is only warned of, so that a hotfix or a rollback
/// in the middle of an incident goes through.
#[must_use]
pub fn judge(now: &Settlement, before: Option<&Settlement>) -> Verdict {
    let mut verdict = Verdict::default();
    for finding in &now.findings {
        let stood_before = before.is_some_and(|before| before.findings.iter().any(|old| old.is_the_same_as(finding)));
        let place = match finding.severity {
            Severity::Error if now.mode == Mode::Enforce && !stood_before => &mut verdict.denials,
            Severity::Error | Severity::Warning => &mut verdict.warnings,
            Severity::Info => &mut verdict.notes,
        };
        place.push(finding.clone());
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::annotations::Mode;
    use crate::evaluation::Settlement;
    use crate::finding::{Code, Finding};

    fn settlement(mode: Mode, findings: &[Finding]) -> Settlement {
        let desired = serde_json::Value::Null;
        Settlement { mode, budget: None, timeline: None, findings: findings.to_vec(), desired }
    }

    #[test]
    fn an_error_is_denied_where_it_is_new_and_warned_of_where_it_stood_before() {
        let misfit = |sum: &str| Finding::new(Code::BudgetDoesNotFit, "spec", sum);
        let (small, large) = ([misfit("35s of 30s")], [misfit("50s of 30s")]);
        for (mode, before, denied) in [
            (Mode::Enforce, None, true),
            (Mode::Enforce, Some(&[][..]), true),
            (Mode::Enforce, Some(&large[..]), true),
            (Mode::Enforce, Some(&small[..]), false),
            (Mode::Audit, None, false),
        ] {
            let before = before.map(|findings| settlement(Mode::Enforce, findings));
            let verdict = judge(&settlement(mode, &small), before.as_ref());
            assert_eq!((verdict.denials.len(), verdict.warnings.len()), (denied.into(), (!denied).into()), "{mode:?}");
        }
    }

    #[test]
    fn what_stands_beside_an_old_error_may_change() {
        let error = |message: &str| [Finding::new(Code::ContainerNotFound, "annotation", message)];
        let before = settlement(Mode::Enforce, &error("\"x\" is not a container of this pod; there are app"));
        for (message, denied) in [
            ("\"x\" is not a container of this pod; there are app, proxy", false),
            ("\"y\" is not a container of this pod; there are app", true),
        ] {
            let verdict = judge(&settlement(Mode::Enforce, &error(message)), Some(&before));
            assert_eq!(!verdict.denials.is_empty(), denied, "{message}");
        }
    }

    #[test]
    fn warnings_are_shown_and_infos_are_noted() {
        let warning = Finding::new(Code::PreStopShort, "spec", "short");
        let info = Finding::new(Code::DrainOptedOut, "spec", "none");
        let verdict = judge(&settlement(Mode::Enforce, &[warning.clone(), info.clone()]), None);
        assert_eq!((verdict.denials, verdict.warnings, verdict.notes), (vec![], vec![warning], vec![info]));
    }
}
