//! `winddown run`.

use std::process::ExitCode;

use winddown_operator::error_chain::ErrorChain;
use winddown_operator::{run, telemetry};

/// Flags of `winddown run`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Arguments {
    #[command(flatten)]
    operator: run::Arguments,
    #[command(flatten)]
    telemetry: telemetry::Arguments,
}

/// Runs the operator: 0 after a signal, 1 after an error.
#[must_use]
pub fn command(arguments: Arguments) -> ExitCode {
    if let Err(error) = telemetry::install(&arguments.telemetry) {
        eprintln!("winddown: {}", ErrorChain(&error));
        return ExitCode::FAILURE;
    }
    match super::block_on(run::run(arguments.operator)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!("{}", ErrorChain(&error));
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!("cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}
