//! What the operator costs when it starts beside many workloads that need nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use winddown_e2e::operator_process::Operator;

use super::installation::Installation;
use super::requests::whole;
use super::{Fleet, Stored};
use crate::usage::{Memory, Usage};
use crate::{Binary, progress};

/// Between two looks at the process.
const INTERVAL: Duration = Duration::from_millis(100);
/// The share of one CPU above which the operator is busy.
const BUSY: f64 = 0.1;
/// Over this time.
const WINDOW: usize = 5;
/// How long it has to rest. The last return of unused memory to the system is 30 s after the last large answer.
const REST: Duration = Duration::from_secs(40);
const LIMIT: Duration = Duration::from_mins(10);

/// The figures of one cold start.
#[derive(Debug, Serialize)]
pub(crate) struct Weight {
    pub(crate) binary: String,
    pub(crate) fleet: Fleet,
    pub(crate) workloads: usize,
    /// KiB: after the rest, and the peak until then.
    pub(crate) memory: Memory,
    /// Seconds from the start of the process until it was not busy any more.
    pub(crate) busy: f64,
    /// Seconds of CPU in this time.
    pub(crate) cpu: f64,
    /// The share of one CPU in the rest.
    pub(crate) cpu_at_rest: f64,
    /// By the operator's own metric.
    pub(crate) reconciliations: u64,
    /// Workloads with a budget in the operator's metrics.
    pub(crate) with_budget: u64,
    /// By the operator's own metric.
    pub(crate) requests: u64,
    /// GETs of single workloads.
    pub(crate) gets: u64,
    /// Lists of workloads: each page is one request.
    pub(crate) lists: u64,
    /// By verb and resource, without Leases.
    pub(crate) writes: BTreeMap<String, u64>,
    pub(crate) reads: BTreeMap<String, u64>,
}

/// Measures a cold start of each binary.
pub(crate) async fn run(stored: &Stored, binaries: &[Binary]) -> Result<Vec<Weight>> {
    let mut weights = Vec::new();
    for binary in binaries {
        let copy = stored.start(&binary.path).await?;
        progress(&format!("starting {}", binary.label));
        let weight = measure(&copy.installation, binary, stored).await?;
        let Weight { busy, cpu, memory, .. } = &weight;
        progress(&format!("{}: busy for {busy:.1} s, CPU {cpu:.1} s, {memory:?} in KiB", binary.label));
        weights.push(weight);
    }
    Ok(weights)
}

async fn measure(installation: &Installation, binary: &Binary, stored: &Stored) -> Result<Weight> {
    let before = installation.requests().await?;
    let start = Instant::now();
    let mut operator = installation.start_operator(&binary.path)?;
    let usage = usage(&operator).await?;
    let rest = rest(&usage, start).await?;
    let memory = usage.memory()?;
    ensure!(operator.is_healthy().await, "the operator does not run any more: {}", operator.log_tail());
    let requests = installation.requests().await?.since(&before);
    // Only now: the answer has megabytes.
    let metrics = operator.metrics().await;
    let total = |family: &str| sum(&metrics, family, "");
    let weight = Weight {
        binary: binary.label.clone(),
        fleet: stored.fleet,
        workloads: stored.workloads,
        memory,
        busy: rest.busy.as_secs_f64(),
        cpu: rest.cpu.as_secs_f64(),
        cpu_at_rest: rest.share,
        reconciliations: total("controller_runtime_reconcile_total"),
        with_budget: metrics.lines().filter(|line| is_budget(line)).count() as u64,
        requests: total("rest_client_requests_total"),
        gets: requests.of_workloads("GET"),
        lists: requests.of_workloads("LIST"),
        writes: requests.writes(),
        reads: requests.reads(),
    };
    operator.terminate().await?;
    Ok(weight)
}

fn is_budget(line: &str) -> bool {
    line.starts_with("winddown_budget_seconds{") && line.contains("phase=\"drain\"")
}

/// The sum of the series of a family that have this label.
pub(super) fn sum(metrics: &str, family: &str, label: &str) -> u64 {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(family));
    let series = lines.filter(|line| line.starts_with(['{', ' ']) && line.contains(label));
    series.filter_map(|line| line.rsplit_once(' ')).map(|(_, value)| whole(value)).sum()
}

/// The usage of the operator as soon as its process runs.
pub(super) async fn usage(operator: &Operator) -> Result<Usage> {
    let start = Instant::now();
    loop {
        match operator.pid().and_then(Usage::of) {
            Err(error) if start.elapsed() > Duration::from_secs(5) => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            Ok(usage) => return Ok(usage),
        }
    }
}

/// A process that does nothing any more.
pub(super) struct Rest {
    /// From the start until it was not busy any more.
    busy: Duration,
    /// CPU time until then.
    cpu: Duration,
    /// The share of one CPU since then.
    share: f64,
}

/// Waits until the process does nothing for a while.
pub(super) async fn rest(usage: &Usage, start: Instant) -> Result<Rest> {
    let mut samples = vec![(start, Duration::ZERO)];
    let mut last = (start, Duration::ZERO);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (now, cpu) = (Instant::now(), usage.cpu()?);
        let (then, earlier) = samples[samples.len().saturating_sub(WINDOW)];
        if cpu.saturating_sub(earlier).as_secs_f64() > BUSY * now.duration_since(then).as_secs_f64() {
            last = (now, cpu);
        }
        samples.push((now, cpu));
        let resting = now.duration_since(last.0);
        if resting > REST {
            let share = cpu.saturating_sub(last.1).as_secs_f64() / resting.as_secs_f64();
            return Ok(Rest { busy: last.0.duration_since(start), cpu: last.1, share });
        }
        ensure!(start.elapsed() < LIMIT, "the operator does not come to rest");
    }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn the_series_of_a_family_are_added() {
        let metrics = "a_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_other{x=\"1\"} 5\na 7\n";
        assert_eq!((sum(metrics, "a_total", ""), sum(metrics, "a_total", "x=\"2\""), sum(metrics, "a", "")), (5, 3, 7));
    }
}
