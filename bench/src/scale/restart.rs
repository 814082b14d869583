//! All pods of a cluster stop, and the operator stores what it saw of each.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tokio::time::sleep_until;

use super::Stored;
use super::installation::Installation;
use super::pods::Pods;
use super::requests::value;
use super::weight::{self, Weight};
use crate::usage::{Memory, Usage};
use crate::{Binary, progress};

/// The subresource that counts.
const STATUS: &str = "shutdownbudgets/status";
/// Between two looks at the API server; two of them are the 10 s over which the rate of writes is taken.
const INTERVAL: Duration = Duration::from_secs(5);
/// As long without a write of a status after the last stop: then all are written. One is written at most every 30 s.
const QUIET: Duration = Duration::from_secs(45);
const LIMIT: Duration = Duration::from_mins(30);
/// Pods that are stopping at the same time. With more, an API server that cannot answer fast enough would make them exceed
/// their grace period.
const AT_ONCE: usize = 400;
/// Budgets in one answer to a list.
const PAGE: usize = 500;

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Restart {
    /// A cold start without pods.
    pub(crate) without_pods: Weight,
    pub(crate) pods: usize,
    pub(crate) stops: usize,
    /// KiB, at rest after a cold start beside all pods.
    pub(crate) with_pods: Memory,
    /// KiB, at the end; the peak is that of the whole run.
    pub(crate) after: Memory,
    /// Seconds of CPU of the operator, from the first stop until all statuses were written.
    pub(crate) cpu: f64,
    /// Seconds from the deletion of the first pod to the removal of the last one.
    pub(crate) stopping: f64,
    /// Requests that wrote a status, whatever the answer was.
    pub(crate) writes: u64,
    /// The most in a second, over 10 s.
    pub(crate) most_writes: f64,
    /// All writes, those of the simulated kubelets included.
    pub(crate) all_writes: BTreeMap<String, u64>,
    /// Seconds from the removal of the last pod to the last write, to 5 s.
    pub(crate) written_after: f64,
    pub(crate) budgets: Budgets,
    /// Bytes of the database of etcd, before and after.
    pub(crate) database: [u64; 2],
}

/// The stored `ShutdownBudget`s.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Budgets {
    pub(crate) number: u64,
    /// Bytes as JSON, as etcd stores it, with managedFields.
    pub(crate) mean: u64,
    pub(crate) largest: u64,
    /// The sums of `status.shutdowns`, among them `count`.
    pub(crate) shutdowns: BTreeMap<String, u64>,
}

/// Measures one binary, with so many stops, at this number in a second.
pub(crate) async fn run(stored: &Stored, binary: &Binary, stops: usize, rate: f64) -> Result<Restart> {
    let alone = weight::run(&stored.without_pods(), std::slice::from_ref(binary)).await?;
    let without_pods = alone.into_iter().next().context("nothing was measured")?;

    let copy = stored.start(&binary.path).await?;
    let installation = &copy.installation;
    let start = Instant::now();
    let operator = installation.start_operator(&binary.path)?;
    let usage = weight::usage(&operator).await?;
    weight::rest(&usage, start).await?;
    let with_pods = usage.memory()?;
    progress(&format!("with the pods: {with_pods:?} in KiB"));

    let before = installation.requests().await?;
    let database = installation.database().await?;
    let pods = Pods { workloads: stored.workloads, pods: stored.pods };
    let ended = Cell::new(None);
    let cpu = usage.cpu()?;
    let begun = Instant::now();
    let (last_removal, samples) = futures::try_join!(
        async {
            stop_all(installation, pods, stops, rate).await?;
            ended.set(Some(Instant::now()));
            Ok(Instant::now())
        },
        watch_writes(installation, &usage, &ended)
    )?;
    let last_write = samples.windows(2).filter(|pair| pair[1].writes > pair[0].writes).map(|pair| pair[1]).next_back();
    let last_write = last_write.context("no status was written")?;
    let restart = Restart {
        without_pods,
        pods: stored.pods,
        stops,
        with_pods,
        after: usage.memory()?,
        cpu: last_write.cpu.saturating_sub(cpu).as_secs_f64(),
        stopping: last_removal.duration_since(begun).as_secs_f64(),
        writes: last_write.writes - samples[0].writes,
        most_writes: most(&samples),
        all_writes: installation.requests().await?.since(&before).writes(),
        written_after: last_write.at.saturating_duration_since(last_removal).as_secs_f64(),
        budgets: Budgets::read(installation).await?,
        database: [database, installation.database().await?],
    };
    operator.terminate().await?;
    Ok(restart)
}

