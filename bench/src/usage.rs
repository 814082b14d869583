//! What a process uses.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::Serialize;

/// The counters of a process.
pub(crate) struct Usage {
    pid: u32,
    cpu_clock: ClockId,
}

/// Resident memory in KiB.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    /// When it was read.
    pub(crate) now: u64,
    /// The most that it ever was.
    pub(crate) peak: u64,
    /// The part of `now` that is no page of a file: heap and stacks.
    pub(crate) anonymous: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        Ok(Self { pid, cpu_clock: clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?))? })
    }

    /// CPU time of all of its threads since its start, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        Ok(clock_gettime(self.cpu_clock)?.into())
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok());
            number.with_context(|| format!("no {name} in /proc"))
        };
        Ok(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")?, anonymous: field("RssAnon:")? })
    }
}
