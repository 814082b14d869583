//! The `winddown` binary: the operator, the command line, and, under the name `kubectl-winddown`, a plugin of kubectl.

use std::process::ExitCode;

use winddown::cli::{Cli, Program};
use winddown::commands::completions;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next();
    let program = Program::named(name.as_deref());
    if Program::is_completion(name.as_deref()) {
        return completions::answer(Program::Plugin.command_line(), words);
    }
    Cli::parse_as(program).run(program)
}
