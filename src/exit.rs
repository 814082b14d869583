//! The exit codes of the commands that evaluate or check something.

use std::process::ExitCode;

use clap::ValueEnum;

use winddown_core::finding::Severity;

/// The result of a command; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Nothing was found.
    Success = 0,
    /// There is a finding of the severity that counts.
    Findings = 1,
    /// The command line or a part of the input cannot be used, or an answer is missing.
    Unusable = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The severities of `--fail-on`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Warnings and errors
    Warning,
    /// Only errors
    #[default]
    Error,
}

impl FailOn {
    /// The lowest severity that counts.
    pub(crate) fn severity(self) -> Severity {
        match self {
            Self::Warning => Severity::Warning,
            Self::Error => Severity::Error,
        }
    }
}
