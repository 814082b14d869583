//! `kubectl winddown`, also on an app under load, over new and over kept connections.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::Client;
use tokio::time::sleep;

use crate::command::{CommandLine, Output};
use crate::load::{Connections, Finished, Load, delete_generators};
use crate::rollout::App;
use crate::variant::start_generators;

/// Load after the end of the drill.
const AFTER: Duration = Duration::from_secs(1);

/// The upper bound for one drill.
const MAX_DURATION: Duration = Duration::from_mins(5);

/// A command, and what the clients saw meanwhile.
pub struct Drilled {
    /// The result of the command.
    pub output: Output,
    /// The requests over new connections.
    pub new: Finished,
    /// The requests over kept connections.
    pub kept: Finished,
}

/// The plugin, as kubectl finds it on `PATH`.
#[must_use]
pub fn plugin(words: &str) -> CommandLine {
    CommandLine::new("kubectl winddown").words(words)
}

/// Runs a drill on an app under load.
pub async fn under_load(client: &Client, app: &App, rate: u32, words: &str) -> Result<Drilled> {
    let command = plugin("drill").word(format!("deploy/{}", app.name)).word("-n").word(&app.namespace).words(words);
    command_under_load(client, app, rate, &command).await
}

/// Runs a command while an app is under load.
pub async fn command_under_load(client: &Client, app: &App, rate: u32, command: &CommandLine) -> Result<Drilled> {
    let result = run(client, app, rate, command).await;
    if result.is_err() {
        // The first error is the one to report.
        let _ = delete_generators(client, &app.namespace).await;
    }
    result
}

async fn run(client: &Client, app: &App, rate: u32, command: &CommandLine) -> Result<Drilled> {
    let load = |connections| Load {
        namespace: app.namespace.clone(),
        service: app.name.clone(),
        rate,
        connections,
        max_duration: MAX_DURATION,
    };
    let (new, kept) = start_generators(client, &load(Connections::New), &load(Connections::Kept)).await?;
    let output = command.output().await?;
    sleep(AFTER).await;
    let (new, kept) = tokio::try_join!(new.stop(), kept.stop())?;
    ensure!(new.counts.sent > 0 && kept.counts.sent > 0, "no request was sent");
    Ok(Drilled { output, new, kept })
}
