//! S6: resources close in phases, and one that fails does not stop the others.

use anyhow::{Result, ensure};
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::Arm;
use crate::balancer::{self, Balanced};
use crate::observed::Observed;
use crate::record::{self, RIGHT};
use crate::servers;
use crate::stops::{Stop, Stops};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_client_that_cannot_close_does_not_stop_the_others]
}

/// Longer than closing a client that cannot close takes: 3 s, first the worker of the jobs, then the client itself.
const DEADLINE: &str = "10s";

/// The clients that can still close when Redis is down.
const SOUND: [&str; 2] = ["closed mongodb", "closed kafka"];

async fn a_client_that_cannot_close_does_not_stop_the_others(environment: Environment) -> Result<()> {
    let up = stop(&environment, Arm::service("s6"), false);
    let down = stop(&environment, Arm::service("s6-redis-down"), true);
    let all = stop(&environment, Arm::mistake("s6-promise-all", "promise-all"), true);
    let (up, down, all) = tokio::try_join!(up, down, all)?;

    up.observed.ensure_clean_in_phases()?;
    down.observed.ensure_clean_in_phases()?;
    let events = logged(&down);
    ensure!(SOUND.iter().all(|closed| events.iter().any(|event| event == closed)), "{SOUND:?} in {events:?}");
    ensure!(events.iter().any(|event| event == "step-failed redis"), "Redis was not down: {events:?}");

    ensure!(all.observed.all_exited_with(1) && all.observed.all_reported("failed"), "{}", all.observed);
    let events = logged(&all);
    ensure!(!SOUND.iter().all(|closed| events.iter().any(|event| event == closed)), "{events:?}");
    record::right("S6", RIGHT, up.facts())?;
    record::right("S6", "as it should be, Redis already down", down.facts())?;
    record::mistake("S6", "`Promise.all`, Redis already down", all.facts())
}

/// One pod that was deleted, and its health checks meanwhile.
struct Stopped {
    observed: Observed,
    balanced: Balanced,
}

/// Deletes the pod, after Redis or not.
async fn stop(environment: &Environment, arm: Arm, redis_first: bool) -> Result<Stopped> {
    let running = arm.alone().annotated("deadline", DEADLINE).start(environment).await?;
    let client = balancer::poll_pods(&running).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    if redis_first {
        servers::stop_redis(&running.environment).await?;
    }
    running.app.kubectl("delete pod").word(running.pod().await?).run().await?;
    let balanced = client.stop().await?;
    let observed = running.observe(stops).await?;
    running.clean_up().await?;
    Ok(Stopped { observed, balanced })
}

impl Stopped {
    fn facts(&self) -> Facts {
        Facts { clients: self.balanced.health(), ..self.observed.facts() }
    }
}

fn logged(stopped: &Stopped) -> Vec<String> {
    stopped.observed.stops.iter().flat_map(Stop::events).collect()
}
