//! The exit codes of the commands that evaluate or check something.

use std::process::ExitCode;

/// The result of a command; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Nothing was found.
    Success = 0,
    /// Something was found: a finding of a severity that counts, a check that failed, or a shutdown or a removal that did not end
    /// as expected.
    Findings = 1,
    /// The command line or a part of the input cannot be used, or an answer is missing.
    Unusable = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
