//! The article half of the cluster tests: what the article asks of an app, row by row, each with its mistakes as controls.
//! Run it with `PART=article e2e/cluster-tests`.
//!
//! Tests run at the same time. Each arm has its own namespace.

mod arm;
mod observed;
mod signals;
mod stops;

use std::process::ExitCode;
use std::time::Duration;

use winddown_e2e::suite::{self, Suite};

const SUITE: Suite = Suite { threads: 2, limit: Duration::from_mins(20) };

fn main() -> ExitCode {
    suite::run(SUITE, [signals::tests()].concat())
}
