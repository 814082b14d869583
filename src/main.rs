//! The `winddown` binary: the operator, the command line, and, under the name `kubectl-winddown`, a plugin of kubectl.

use std::process::ExitCode;

use winddown::cli::{Cli, Program};

fn main() -> ExitCode {
    let program = Program::named(std::env::args_os().next().as_deref());
    Cli::parse_as(program).run(program)
}
