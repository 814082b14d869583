//! S6: resources close in phases, and one that fails does not stop the others.

use anyhow::{Result, ensure};
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::Arm;
use crate::observed::Observed;
use crate::record::{self, RIGHT};
use crate::servers;
use crate::stops::{Stop, Stops};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_client_that_cannot_close_does_not_stop_the_others]
}

/// What the service logs, in order; the clients of the last phase close together.
const PHASES: [&str; 4] = ["listeners-closed", "connections-closed", "phase-finished 1", "phase-finished 2"];

/// Longer than closing a client that cannot close takes: 3 s, first the worker of the jobs, then the client itself.
const DEADLINE: &str = "10s";

/// The clients that can still close when Redis is down.
const SOUND: [&str; 2] = ["closed mongodb", "closed kafka"];

async fn a_client_that_cannot_close_does_not_stop_the_others(environment: Environment) -> Result<()> {
    let up = stop(&environment, Arm::service("s6"), false);
    let down = stop(&environment, Arm::service("s6-redis-down"), true);
    let all = stop(&environment, Arm::mistake("s6-promise-all", "promise-all"), true);
    let (up, down, all) = tokio::try_join!(up, down, all)?;

    up.ensure_clean()?;
    down.ensure_clean()?;
    for observed in [&up, &down] {
        let events = logged(observed);
        let positions: Vec<_> = PHASES.iter().map(|phase| events.iter().position(|event| event == phase)).collect();
        ensure!(positions.iter().all(Option::is_some) && positions.is_sorted(), "{PHASES:?} in {events:?}");
    }
    let events = logged(&down);
    ensure!(SOUND.iter().all(|closed| events.iter().any(|event| event == closed)), "{SOUND:?} in {events:?}");
    ensure!(events.iter().any(|event| event == "step-failed redis"), "Redis was not down: {events:?}");

    ensure!(all.all_exited_with(1) && all.all_reported("failed"), "{all}");
    let events = logged(&all);
    ensure!(!SOUND.iter().all(|closed| events.iter().any(|event| event == closed)), "{events:?}");
    record::right("S6", RIGHT, up.facts());
    record::right("S6", "as it should be, Redis already down", down.facts());
    record::mistake("S6", "`Promise.all`, Redis already down", all.facts());
    Ok(())
}

/// Deletes the pod, after Redis or not.
async fn stop(environment: &Environment, arm: Arm, redis_first: bool) -> Result<Observed> {
    let running = arm.alone().annotated("deadline", DEADLINE).start(environment).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    if redis_first {
        servers::stop_redis(&running.environment).await?;
    }
    running.app.kubectl("delete pod").word(running.pod().await?).run().await?;
    let stops = stops.finish().await?;
    let budget = running.count(1).await?;
    let observed = Observed { name: running.app.name().to_owned(), load: None, stops, budget };
    eprintln!("{observed}");
    running.clean_up().await?;
    Ok(observed)
}

fn logged(observed: &Observed) -> Vec<String> {
    observed.stops.iter().flat_map(Stop::events).collect()
}
