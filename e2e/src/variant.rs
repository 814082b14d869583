//! One variant of the experiment: a Deployment that is restarted repeatedly under two kinds of load.

use std::time::Duration;

use anyhow::{Result, bail};
use kube::Client;
use serde::Serialize;
use tokio::time::sleep;

use crate::load::{Connections, Counts, Generator, Load, delete_generators};
use crate::progress::Progress;
use crate::rollout::App;

/// The size of the experiment.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Number of restarts.
    pub rollouts: u32,
    /// Requests per second, for each kind of load.
    pub rate: u32,
}

/// The result of one variant for one kind of load.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The name of the variant.
    pub name: &'static str,
    /// The kind of load.
    pub connections: Connections,
    /// Number of restarts under load.
    pub rollouts: u32,
    /// All requests sent during the restarts.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Load without a rollout, before the first one and after the last one.
const IDLE: Duration = Duration::from_secs(2);

/// Attempts to start the load generators.
const ATTEMPTS: u32 = 3;

/// The upper bound for one rollout; it limits the duration of the load.
const MAX_ROLLOUT: Duration = Duration::from_mins(2);

/// Restarts the app under load from new pods and counts every request.
pub async fn run(client: &Client, app: &App, name: &'static str, scale: Scale, progress: Progress) -> Result<[Row; 2]> {
    let result = restart_under_load(client, app, name, scale, progress).await;
    if result.is_err() {
        // The first error is the one to report.
        let _ = delete_generators(client, &app.namespace).await;
    }
    result
}

/// Starts both generators and checks that no request fails without a rollout. Connections to a new Service are refused
/// until kube-proxy on the generators' node has programmed it; in that case new generators with new counts are started.
pub(crate) async fn start_generators(client: &Client, new: &Load, kept: &Load) -> Result<(Generator, Generator)> {
    let mut failed = 0;
    for _ in 0..ATTEMPTS {
        let generators = tokio::try_join!(Generator::start(client, new), Generator::start(client, kept))?;
        sleep(IDLE).await;
        failed = generators.0.current()?.failed + generators.1.current()?.failed;
        if failed == 0 {
            return Ok(generators);
        }
        delete_generators(client, &new.namespace).await?;
    }
    bail!("{failed} requests failed before the first rollout")
}

async fn restart_under_load(
    client: &Client,
    app: &App,
    name: &'static str,
    scale: Scale,
    progress: Progress,
) -> Result<[Row; 2]> {
    let Scale { rollouts, rate } = scale;
    let load = |connections| Load {
        namespace: app.namespace.clone(),
        service: app.name.clone(),
        rate,
        connections,
        max_duration: MAX_ROLLOUT * (rollouts + 1),
    };
    let (new, kept) = start_generators(client, &load(Connections::New), &load(Connections::Kept)).await?;
    for rollout in 1..=rollouts {
        let seconds = app.restart().await?.as_secs_f32();
        let counts = [("new", new.current()?), ("kept", kept.current()?)]
            .map(|(connections, counts)| format!("{connections} {:5} sent, {:4} failed", counts.sent, counts.failed))
            .join("   ");
        progress.report(format_args!("  rollout {rollout:2} of {rollouts}  {seconds:5.1} s   total: {counts}"));
    }
    sleep(IDLE).await;
    let (new, kept) = tokio::try_join!(new.stop(), kept.stop())?;
    let row = |connections, counts| Row { name, connections, rollouts, counts };
    Ok([row(Connections::New, new.counts), row(Connections::Kept, kept.counts)])
}
