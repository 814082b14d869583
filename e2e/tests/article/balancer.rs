//! A load balancer that sees only health checks.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::arm::Running;
use crate::client::{BALANCER, Client};
use crate::observed::MIN_RATE;

/// Its last line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Balanced {
    sent: u64,
    pub(crate) failed: u64,
    failures: BTreeMap<String, u64>,
    /// Answers of health checks, by status or error.
    pub(crate) checks: BTreeMap<String, u64>,
    actual_rate: f64,
}

/// Between two health checks of one target, in milliseconds.
const POLL_MS: &str = "500";

/// The same where it sends nothing else.
const QUICK_POLL_MS: &str = "200";

/// Sends this many requests per second to the pods of an app.
pub(crate) async fn balance(running: &Running, rate: u32) -> Result<Client> {
    start(running, &running.pod_targets().await?.join(","), rate, POLL_MS).await
}

/// Polls the health check of the pods of an app.
pub(crate) async fn poll_pods(running: &Running) -> Result<Client> {
    start(running, &running.pod_targets().await?.join(","), 0, QUICK_POLL_MS).await
}

/// Polls the health check of an app through its Service.
pub(crate) async fn poll_service(running: &Running) -> Result<Client> {
    start(running, &running.target(), 0, POLL_MS).await
}

async fn start(running: &Running, targets: &str, rate: u32, poll_ms: &str) -> Result<Client> {
    let rate = rate.to_string();
    let variables = [("TARGETS", targets), ("RATE", rate.as_str()), ("POLL_MS", poll_ms)];
    Client::start(&running.environment, BALANCER, &variables).await
}

impl Balanced {
    /// It kept its rate.
    pub(crate) fn verify(&self, rate: u32) -> Result<()> {
        ensure!(self.actual_rate >= MIN_RATE * f64::from(rate), "not {rate} requests/s: {self:?}");
        Ok(())
    }

    /// Requests and health checks in words.
    pub(crate) fn clients(&self) -> String {
        let failures = if self.failed == 0 { String::new() } else { format!(" ({})", list(&self.failures)) };
        format!("dropped: {} of {}{failures}, {}", self.failed, self.sent, self.health())
    }

    /// Health checks in words.
    pub(crate) fn health(&self) -> String {
        format!("health checks: {}", list(&self.checks))
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{count} × {name}")).collect::<Vec<_>>().join(", ")
}
