//! The operator half of the cluster tests: Winddown installed with helm on a kind cluster, real pods, and rollouts under load.
//! Run them with e2e/cluster-tests.
//!
//! Each test sets up Winddown and its own namespace as it needs them.

mod certificates;
mod drill;
mod emergency;
mod example;
mod installation;
mod kinds;
mod observation;
mod outage;
mod plugin;
mod termination;
mod traffic;
mod upgrade;

use std::process::ExitCode;
use std::time::Duration;

use winddown_e2e::suite;

/// For one test.
const LIMIT: Duration = Duration::from_mins(10);

fn main() -> ExitCode {
    suite::run(
        LIMIT,
        [
            installation::tests(),
            certificates::tests(),
            outage::tests(),
            emergency::tests(),
            upgrade::tests(),
            termination::tests(),
            kinds::tests(),
            observation::tests(),
            plugin::tests(),
            drill::tests(),
            traffic::tests(),
        ]
        .concat(),
    )
}
