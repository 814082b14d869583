//! S4 and S5: the health check fails first, and the listener closes later.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::{Arm, HTTP_IMAGE};
use crate::client::{BALANCER, Client};
use crate::observed::Observed;
use crate::record::{self, RIGHT};
use crate::stops::Stops;

pub(crate) fn tests() -> Vec<Test> {
    tests![a_balancer_that_polls_the_health_check_lets_go_in_time, the_listener_closes_after_a_wait]
}

/// The app's own wait, longer than the balancer's period of 1 s. The pod has no drain, so nothing else waits.
const WAIT_MS: &str = "2500";

/// Requests per second of the balancer: some fall into the time between two checks.
const RATE: &str = "20";

/// The last line of the balancer.
#[derive(Debug, Deserialize)]
struct Balanced {
    sent: u64,
    failed: u64,
    failures: BTreeMap<String, u64>,
    /// Answers of health checks, by status.
    checks: BTreeMap<String, u64>,
}

async fn a_balancer_that_polls_the_health_check_lets_go_in_time(environment: Environment) -> Result<()> {
    let failing = balanced(&environment, Arm::service("s4"));
    let passing = balanced(&environment, Arm::mistake("s4-health-stays-200", "health-stays-200"));
    let ((failing, right), (passing, wrong)) = tokio::try_join!(failing, passing)?;

    right.ensure_clean()?;
    ensure!(failing.failed == 0 && failing.checks.contains_key("503"), "{failing:?}");
    ensure!(passing.failed > 0 && !passing.checks.contains_key("503"), "{passing:?}");
    record::right("S4", RIGHT, failing.facts(&right));
    record::mistake("S4", "health stays 200", passing.facts(&wrong));
    Ok(())
}

/// Deletes one of two pods behind a balancer that knows only their addresses.
async fn balanced(environment: &Environment, arm: Arm) -> Result<(Balanced, Observed)> {
    let arm = arm.annotated("drain", "0s").env("SHUTDOWN_WAIT_MS", WAIT_MS);
    let running = arm.start(environment).await?;
    let targets = running.pod_targets().await?.join(",");
    let variables = [("TARGETS", targets.as_str()), ("RATE", RATE)];
    let client = Client::start(&running.environment, BALANCER, &variables).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    running.app.kubectl("delete pod").word(running.pod().await?).run().await?;
    let stops = stops.finish().await?;
    let balanced: Balanced = client.stop().await?;
    let budget = running.count(1).await?;
    let observed = Observed { name: running.app.name().to_owned(), load: None, stops, budget };
    eprintln!("{observed}\n    {balanced:?}");
    running.clean_up().await?;
    Ok((balanced, observed))
}

impl Balanced {
    fn facts(&self, observed: &Observed) -> Facts {
        let list = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(name, count)| format!("{count} × {name}")).collect::<Vec<_>>().join(", ")
        };
        let failures = if self.failed == 0 { String::new() } else { format!(" ({})", list(&self.failures)) };
        let dropped = format!("dropped: {} of {}{failures}", self.failed, self.sent);
        Facts { clients: format!("{dropped}; health checks: {}", list(&self.checks)), ..observed.facts() }
    }
}

async fn the_listener_closes_after_a_wait(environment: Environment) -> Result<()> {
    // The small app, at a higher rate: the time in which a request can be dropped is short.
    let arm = |name, wait| Arm::of_image(name, HTTP_IMAGE).env("SHUTDOWN_WAIT_MS", wait).env("WORK_MS", "200");
    let in_app = arm("s5-in-app", WAIT_MS).annotated("drain", "0s").roll_out(&environment, rollouts()?);
    let in_hook = arm("s5-in-hook", "0").roll_out(&environment, rollouts()?);
    let nowhere = arm("s5-no-wait", "0").annotated("drain", "0s").roll_out(&environment, rollouts()?);
    let (in_app, in_hook, nowhere) = tokio::try_join!(in_app, in_hook, nowhere)?;

    in_app.ensure_clean()?;
    ensure!(in_hook.load.as_ref().is_some_and(|load| load.new.failed == 0), "{in_hook}");
    ensure!(nowhere.load.as_ref().is_some_and(|load| load.new.failed > 0), "{nowhere}");
    record::right("S5", "waits in the app, no drain", in_app.facts());
    record::mistake("S5", "no wait in the app, no drain", nowhere.facts());
    record::right("S5", "no wait in the app, drain of 5 s by Winddown", in_hook.facts());
    Ok(())
}
