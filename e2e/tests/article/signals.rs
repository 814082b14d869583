//! S1, S10, S11: what the app does on SIGTERM, and on SIGINT where the image asks for it.

use anyhow::{Result, ensure};
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::Arm;
use crate::record::{self, RIGHT};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        open_requests_are_finished_after_sigterm,
        open_requests_are_finished_after_sigint,
        an_exit_at_once_resets_open_requests,
    ]
}

/// The image of the service with `STOPSIGNAL SIGINT`.
const SIGINT_IMAGE: &str = "winddown.local/node-service-sigint:dev";

async fn open_requests_are_finished_after_sigterm(environment: Environment) -> Result<()> {
    let handled = Arm::service("s1").roll_out(&environment, rollouts()?);
    let first = Arm::mistake("s1-no-handler", "no-handler").roll_out(&environment, 1);
    let under_init = Arm::mistake("s1-no-handler-init", "no-handler").under_an_init().roll_out(&environment, 1);
    let (handled, first, under_init) = tokio::try_join!(handled, first, under_init)?;

    handled.ensure_clean_in_phases()?;
    // SIGTERM without a handler: the kernel ignores it for the first process of a PID namespace, and it ends others.
    ensure!(first.dropped() > 0 && first.all_exited_with(137) && first.all_reported("killed"), "{first}");
    // A signal ends it in time, so the operator reports it as clean.
    let ended = under_init.all_exited_with(143) && under_init.all_reported("clean");
    ensure!(under_init.dropped() > 0 && ended, "{under_init}");
    record::right("S1", RIGHT, handled.facts())?;
    record::mistake("S1", "no handler, first process of the container", first.facts())?;
    record::mistake("S1", "no handler, under an init", under_init.facts())
}

async fn open_requests_are_finished_after_sigint(environment: Environment) -> Result<()> {
    let handled = Arm::service("s10").image(SIGINT_IMAGE).roll_out(&environment, rollouts()?);
    let unhandled = Arm::mistake("s10-unhandled", "sigint-unhandled").image(SIGINT_IMAGE);
    let unhandled = unhandled.under_an_init().roll_out(&environment, 1);
    let (handled, unhandled) = tokio::try_join!(handled, unhandled)?;

    handled.ensure_clean_in_phases()?;
    let signals: Vec<_> =
        handled.stops.iter().filter_map(|stop| stop.line("begun")?.fields["reason"].as_str()).collect();
    ensure!(signals.iter().all(|signal| *signal == "SIGINT") && !signals.is_empty(), "{signals:?}");
    let ended = unhandled.all_exited_with(130) && unhandled.all_reported("clean");
    ensure!(unhandled.dropped() > 0 && ended, "{unhandled}");
    record::right("S10", RIGHT, handled.facts())?;
    record::mistake("S10", "SIGINT unhandled", unhandled.facts())
}

async fn an_exit_at_once_resets_open_requests(environment: Environment) -> Result<()> {
    let in_order = Arm::service("s11").roll_out(&environment, rollouts()?);
    let at_once = Arm::mistake("s11-exit-at-once", "exit-at-once").roll_out(&environment, 1);
    let (in_order, at_once) = tokio::try_join!(in_order, at_once)?;

    in_order.ensure_clean_in_phases()?;
    // Its exit code says nothing of the requests that it dropped, so the operator cannot either.
    ensure!(at_once.dropped() > 0 && at_once.all_exited_with(0) && at_once.all_reported("clean"), "{at_once}");
    record::right("S11", RIGHT, in_order.facts())?;
    record::mistake("S11", "exits at once", at_once.facts())
}
