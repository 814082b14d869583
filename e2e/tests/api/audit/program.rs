//! Runs `audit`, and measures it.

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use winddown_e2e::api_server::ApiServer;

use crate::program::{Program, Ran};

/// The command with a kubeconfig.
pub(super) struct Audit(Program);

/// What a run took.
pub(super) struct Measured {
    pub(super) time: Duration,
    /// The most resident memory.
    pub(super) peak_mebibytes: f64,
    pub(super) bytes: usize,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, peak_mebibytes, bytes } = self;
        write!(f, "{:.2} s, {peak_mebibytes:.1} MiB at most, {} KiB of output", time.as_secs_f32(), bytes / 1024)
    }
}

impl Audit {
    pub(super) fn of(server: &ApiServer) -> Result<Self> {
        Program::of(server).map(Self)
    }

    /// The same with a server that does not listen.
    pub(super) fn elsewhere(&self) -> Result<Self> {
        self.0.elsewhere().map(Self)
    }

    pub(super) async fn run(&self, arguments: &str) -> Result<Ran> {
        self.0.run(&format!("audit {arguments}")).await
    }

    /// Closes the output after its first byte, as `head` does.
    pub(super) async fn run_until_first_byte(&self, arguments: &str) -> Result<Ran> {
        self.0.run_until_first_byte(&format!("audit {arguments}")).await
    }

    /// Time, memory and size of the output in that format.
    pub(super) async fn measure(&self, format: &str) -> Result<Measured> {
        let start = Instant::now();
        let mut child = self.0.command(&format!("audit -o {format}")).spawn()?;
        let mut stdout = child.stdout.take().context("no pipe")?;
        let (mut peak, mut bytes) = (0.0_f64, 0);
        let mut chunk = vec![0; 32 * 1024];
        // The process is never further than a pipe and a chunk ahead of what is read here, so the last peak is that of the end.
        loop {
            peak = peak.max(peak_of(&child).unwrap_or_default());
            match stdout.read(&mut chunk).await? {
                0 => break,
                read => bytes += read,
            }
        }
        let status = child.wait().await?;
        ensure!(matches!(status.code(), Some(0 | 1)), "{status}");
        ensure!(peak > 0.0, "the memory could not be read");
        Ok(Measured { time: start.elapsed(), peak_mebibytes: peak, bytes })
    }
}

/// The most memory of a process since its start, in MiB.
fn peak_of(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kibibytes) / 1024.0)
}

/// Opens a page in headless Chromium, and searches for a text that this many workloads have. Skipped where there is no browser.
pub(super) async fn check_in_browser(file: &Path, search: &str, visible: usize) -> Result<()> {
    /// The exit code of `e2e/browser/check` where a program is missing.
    const SKIPPED: i32 = 3;
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/check");
    let mut command = Command::new(check);
    command.arg(file).args(["--search", search, "--visible", &visible.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ran = Ran::of(command.spawn()?, "e2e/browser/check").await?;
    match ran.code {
        0 => Ok(()),
        SKIPPED => {
            println!("audit: the page was not opened in a browser: {}", ran.stderr);
            Ok(())
        }
        _ => anyhow::bail!("{}{}", ran.stdout, ran.stderr),
    }
}