/// Stops pods at this rate, or as fast as the API server answers.
async fn stop_all(installation: &Installation, pods: Pods, stops: usize, rate: f64) -> Result<()> {
    let start = tokio::time::Instant::now();
    let interval = Duration::from_secs_f64(1.0 / rate);
    let due = stream::iter(0..u32::try_from(stops)?).then(async |pod| {
        sleep_until(start + interval * pod).await;
        if pod.is_multiple_of(1000) {
            let after = start.elapsed().as_secs_f64();
            progress(&format!("stopping pod {pod} of {stops}, {after:.0} s after the first"));
        }
        pod
    });
    let stops = due.map(|pod| pods.stop(&installation.api, pod as usize));
    stops.buffer_unordered(AT_ONCE).try_collect().await
}

/// What was written until a moment.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    writes: u64,
    /// Of the operator.
    cpu: Duration,
}

/// Looks at the writes until there are none any more after the last stop.
async fn watch_writes(
    installation: &Installation,
    usage: &Usage,
    ended: &Cell<Option<Instant>>,
) -> Result<Vec<Sample>> {
    let start = Instant::now();
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut samples: Vec<Sample> = Vec::new();
    let mut last_write = start;
    loop {
        ticks.tick().await;
        let requests = installation.requests().await?;
        let sample = Sample { at: Instant::now(), writes: requests.writes_of(STATUS), cpu: usage.cpu()? };
        if samples.last().is_some_and(|before| before.writes < sample.writes) {
            last_write = sample.at;
        }
        samples.push(sample);
        if samples.len().is_multiple_of(6) {
            progress(&format!("{} statuses are written", sample.writes - samples[0].writes));
        }
        let quiet_since = ended.get().map(|ended| ended.max(last_write));
        if quiet_since.is_some_and(|since| sample.at.duration_since(since) > QUIET) {
            return Ok(samples);
        }
        ensure!(start.elapsed() < LIMIT, "the statuses were not written in time");
    }
}

/// The most writes in a second over two intervals.
#[allow(clippy::cast_precision_loss, reason = "counts of writes are small")]
fn most(samples: &[Sample]) -> f64 {
    let rate = |of: &[Sample]| (of[2].writes - of[0].writes) as f64 / of[2].at.duration_since(of[0].at).as_secs_f64();
    samples.windows(3).map(rate).fold(0.0, f64::max)
}

impl Budgets {
    async fn read(installation: &Installation) -> Result<Self> {
        let mut budgets = Self::default();
        let mut bytes = 0;
        let mut next = Some(String::new());
        while let Some(token) = next {
            let path = "/apis/winddown.dev/v1alpha1/shutdownbudgets";
            let list = installation.api.get(&format!("{path}?limit={PAGE}&continue={token}")).await?;
            for budget in list["items"].as_array().context("no list of ShutdownBudgets")? {
                let size = budget.to_string().len() as u64;
                budgets.number += 1;
                bytes += size;
                budgets.largest = budgets.largest.max(size);
                for (name, count) in budget["status"]["shutdowns"].as_object().into_iter().flatten() {
                    *budgets.shutdowns.entry(name.clone()).or_default() += count.as_u64().unwrap_or_default();
                }
            }
            next = list["metadata"]["continue"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        }
        budgets.shutdowns.retain(|_, count| *count > 0);
        budgets.mean = bytes / budgets.number.max(1);
        Ok(budgets)
    }

    /// All stops that are counted.
    pub(crate) fn counted(&self) -> u64 {
        self.shutdowns.get("count").copied().unwrap_or_default()
    }
}

impl Installation {
    /// Bytes of the database of etcd.
    async fn database(&self) -> Result<u64> {
        let metrics = self.api.text("/metrics").await?;
        value(&metrics, "apiserver_storage_size_bytes").context("the API server does not tell the size of its database")
    }
}
