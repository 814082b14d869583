//! `winddown run` as a local process, with the arguments and the RBAC rights that the chart gives it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api_server::{ApiServer, free_ports};
use crate::chart::{Manifests, RELEASE};
use crate::supervised_process::SupervisedProcess;
use crate::tools;
use crate::wait::until;

/// For operations that take about a second on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Lines that [`Operator::log_tail`] returns.
const TAIL_LINES: usize = 12;

/// The ports of one replica.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// HTTPS, for the webhooks.
    pub webhook: u16,
    /// HTTP, for `/healthz` and `/readyz`.
    pub health: u16,
    /// HTTP, for `/metrics`.
    pub metrics: u16,
}

/// A running replica. Dropping it kills the process.
pub struct Operator {
    process: SupervisedProcess,
    ports: Ports,
    version: Version,
}

/// Which operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one of this working tree.
    Current,
    /// That of an earlier commit (`e2e/tools/earlier`).
    Earlier,
}

/// The flags of the chart that the earlier operator does not have.
const NEW_FLAGS: [&str; 4] =
    ["--mutating-selectors=", "--validating-selectors=", "--metrics-port=", "--metrics-per-workload"];

impl Ports {
    /// Unused loopback ports.
    pub fn free() -> Result<Self> {
        let [webhook, health, metrics] = free_ports()?;
        Ok(Self { webhook, health, metrics })
    }
}

/// Renders the chart with values for a local replica.
pub fn render(server: &ApiServer, ports: Ports) -> Result<Manifests> {
    let values = json!({
        "webhook": {"securePort": ports.webhook},
        "healthPort": ports.health,
        "metrics": {"port": ports.metrics},
        "logFormat": "json",
        "logLevel": "info,winddown=debug",
        "extraArgs": ["--bind-address=127.0.0.1", "--tls-san=127.0.0.1"],
    });
    Manifests::render(server.tools(), &values)
}

impl Operator {
    /// Starts a replica with this pod name. Does not wait until it is ready.
    pub fn start(server: &ApiServer, manifests: &Manifests, pod: &str, ports: Ports) -> Result<Self> {
        Self::start_version(Version::Current, server, manifests, pod, ports)
    }

    /// Starts a replica of this version.
    pub fn start_version(
        version: Version,
        server: &ApiServer,
        manifests: &Manifests,
        pod: &str,
        ports: Ports,
    ) -> Result<Self> {
        let mut arguments = manifests.operator_arguments()?;
        let binary = match version {
            Version::Current => binary()?,
            Version::Earlier => {
                arguments.retain(|argument| !NEW_FLAGS.iter().any(|flag| argument.starts_with(flag)));
                tools::earlier_operator()?
            }
        };
        let process = start(&binary, arguments, server, pod)?;
        Ok(Self { process, ports, version })
    }

    /// Starts a replica with this program.
    pub fn start_program(
        program: &Path,
        server: &ApiServer,
        manifests: &Manifests,
        pod: &str,
        ports: Ports,
    ) -> Result<Self> {
        let process = start(program, manifests.operator_arguments()?, server, pod)?;
        Ok(Self { process, ports, version: Version::Current })
    }

    /// Which operator this is.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The port of its webhooks.
    #[must_use]
    pub fn webhook_port(&self) -> u16 {
        self.ports.webhook
    }

    /// Waits until `/readyz` returns 200.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        until("winddown to be ready", LIMIT, async || {
            if let Some(status) = self.process.exit_status()? {
                bail!("winddown exited ({status}); end of its log:\n{}", self.log_tail());
            }
            Ok(self.readiness().await.starts_with("HTTP/1.1 200").then_some(()))
        })
        .await
    }

    /// The process ID.
    pub fn pid(&self) -> Result<u32> {
        self.process.pid()
    }

    /// The raw HTTP response of `/readyz`; empty if the port is closed.
    pub async fn readiness(&self) -> String {
        get(self.ports.health, "/readyz").await
    }

    /// The raw HTTP response of `/metrics`; empty if the port is closed.
    pub async fn metrics(&self) -> String {
        get(self.ports.metrics, "/metrics").await
    }

    /// Whether the process runs and `/healthz` returns 200.
    pub async fn is_healthy(&mut self) -> bool {
        matches!(self.process.exit_status(), Ok(None))
            && get(self.ports.health, "/healthz").await.starts_with("HTTP/1.1 200")
    }

    /// Sends SIGTERM and waits for the process to exit.
    pub async fn terminate(self) -> Result<ExitStatus> {
        self.process.terminate(LIMIT).await
    }

    /// The whole log, including that of earlier processes with the same pod name.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The last lines of the log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

fn start(program: &Path, arguments: Vec<String>, server: &ApiServer, pod: &str) -> Result<SupervisedProcess> {
    let variables = [("$(POD_NAMESPACE)", RELEASE), ("$(POD_NAME)", pod)];
    let expand = |argument: String| variables.iter().fold(argument, |text, (name, value)| text.replace(name, value));
    let mut command = Command::new(program);
    command.args(arguments.into_iter().map(expand));
    command.env("KUBECONFIG", server.service_account_kubeconfig(RELEASE, RELEASE)?);
    SupervisedProcess::start(&command, &server.directory().join(format!("{pod}.log")))
}

async fn get(port: u16, path: &str) -> String {
    let response = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        std::io::Result::Ok(response)
    };
    response.await.unwrap_or_default()
}

/// The path in `WINDDOWN_BIN`, or the `winddown` binary in the target folder of the running test.
pub fn binary() -> Result<PathBuf> {
    let binary = if let Some(binary) = env::var_os("WINDDOWN_BIN") {
        PathBuf::from(binary)
    } else {
        let test = env::current_exe().context("find the running executable")?;
        test.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("winddown")
    };
    ensure!(binary.is_file(), "{} not found: run `cargo build`, or set WINDDOWN_BIN", binary.display());
    Ok(binary)
}
