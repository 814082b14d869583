//! Server processes: starting and ending them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::connection::{Connection, Protocol};
use crate::tls;
use crate::usage::{Memory, Usage};

/// How long a server may take until it serves.
const START_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A webhook in a process of its own; dropping it ends the process.
pub(crate) struct Server {
    child: Child,
    usage: Usage,
    log: PathBuf,
    pub(crate) port: u16,
}

impl Server {
    /// Starts this very program as the constant webhook.
    pub(crate) async fn constant(directory: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut command = command(&std::env::current_exe()?);
        command.args(["constant", "--port", &port.to_string(), "--tls-dir"]).arg(directory);
        Self::start(command, port, &directory.join("constant.log"), directory).await
    }

    /// Starts a built `winddown run` that serves the certificate in `directory`. It has no API server, so that its
    /// controller does nothing: what is measured is admission.
    pub(crate) async fn winddown(label: &str, binary: &Path, directory: &Path) -> Result<Self> {
        ensure!(binary.is_file(), "there is no {}: build it first", binary.display());
        let kubeconfig = directory.join("kubeconfig");
        fs::write(&kubeconfig, unreachable(&directory.join(tls::CERTIFICATE)).to_string())?;
        let (port, health_port) = (free_port()?, free_port()?);
        let mut command = command(binary);
        command.args(["run", "--bind-address=127.0.0.1"]);
        command.arg(format!("--webhook-port={port}")).arg(format!("--health-port={health_port}"));
        command.arg(format!("--pod-name={label}")).arg("--tls-dir").arg(directory);
        // Two binaries can run at the same time. Earlier ones do not know the flag.
        command.env("KUBECONFIG", kubeconfig).env("WINDDOWN_METRICS_PORT", "0");
        Self::start(command, port, &directory.join(format!("{label}.log")), directory).await
    }

    async fn start(mut command: Command, port: u16, log: &Path, directory: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("cannot run setpriv (of util-linux)")?;
        let usage = Usage::of(child.id())?;
        let mut server = Self { child, usage, log: log.to_owned(), port };
        server.wait_until_it_serves(directory).await?;
        Ok(server)
    }

    async fn wait_until_it_serves(&mut self, directory: &Path) -> Result<()> {
        let start = Instant::now();
        loop {
            let result = Connection::open(self.port, Protocol::Http2, directory).await;
            let Err(error) = result else { return Ok(()) };
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                bail!("a server ended with {status}:\n{}", log());
            }
            if start.elapsed() > START_LIMIT {
                return Err(error.context(format!("a server does not serve; its log:\n{}", log())));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.usage.cpu()
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        self.usage.memory()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that the kernel ends with this process, however this process ends. `setpriv` replaces itself by the program,
/// so the process id is that of the program.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A kubeconfig for port 1, where nothing listens.
fn unreachable(certificate: &Path) -> Value {
    let cluster = json!({"server": "https://127.0.0.1:1", "certificate-authority": certificate});
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "none", "cluster": cluster}],
        "users": [{"name": "none", "user": {}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "current-context": "none",
    })
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
