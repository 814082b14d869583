//! What the app does on SIGTERM.

use anyhow::{Result, ensure};
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::{Arm, HTTP_IMAGE};

pub(crate) fn tests() -> Vec<Test> {
    tests![open_requests_are_finished_after_sigterm, an_exit_at_once_resets_open_requests]
}

async fn open_requests_are_finished_after_sigterm(environment: Environment) -> Result<()> {
    let handled = Arm::of_image("s1", HTTP_IMAGE).roll_out(&environment, rollouts()?);
    let no_handler = |name| Arm::of_image(name, HTTP_IMAGE).env("MISTAKE", "no-handler");
    let first = no_handler("s1-no-handler").roll_out(&environment, 1);
    let under_init = no_handler("s1-no-handler-init").under_an_init().roll_out(&environment, 1);
    let (handled, first, under_init) = tokio::try_join!(handled, first, under_init)?;

    handled.ensure_clean()?;
    // SIGTERM without a handler: the kernel ignores it for the first process of a PID namespace, and it ends others.
    ensure!(first.dropped() > 0 && first.all_exited_with(137) && first.all_reported("killed"), "{first}");
    ensure!(under_init.dropped() > 0 && under_init.all_exited_with(143), "{under_init}");
    Ok(())
}

async fn an_exit_at_once_resets_open_requests(environment: Environment) -> Result<()> {
    let in_order = Arm::of_image("s11", HTTP_IMAGE).roll_out(&environment, rollouts()?);
    let at_once = Arm::of_image("s11-exit-at-once", HTTP_IMAGE).env("MISTAKE", "exit-at-once");
    let at_once = at_once.roll_out(&environment, 1);
    let (in_order, at_once) = tokio::try_join!(in_order, at_once)?;

    in_order.ensure_clean()?;
    // Its exit code says nothing of the requests that it dropped, so the operator cannot either.
    ensure!(at_once.dropped() > 0 && at_once.all_exited_with(0) && at_once.all_reported("clean"), "{at_once}");
    Ok(())
}
