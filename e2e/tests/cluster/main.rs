//! Cluster tests: Winddown installed with helm on a kind cluster, real pods, and rollouts under load.
//! Run them with e2e/cluster-tests.
//!
//! The tests run one at a time. Each one sets up Winddown and its own namespace as it needs them.

mod certificates;
mod emergency;
mod environment;
mod example;
mod installation;
mod kinds;
mod observation;
mod outage;
mod suite;
mod termination;
mod traffic;
mod upgrade;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::run(
        [
            installation::tests(),
            certificates::tests(),
            outage::tests(),
            emergency::tests(),
            upgrade::tests(),
            termination::tests(),
            kinds::tests(),
            observation::tests(),
            traffic::tests(),
        ]
        .concat(),
    )
}
