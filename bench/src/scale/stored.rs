//! The data of etcd with all workloads. To create them takes minutes, so it is kept, and every measurement gets a copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::fleet::Fleet;
use super::installation::Installation;
use crate::progress;

/// A part of the folder's name. Raise it when other objects are created.
const LAYOUT: u32 = 1;
/// Between two looks at what the operator writes.
const INTERVAL: Duration = Duration::from_secs(10);
/// 20 a second, and a margin.
const BUDGETS_LIMIT: Duration = Duration::from_mins(20);

/// Where the data is kept.
pub(crate) struct Stored<'a> {
    pub(crate) cache: &'a Path,
    pub(crate) fleet: Fleet,
    pub(crate) workloads: usize,
}

/// An installation on a copy of the data.
pub(super) struct Copy {
    // Declared before the folder: the processes write to it.
    pub(super) installation: Installation,
    _data: TempDir,
}

impl Stored<'_> {
    fn folder(&self) -> PathBuf {
        self.cache.join(format!("{}-{}-{LAYOUT}", self.fleet.name(), self.workloads))
    }

    /// Forgets the data, so that it is created again.
    pub(crate) fn remove(&self) -> Result<()> {
        let folder = self.folder();
        if folder.is_dir() { fs::remove_dir_all(&folder).context("remove the kept data") } else { Ok(()) }
    }

    /// Starts an API server on a copy of the data. Creates the data with this binary if it is not there.
    pub(super) async fn start(&self, binary: &Path) -> Result<Copy> {
        if !self.folder().is_dir() {
            self.prepare(binary).await.context("cannot create the workloads")?;
        }
        let data = tempfile::Builder::new().prefix("winddown-scale-").tempdir()?;
        let etcd = data.path().join("etcd");
        copy(&self.folder(), &etcd)?;
        progress(&format!("starting the API server with {} {} workloads", self.workloads, self.fleet.name()));
        Ok(Copy { installation: Installation::start(&etcd).await?, _data: data })
    }

    async fn prepare(&self, binary: &Path) -> Result<()> {
        progress(&format!("creating {} {} workloads, which are kept", self.workloads, self.fleet.name()));
        fs::create_dir_all(self.cache).with_context(|| format!("create {}", self.cache.display()))?;
        // In the same file system, so that it can be renamed.
        let data = tempfile::Builder::new().prefix(".new-").tempdir_in(self.cache)?;
        let installation = Installation::start(data.path()).await?;
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
        drop(installation);
        fs::rename(data.keep(), self.folder()).context("keep the data")
    }

    /// Waits until every workload has a `ShutdownBudget`, and none of them changes any more.
    async fn wait_for_budgets(&self, installation: &Installation) -> Result<()> {
        let start = Instant::now();
        let mut before = installation.requests().await?;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = installation.requests().await?;
            let written = now.since(&before).writes();
            before = now;
            let list = installation.api.get("/apis/winddown.dev/v1alpha1/shutdownbudgets?limit=1").await?;
            let others = list["metadata"]["remainingItemCount"].as_u64().unwrap_or_default();
            let stored = others + list["items"].as_array().map_or(0, |items| items.len() as u64);
            progress(&format!("{stored} of {} ShutdownBudgets are stored", self.workloads));
            if written.is_empty() && stored == self.workloads as u64 {
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
