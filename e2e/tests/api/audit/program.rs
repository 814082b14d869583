//! Runs the binary as a user does, and measures it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use winddown_e2e::operator_process::binary;

/// The command with a kubeconfig.
pub(super) struct Audit {
    binary: PathBuf,
    kubeconfig: PathBuf,
}

pub(super) struct Output {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

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

impl Output {
    pub(super) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON: {}; {}", self.stdout, self.stderr))
    }
}

impl Audit {
    pub(super) fn of(kubeconfig: &Path) -> Result<Self> {
        Ok(Self { binary: binary()?, kubeconfig: kubeconfig.to_owned() })
    }

    /// The same with a server that does not listen.
    pub(super) async fn elsewhere(&self) -> Result<Self> {
        let mut kubeconfig: Value = serde_json::from_slice(&tokio::fs::read(&self.kubeconfig).await?)?;
        // A port that only root may use, and nothing does.
        kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
        let file = self.kubeconfig.with_extension("elsewhere");
        tokio::fs::write(&file, kubeconfig.to_string()).await?;
        Ok(Self { binary: self.binary.clone(), kubeconfig: file })
    }

    pub(super) async fn run(&self, arguments: &str) -> Result<Output> {
        let output = self.command(arguments).output().await?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).context("the output is not UTF-8");
        let code = output.status.code().context("ended by a signal")?;
        Ok(Output { code, stdout: text(output.stdout)?, stderr: text(output.stderr)? })
    }

    /// Closes the output after its first byte, as `head` does.
    pub(super) async fn run_until_first_byte(&self, arguments: &str) -> Result<Output> {
        let mut child = self.command(arguments).spawn()?;
        let mut stdout = child.stdout.take().context("no pipe")?;
        stdout.read_u8().await?;
        drop(stdout);
        let output = child.wait_with_output().await?;
        let code = output.status.code().context("ended by a signal")?;
        Ok(Output { code, stdout: String::new(), stderr: String::from_utf8(output.stderr)? })
    }

    /// Time, memory and size of the output in that format.
    pub(super) async fn measure(&self, format: &str) -> Result<Measured> {
        let start = Instant::now();
        let mut child = self.command(&format!("-o {format}")).spawn()?;
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

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("audit").args(arguments.split_whitespace()).env("KUBECONFIG", &self.kubeconfig).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
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
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("run e2e/browser/check")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(SKIPPED) => {
            println!("audit: the page was not opened in a browser: {}", text(&output.stderr));
            Ok(())
        }
        _ => anyhow::bail!("{}{}", text(&output.stdout), text(&output.stderr)),
    }
}
