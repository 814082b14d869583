//! The value of `--fail-on`: which severity exits with 1.

use clap::ValueEnum;

use winddown_core::finding::Severity;

/// The severities of `--fail-on`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Warnings and errors
    Warning,
    /// Only errors
    #[default]
    Error,
}

impl FailOn {
    /// The lowest severity that counts.
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Warning => Severity::Warning,
            Self::Error => Severity::Error,
        }
    }
}
