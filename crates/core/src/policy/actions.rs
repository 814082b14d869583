//! What a misfit and a number above a limit get.

use serde::{Deserialize, Serialize};

use super::InvalidPolicy;

/// An item of `spec.validationActions`, with the meaning that it has in a `ValidatingAdmissionPolicyBinding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValidationAction {
    /// The request is rejected.
    Deny,
    /// The client gets a warning.
    Warn,
    /// The audit log gets an annotation.
    Audit,
}

/// What a misfit gets in the response to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
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

    /// What the client gets.
    #[must_use]
    pub fn rejection(self) -> Rejection {
        self.rejection
    }

    /// Whether the audit log gets an annotation.
    #[must_use]
    pub fn audit(self) -> bool {
        self.audit
    }
}

/// What an explicit grace period gets that is smaller than the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TooSmall {
    /// It is kept, and is a misfit.
    #[default]
    Deny,
    /// It is raised to the sum.
    Raise,
}
