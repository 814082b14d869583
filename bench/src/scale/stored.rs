//! The data of etcd with all workloads. To create them takes minutes, so it is kept, and every measurement gets a copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::fleet::Fleet;
use super::installation::Installation;
use super::pods::Pods;
use crate::progress;

/// A part of the folder's name. Raise it when other objects are created.
const LAYOUT: u32 = 1;
/// Between two looks at what the operator writes.
const INTERVAL: Duration = Duration::from_secs(10);
/// As long without a write: a budget is written at most every 30 s.
const QUIET: Duration = Duration::from_secs(40);
/// 20 a second, and a margin.
const BUDGETS_LIMIT: Duration = Duration::from_mins(20);

/// Where the data is kept, and what is in it.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) cache: PathBuf,
    pub(crate) fleet: Fleet,
    pub(crate) workloads: usize,
    pub(crate) pods: usize,
}

/// An installation on a copy of the data.
pub(super) struct Copy {
    // Declared before the folder: the processes write to it.
    pub(super) installation: Installation,
    _data: TempDir,
}

impl Stored {
    fn folder(&self) -> PathBuf {
        let pods = if self.pods == 0 { String::new() } else { format!("-with-{}-pods", self.pods) };
        self.cache.join(format!("{}-{}{pods}-{LAYOUT}", self.fleet.name(), self.workloads))
    }

    /// The same without pods.
    pub(super) fn without_pods(&self) -> Self {
        Self { pods: 0, ..self.clone() }
    }

    /// Forgets the data, so that it is created again.
    pub(crate) fn remove(&self) -> Result<()> {
        let folder = self.folder();
        if folder.is_dir() { fs::remove_dir_all(&folder).context("remove the kept data") } else { Ok(()) }
    }

    /// Starts an API server on a copy of the data. Creates the data with this binary if it is not there.
    pub(super) async fn start(&self, binary: &Path) -> Result<Copy> {
        fs::create_dir_all(&self.cache).with_context(|| format!("create {}", self.cache.display()))?;
        if !self.folder().is_dir() {
            let without = self.without_pods();
            if !without.folder().is_dir() {
                without.prepare(binary).await.context("cannot create the workloads")?;
            }
            if self.pods > 0 {
                self.prepare_pods(binary).await.context("cannot create the pods")?;
            }
        }
        let data = tempfile::Builder::new().prefix("winddown-scale-").tempdir()?;
        copy(&self.folder(), &data.path().join("etcd"))?;
        let (workloads, fleet, pods) = (self.workloads, self.fleet.name(), self.pods);
        progress(&format!("starting the API server with {workloads} {fleet} workloads and {pods} pods"));
        Ok(Copy { installation: Installation::start(&data.path().join("etcd")).await?, _data: data })
    }

    /// A folder for new data, in the same file system, so that it can be renamed.
    fn new_folder(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new().prefix(".new-").tempdir_in(&self.cache)?)
    }

    async fn prepare(&self, binary: &Path) -> Result<()> {
        progress(&format!("creating {} {} workloads, which are kept", self.workloads, self.fleet.name()));
        let data = self.new_folder()?;
        let installation = Installation::start(&data.path().join("etcd")).await?;
        // Also without annotated workloads: it creates its certificate authority.
        let mut operator = installation.start_operator(binary)?;
        operator.wait_until_ready().await?;
        installation.wait_for_webhooks().await?;
        self.fleet.create(&installation, self.workloads).await?;
        if self.fleet == Fleet::Annotated {
            self.wait_for_budgets(&installation).await?;
        }
        let status = operator.terminate().await?;
        ensure!(status.success(), "winddown exited with {status}");
        self.keep(installation, &data)
    }

    async fn prepare_pods(&self, binary: &Path) -> Result<()> {
        progress(&format!("creating {} pods, which are kept", self.pods));
        let data = self.new_folder()?;
        copy(&self.without_pods().folder(), &data.path().join("etcd"))?;
        let installation = Installation::start(&data.path().join("etcd")).await?;
        Pods { workloads: self.workloads, pods: self.pods }.create(&installation).await?;
        let operator = installation.start_operator(binary)?;
        self.wait_for_budgets(&installation).await?;
        let status = operator.terminate().await?;
        ensure!(status.success(), "winddown exited with {status}");
        self.keep(installation, &data)
    }

    fn keep(&self, installation: Installation, data: &TempDir) -> Result<()> {
        drop(installation);
        fs::rename(data.path().join("etcd"), self.folder()).context("keep the data")
    }

    /// Waits until every workload has a `ShutdownBudget`, and none of them changes any more.
    async fn wait_for_budgets(&self, installation: &Installation) -> Result<()> {
        let start = Instant::now();
        let (mut before, mut last_write) = (installation.requests().await?, start);
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = installation.requests().await?;
            let written = now.since(&before).writes();
            before = now;
            if !written.is_empty() {
                last_write = Instant::now();
            }
            let list = installation.api.get("/apis/winddown.dev/v1alpha1/shutdownbudgets?limit=1").await?;
            let others = list["metadata"]["remainingItemCount"].as_u64().unwrap_or_default();
            let stored = others + list["items"].as_array().map_or(0, |items| items.len() as u64);
            progress(&format!("{stored} of {} ShutdownBudgets are stored; written: {written:?}", self.workloads));
            if last_write.elapsed() > QUIET && stored == self.workloads as u64 {
                return Ok(());
            }
            ensure!(start.elapsed() < BUDGETS_LIMIT, "the ShutdownBudgets were not written in time: {written:?}");
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let status =
        Command::new("cp").args(["--archive", "--reflink=auto"]).arg(from).arg(to).status().context("run cp")?;
    ensure!(status.success(), "cp failed ({status})");
    Ok(())
}
