//! The `winddown` binary: the operator and the command line.

use std::process::ExitCode;

use clap::Parser as _;
use winddown::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
