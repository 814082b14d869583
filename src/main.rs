//! The `winddown` binary: operator and command line.

use std::process::ExitCode;

use clap::Parser as _;
use winddown::cli::Cli;
use winddown::commands;

fn main() -> ExitCode {
    commands::dispatch(Cli::parse())
}
