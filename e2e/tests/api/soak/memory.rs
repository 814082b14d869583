//! The memory of a process, and a limit for it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinHandle;

/// How often the memory is read.
const INTERVAL: Duration = Duration::from_millis(20);
/// How long freed memory may take to return to the system.
const RETURN_LIMIT: Duration = Duration::from_secs(40);
/// Longer than the operator's delays before it returns most of it.
const SETTLES: Duration = Duration::from_secs(20);

/// The resident memory of a process.
pub(super) struct Resident {
    status: PathBuf,
    /// The most that was read, in KiB.
    peak: Arc<AtomicU64>,
}

/// Reads the memory until it is stopped.
pub(super) struct Watching {
    stopped: Arc<AtomicBool>,
    task: JoinHandle<Result<()>>,
}

impl Resident {
    pub(super) fn of(pid: u32) -> Result<Self> {
        let resident = Self { status: format!("/proc/{pid}/status").into(), peak: Arc::default() };
        read(&resident.status)?;
        Ok(resident)
    }

    pub(super) fn mebibytes(&self) -> Result<f64> {
        Ok(mebibytes(read(&self.status)?))
    }

    /// The most since the process was started.
    pub(super) fn highest_mebibytes(&self) -> Result<f64> {
        Ok(mebibytes(read_field(&self.status, "VmHWM:")?))
    }

    /// The CPU time of the process.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(self.status.with_file_name("stat"))?;
        // The second field, the name of the program, may contain spaces.
        let fields = stat.rsplit_once(')').map_or(&*stat, |(_, fields)| fields).split_whitespace();
        // A tick of this file has 10 ms.
        let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks.saturating_mul(10)))
    }

    pub(super) fn peak_mebibytes(&self) -> f64 {
        mebibytes(self.peak.load(Ordering::Relaxed))
    }

    pub(super) fn watch(&self) -> Watching {
        let (status, peak, stopped) = (self.status.clone(), self.peak.clone(), Arc::new(AtomicBool::new(false)));
        let stop = stopped.clone();
        let task = tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(read(&status).context("the replica has ended")?, Ordering::Relaxed);
                tokio::time::sleep(INTERVAL).await;
            }
            Ok(())
        });
        Watching { stopped, task }
    }

    /// The memory of the program's files. It grows when code runs for the first time, and the system can take it back.
    pub(super) fn file_mebibytes(&self) -> Result<f64> {
        Ok(mebibytes(read_field(&self.status, "RssFile:")?))
    }

    /// The memory with the files at the memory that they had before.
    fn with_files(&self, files: f64) -> Result<f64> {
        Ok(self.mebibytes()? - (self.file_mebibytes()? - files))
    }

    /// The least memory that is held during a while. Files count with the memory that they had before.
    pub(super) async fn settles(&self, files: f64) -> Result<f64> {
        let end = Instant::now() + SETTLES;
        let mut least = self.with_files(files)?;
        while Instant::now() < end {
            tokio::time::sleep(INTERVAL).await;
            least = least.min(self.with_files(files)?);
        }
        Ok(least)
    }

    /// The memory once it is at most this, or after a while. Files count with the memory that they had before.
    pub(super) async fn falls_to(&self, limit: f64, files: f64) -> Result<f64> {
        let end = Instant::now() + RETURN_LIMIT;
        loop {
            let now = self.with_files(files)?;
            if now <= limit || Instant::now() > end {
                return Ok(now);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Watching {
    pub(super) async fn stop(self) -> Result<()> {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

/// `VmRSS` in KiB.
fn read(status: &Path) -> Result<u64> {
    read_field(status, "VmRSS:")
}

/// A number in KiB.
fn read_field(status: &Path, field: &str) -> Result<u64> {
    let text = fs::read_to_string(status)?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    number.with_context(|| format!("no {field} in {}", status.display()))
}

#[expect(clippy::cast_precision_loss, reason = "for a comparison and a text")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

/// A cgroup with a memory limit, which ends with the process in it.
pub(super) struct Cgroup {
    directory: PathBuf,
    limit: u64,
}

impl Cgroup {
    /// Moves the process into a new cgroup, of version 2 or 1.
    pub(super) fn limited_to(pid: u32, limit: u64) -> Result<Self> {
        for (root, file) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
            let directory = Path::new(root).join(format!("winddown-soak-{}", std::process::id()));
            if fs::create_dir(&directory).is_err() {
                continue;
            }
            let cgroup = Self { directory, limit };
            let enter = || {
                fs::write(cgroup.directory.join(file), limit.to_string())?;
                fs::write(cgroup.directory.join("cgroup.procs"), pid.to_string())
            };
            if enter().is_ok() {
                return Ok(cgroup);
            }
        }
        bail!("/sys/fs/cgroup is not writable or has no memory controller")
    }
}

impl fmt::Display for Cgroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with a limit of {} MiB", self.directory.display(), self.limit / 1024 / 1024)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Not possible while the process runs: after a failed test, the folder stays until the process has ended.
        let _ = fs::remove_dir(&self.directory);
    }
}
