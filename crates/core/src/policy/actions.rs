//! What a misfit and a number above a limit get.

use serde::{Deserialize, Serialize};

use super::InvalidPolicy;
use crate::finding::{Finding, Severity};

/// An item of `spec.validationActions`, with the meaning that it has in a `ValidatingAdmissionPolicyBinding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ValidationAction {
    /// The request is rejected.
    Deny,
    /// The client gets a warning.
    Warn,
    /// The audit log gets an annotation.
    Audit,
}

/// What a misfit or a number above a limit gets in the response to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rejection {
    /// The request is rejected.
    Deny,
    /// The client gets a warning.
    Warn,
    /// Nothing.
    None,
}

/// A set of [`ValidationAction`]s that is not empty and does not have both `Deny` and `Warn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidationActions {
    rejection: Rejection,
    audit: bool,
}

impl Default for ValidationActions {
    /// Those of the built-in policy: only `Deny`.
    fn default() -> Self {
        Self { rejection: Rejection::Deny, audit: false }
    }
}

impl ValidationActions {
    /// The set of these items.
    pub fn new(actions: &[ValidationAction]) -> Result<Self, InvalidPolicy> {
        let has = |action| actions.contains(&action);
        let rejection = match (has(ValidationAction::Deny), has(ValidationAction::Warn)) {
            (true, true) => return Err(InvalidPolicy::DenyAndWarn),
            (true, false) => Rejection::Deny,
            (false, true) => Rejection::Warn,
            (false, false) if actions.is_empty() => return Err(InvalidPolicy::NoAction),
            (false, false) => Rejection::None,
        };
        Ok(Self { rejection, audit: has(ValidationAction::Audit) })
    }

    /// Those for a workload with this mode, if it has one of its own: Enforce denies.
    #[must_use]
    pub fn under(self, mode: Option<&str>) -> Self {
        let rejection = if mode == Some("Enforce") { Rejection::Deny } else { self.rejection };
        Self { rejection, ..self }
    }

    /// The finding with the severity that has this effect.
    #[must_use]
    pub(crate) fn applied_to(self, finding: Finding) -> Finding {
        if !finding.is_error() || !finding.code.follows_validation_actions() {
            return finding;
        }
        let severity = match self.rejection {
            Rejection::Deny => Severity::Error,
            Rejection::Warn => Severity::Warning,
            Rejection::None => Severity::Info,
        };
        finding.with_severity(severity)
    }

    /// Whether the audit log gets an annotation about the finding.
    #[must_use]
    pub(crate) fn audits(self, finding: &Finding) -> bool {
        self.audit && finding.code.follows_validation_actions()
    }
}

/// What an explicit grace period gets that is smaller than the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TooSmall {
    /// It is kept, and is a misfit.
    #[default]
    Deny,
    /// It is raised to the sum.
    Raise,
}
