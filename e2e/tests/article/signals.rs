//! S1 and S11: what the app does on SIGTERM.

use anyhow::{Result, ensure};
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::Arm;
use crate::observed::Observed;

pub(crate) fn tests() -> Vec<Test> {
    tests![open_requests_are_finished_after_sigterm, an_exit_at_once_resets_open_requests]
}

async fn open_requests_are_finished_after_sigterm(environment: Environment) -> Result<()> {
    let handled = roll_out(&environment, Arm::new("s1-handled", "node-http"), rollouts()?);
    let no_handler = Arm::new("s1-no-handler", "node-http").env("MISTAKE", "no-handler");
    let first = roll_out(&environment, no_handler, 1);
    let no_handler = Arm::new("s1-no-handler-init", "node-http").env("MISTAKE", "no-handler").under_an_init();
    let under_init = roll_out(&environment, no_handler, 1);
    let (handled, first, under_init) = tokio::try_join!(handled, first, under_init)?;

    handled.ensure_clean()?;
    // SIGTERM without a handler: the kernel ignores it for the first process of a PID namespace, and it ends others.
    ensure!(first.dropped() > 0 && first.all_exited_with(137) && first.reported("killed") == 2, "{first}");
    ensure!(under_init.dropped() > 0 && under_init.all_exited_with(143), "{under_init}");
    Ok(())
}

async fn an_exit_at_once_resets_open_requests(environment: Environment) -> Result<()> {
    let in_order = roll_out(&environment, Arm::new("s11-in-order", "node-http"), rollouts()?);
    let at_once = Arm::new("s11-exit-at-once", "node-http").env("MISTAKE", "exit-at-once");
    let at_once = roll_out(&environment, at_once, 1);
    let (in_order, at_once) = tokio::try_join!(in_order, at_once)?;

    in_order.ensure_clean()?;
    // Its exit code says nothing of the requests that it dropped.
    ensure!(at_once.dropped() > 0 && at_once.all_exited_with(0), "{at_once}");
    Ok(())
}

async fn roll_out(environment: &Environment, arm: Arm, rollouts: u32) -> Result<Observed> {
    arm.start(environment).await?.roll_out(rollouts).await
}
