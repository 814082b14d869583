//! One arm of the experiment: a Deployment restarted again and again under two kinds of load.

use std::time::Duration;

use kube::Client;
use serde::Serialize;
use tokio::time::sleep;

use crate::load::{self, Connections, Count, Generator, Load};
use crate::narrator::Narrator;
use crate::rollout::{self, App};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Restarts.
    pub rollouts: u32,
    /// Requests a second over new connections, and as many over kept ones.
    pub rate: u32,
}

/// What one kind of load met in one arm.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The arm.
    pub name: &'static str,
    /// The kind of load.
    pub connections: Connections,
    /// Restarts under load.
    pub rollouts: u32,
    /// Every request that was sent meanwhile.
    #[serde(flatten)]
    pub count: Count,
}

/// Why an arm has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No count.
    #[error(transparent)]
    Load(#[from] load::Error),
    /// No rollout.
    #[error(transparent)]
    Rollout(#[from] rollout::Error),
    /// What fails by itself says nothing about rollouts.
    #[error("{0} requests failed before the first rollout")]
    Unwell(u64),
}

/// Load before the first rollout and after the last one.
const QUIET: Duration = Duration::from_secs(2);

/// How often the generators start before something is wrong with more than the start.
const ATTEMPTS: u32 = 3;

/// The most that a rollout may take on average; load ends by itself after that.
const ROLLOUT: Duration = Duration::from_mins(2);

/// Restarts the app under load from new pods, and accounts for every request.
pub async fn run(
    client: &Client,
    app: &App,
    name: &'static str,
    scale: Scale,
    narrator: Narrator,
) -> Result<[Row; 2], Error> {
    let result = under_load(client, app, name, scale, narrator).await;
    if result.is_err() {
        // The error says more than a failure to tidy up after it.
        let _ = load::end_all(client, &app.namespace).await;
    }
    result
}

/// Both generators, once nothing fails by itself. A Service that was made just now is refused until the node of the
/// generators knows it, so they start anew, with accounts of their own.
async fn undisturbed(client: &Client, new: &Load, kept: &Load) -> Result<(Generator, Generator), Error> {
    let mut failed = 0;
    for _ in 0..ATTEMPTS {
        let generators = tokio::try_join!(Generator::start(client, new), Generator::start(client, kept))?;
        sleep(QUIET).await;
        failed = generators.0.so_far()?.failed + generators.1.so_far()?.failed;
        if failed == 0 {
            return Ok(generators);
        }
        load::end_all(client, &new.namespace).await?;
    }
    Err(Error::Unwell(failed))
}

async fn under_load(
    client: &Client,
    app: &App,
    name: &'static str,
    scale: Scale,
    narrator: Narrator,
) -> Result<[Row; 2], Error> {
    let Scale { rollouts, rate } = scale;
    let load = |connections| Load {
        namespace: app.namespace.clone(),
        service: app.name.clone(),
        rate,
        connections,
        at_most: ROLLOUT * (rollouts + 1),
    };
    let (new, kept) = undisturbed(client, &load(Connections::New), &load(Connections::Kept)).await?;
    for rollout in 1..=rollouts {
        let took = app.restart().await?.as_secs_f32();
        let so_far = [("new", new.so_far()?), ("kept", kept.so_far()?)]
            .map(|(connections, count)| format!("{connections} {:5} sent, {:4} failed", count.sent, count.failed))
            .join("   ");
        narrator.say(format_args!("  rollout {rollout:2} of {rollouts}  {took:5.1} s   so far: {so_far}"));
    }
    sleep(QUIET).await;
    let (new, kept) = tokio::try_join!(new.stop(), kept.stop())?;
    let row = |connections, count| Row { name, connections, rollouts, count };
    Ok([row(Connections::New, new), row(Connections::Kept, kept)])
}
