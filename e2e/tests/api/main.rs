//! Winddown on a real API server: the chart's webhooks and rights, the real binary, kubectl and helm.
//!
//! One API server serves all tests, each in a namespace of its own. Those that take something away from everybody (stop
//! the operator, break the webhook configurations) run while no other does.

#[path = "api/agreement.rs"]
mod agreement;
#[path = "api/certificates.rs"]
mod certificates;
#[path = "api/controller.rs"]
mod controller;
#[path = "api/denial.rs"]
mod denial;
#[path = "api/events.rs"]
mod events;
#[path = "api/grace_period.rs"]
mod grace_period;
#[path = "api/injection.rs"]
mod injection;
#[path = "api/kinds.rs"]
mod kinds;
#[path = "api/leadership.rs"]
mod leadership;
#[path = "api/manifest.rs"]
mod manifest;
#[path = "api/missed.rs"]
mod missed;
#[path = "api/modes.rs"]
mod modes;
#[path = "api/namespace.rs"]
mod namespace;
#[path = "api/ratchet.rs"]
mod ratchet;
#[path = "api/reapply.rs"]
mod reapply;
#[path = "api/request.rs"]
mod request;
#[path = "api/suite.rs"]
mod suite;
#[path = "api/undo.rs"]
mod undo;
#[path = "api/world.rs"]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::run(
        [
            injection::tests(),
            denial::tests(),
            grace_period::tests(),
            undo::tests(),
            modes::tests(),
            reapply::tests(),
            ratchet::tests(),
            events::tests(),
            missed::tests(),
            kinds::tests(),
            agreement::tests(),
            controller::tests(),
            leadership::tests(),
            certificates::tests(),
        ]
        .concat(),
    )
}
