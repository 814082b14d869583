//! The subcommands, each from its arguments to its exit code.

#[cfg(feature = "operator")]
pub mod check_install;
pub mod completions;
pub mod explain;
pub mod plan;
#[cfg(feature = "operator")]
pub mod run;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// Does what the command line asks for.
#[must_use]
pub fn dispatch(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Plan(arguments) => plan::command(&arguments),
        Command::Explain(arguments) => explain::command(&arguments),
        Command::Completions(arguments) => completions::command(&arguments),
        #[cfg(feature = "operator")]
        Command::Run(arguments) => run::command(*arguments),
        #[cfg(feature = "operator")]
        Command::CheckInstall(arguments) => check_install::command(&arguments),
    }
}

/// Runs a future to its end, on threads for as many CPUs as there are.
#[cfg(feature = "operator")]
fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    // A lookup of a name may still block a thread; nobody waits for it.
    runtime.shutdown_background();
    Ok(output)
}
