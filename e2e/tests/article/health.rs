//! S4 and S5: the health check fails first, and the listener closes later.

use anyhow::{Result, ensure};
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::{Arm, HTTP_IMAGE};
use crate::balancer::{self, Balanced};
use crate::observed::Observed;
use crate::record::{self, RIGHT};
use crate::stops::Stops;

pub(crate) fn tests() -> Vec<Test> {
    tests![a_balancer_that_polls_the_health_check_lets_go_in_time, the_listener_closes_after_a_wait]
}

/// The app's own wait, longer than the balancer needs, which is 1 s and two answers. The pod has no drain, so nothing
/// else waits.
const WAIT_MS: &str = "5000";

/// Requests per second of the balancer: some fall between the close of the listener and the next two checks.
const RATE: u32 = 10;

async fn a_balancer_that_polls_the_health_check_lets_go_in_time(environment: Environment) -> Result<()> {
    let failing = balanced(&environment, Arm::service("s4"));
    let passing = balanced(&environment, Arm::mistake("s4-health-stays-200", "health-stays-200"));
    let ((failing, right), (passing, wrong)) = tokio::try_join!(failing, passing)?;

    right.ensure_clean_in_phases()?;
    ensure!(failing.failed == 0 && failing.checks.contains_key("503"), "{failing:?}");
    ensure!(passing.failed > 0 && !passing.checks.contains_key("503"), "{passing:?}");
    record::right("S4", RIGHT, Facts { clients: failing.clients(), ..right.facts() })?;
    record::mistake("S4", "health stays 200", Facts { clients: passing.clients(), ..wrong.facts() })
}

/// Deletes one of two pods behind a balancer that has only their addresses.
async fn balanced(environment: &Environment, arm: Arm) -> Result<(Balanced, Observed)> {
    let arm = arm.annotated("drain", "0s").env("SHUTDOWN_WAIT_MS", WAIT_MS);
    let running = arm.start(environment).await?;
    let client = balancer::balance(&running, RATE).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    running.app.kubectl("delete pod").word(running.pod().await?).run().await?;
    let balanced: Balanced = client.stop().await?;
    eprintln!("    {balanced:?}");
    balanced.verify(RATE)?;
    let observed = running.observe(stops).await?;
    running.clean_up().await?;
    Ok((balanced, observed))
}

async fn the_listener_closes_after_a_wait(environment: Environment) -> Result<()> {
    // The small app, at a higher rate: the time in which a request can be dropped is short.
    let arm = |name, wait| Arm::of_image(name, HTTP_IMAGE).env("SHUTDOWN_WAIT_MS", wait).env("WORK_MS", "200");
    let in_app = arm("s5-in-app", "2500").annotated("drain", "0s").roll_out(&environment, rollouts()?);
    let in_hook = arm("s5-in-hook", "0").roll_out(&environment, rollouts()?);
    let nowhere = arm("s5-no-wait", "0").annotated("drain", "0s").roll_out(&environment, rollouts()?);
    let (in_app, in_hook, nowhere) = tokio::try_join!(in_app, in_hook, nowhere)?;

    in_app.ensure_clean()?;
    // Without a wait in the app, a kept connection may close while a request is on its way.
    ensure!(in_hook.load.as_ref().is_some_and(|load| load.new.failed == 0), "{in_hook}");
    ensure!(in_hook.all_exited_with(0) && in_hook.all_reported("clean"), "{in_hook}");
    ensure!(nowhere.load.as_ref().is_some_and(|load| load.new.failed > 0), "{nowhere}");
    record::right("S5", "waits in the app, no drain", in_app.facts())?;
    record::mistake("S5", "no wait in the app, no drain", nowhere.facts())?;
    record::right("S5", "no wait in the app, drain of 5 s by Winddown", in_hook.facts())
}
