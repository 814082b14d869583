//! S12: `WebSocket`s need a close frame of their own.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::Arm;
use crate::client::{Client, WEB_SOCKETS};
use crate::observed::Observed;
use crate::record::{self, RIGHT};

pub(crate) fn tests() -> Vec<Test> {
    tests![web_sockets_get_a_close_frame]
}

const CLIENTS: &str = "20";

/// The last line of the client.
#[derive(Debug, Deserialize)]
struct Closed {
    /// How often a `WebSocket` was closed with a code.
    codes: BTreeMap<String, u64>,
}

/// The server goes away.
const GOING_AWAY: &str = "1001";
/// No close frame was received.
const ABNORMAL: &str = "1006";

async fn web_sockets_get_a_close_frame(environment: Environment) -> Result<()> {
    let right = roll_out(&environment, Arm::service("s12"), rollouts()?);
    let forgotten = roll_out(&environment, Arm::mistake("s12-forgotten", "websocket-forgotten"), 1);
    let ((right, closed), (forgotten, lost)) = tokio::try_join!(right, forgotten)?;

    right.ensure_clean_in_phases()?;
    ensure!(closed.codes.keys().eq([GOING_AWAY]), "{closed:?}");
    ensure!(lost.codes.contains_key(ABNORMAL) && !lost.codes.contains_key(GOING_AWAY), "{lost:?}");
    // All clients may have connected to one of the pods, before kube-proxy knew the other: that one exits with 0.
    let failed = forgotten.exited_with(1);
    ensure!(failed > 0 && forgotten.reported("failed") == failed, "{forgotten}");
    record::right("S12", RIGHT, closed.facts(&right))?;
    record::mistake("S12", "WebSockets forgotten", lost.facts(&forgotten))
}

async fn roll_out(environment: &Environment, arm: Arm, rollouts: u32) -> Result<(Observed, Closed)> {
    let running = arm.start(environment).await?;
    let target = format!("ws://{}/ws", running.app.name());
    let variables = [("TARGET", target.as_str()), ("CLIENTS", CLIENTS)];
    let client = Client::start(&running.environment, WEB_SOCKETS, &variables).await?;
    let loaded = running.load().await?;
    loaded.roll_out(rollouts).await?;
    let closed: Closed = client.stop().await?;
    let observed = loaded.end(rollouts).await?;
    eprintln!("    {closed:?}");
    running.clean_up().await?;
    Ok((observed, closed))
}

impl Closed {
    fn facts(&self, observed: &Observed) -> Facts {
        let codes: Vec<_> = self.codes.iter().map(|(code, count)| format!("{count} × close code {code}")).collect();
        let facts = observed.facts();
        Facts { clients: format!("{}; {}", codes.join(", "), facts.clients), ..facts }
    }
}
