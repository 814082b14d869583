//! Winddown on a real cluster: installed with helm, with real pods, and rollouts under load. e2e/cluster-tests runs it.
//!
//! The tests run one after the other, and each brings Winddown and its own namespace to where it starts from.

#[path = "cluster/example.rs"]
mod example;
#[path = "cluster/installation.rs"]
mod installation;
#[path = "cluster/kinds.rs"]
mod kinds;
#[path = "cluster/outage.rs"]
mod outage;
#[path = "cluster/suite.rs"]
mod suite;
#[path = "cluster/termination.rs"]
mod termination;
#[path = "cluster/traffic.rs"]
mod traffic;
#[path = "cluster/trust.rs"]
mod trust;
#[path = "cluster/upgrade.rs"]
mod upgrade;
#[path = "cluster/world.rs"]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::run(
        [
            installation::tests(),
            trust::tests(),
            outage::tests(),
            upgrade::tests(),
            termination::tests(),
            kinds::tests(),
            traffic::tests(),
        ]
        .concat(),
    )
}
