//! `winddown run`: runs the operator.

use std::process::ExitCode;

use crate::message::message;
use winddown_core::error_chain::ErrorChain;
use winddown_operator::{run, telemetry};

/// The end of `winddown run --help`.
const EXIT_CODES: &str = "\
Exit codes:
  0  stopped by SIGTERM or SIGINT
  1  an error, which is logged
  2  the command line is invalid";

/// Flags of `winddown run`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    operator: run::Arguments,
    #[command(flatten)]
    telemetry: telemetry::Arguments,
}

/// Runs the operator. Returns 0 after a signal and 1 after an error.
#[must_use]
pub fn command(arguments: Arguments) -> ExitCode {
    winddown_operator::limit_unused_memory();
    if let Err(error) = telemetry::install(&arguments.telemetry) {
        message!("winddown: {}", ErrorChain(&error));
        return ExitCode::FAILURE;
    }
    match super::block_on(run::run(arguments.operator)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!("{}", ErrorChain(&error));
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!("cannot start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}
