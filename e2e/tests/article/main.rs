//! The article half of the cluster tests: what the article asks of an app, row by row, each with its mistakes as controls.
//! Run it with `PART=article e2e/cluster-tests`.
//!
//! Tests run at the same time. Each arm has its own namespace.

mod arm;
mod client;
mod deadline;
mod kill;
mod observed;
mod phases;
mod robust;
mod servers;
mod signals;
mod stops;
mod template;

use std::process::ExitCode;
use std::time::Duration;

use winddown_e2e::suite::{self, Suite};

/// Two cores are busy with two tests: each has two or three arms, whose apps start and stop.
const SUITE: Suite = Suite { threads: 2, limit: Duration::from_mins(20) };

fn main() -> ExitCode {
    let tests =
        [signals::tests(), deadline::tests(), phases::tests(), template::tests(), robust::tests(), kill::tests()];
    let code = suite::run(SUITE, tests.concat());
    if let Err(error) = servers::remove() {
        eprintln!("article: {error:#}");
        return ExitCode::FAILURE;
    }
    code
}
