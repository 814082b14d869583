//! The real `winddown run`, outside the cluster: with the chart's arguments, and with no more rights than the chart gives.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api_server::{self, ApiServer, free_ports};
use crate::chart::{self, Manifests, RELEASE};
use crate::tethered::{self, Process};
use crate::until::{Elapsed, until};

/// How long the operator may take to do what takes it a second on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The ports of a replica.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Of the webhooks.
    pub webhook: u16,
    /// Of `/healthz` and `/readyz`.
    pub health: u16,
}

/// A running replica; dropping it kills it.
pub struct Operator {
    process: Process,
    ports: Ports,
}

/// Why there is no operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chart cannot be rendered.
    #[error(transparent)]
    Chart(#[from] chart::Error),
    /// Who it is.
    #[error(transparent)]
    ApiServer(#[from] api_server::Error),
    /// The process.
    #[error("cannot run winddown")]
    Io(#[from] io::Error),
    /// The process does not end.
    #[error(transparent)]
    Process(#[from] tethered::Error),
    /// It is not there.
    #[error("there is no {}: build it with `cargo build`, or say in WINDDOWN_BIN where it is", .0.display())]
    NoBinary(PathBuf),
    /// It ended by itself.
    #[error("winddown ended:\n{0}")]
    Ended(String),
    /// It does not get ready.
    #[error(transparent)]
    Elapsed(#[from] Elapsed),
}

impl Ports {
    /// Ports that nobody uses just now.
    pub fn free() -> io::Result<Self> {
        let [webhook, health] = free_ports()?;
        Ok(Self { webhook, health })
    }
}

/// Renders the chart for a replica outside the cluster.
pub fn render(server: &ApiServer, ports: Ports) -> Result<Manifests, chart::Error> {
    let values = json!({
        "webhook": {"securePort": ports.webhook},
        "healthPort": ports.health,
        "logFormat": "json",
        "logLevel": "info,winddown=debug",
        "extraArgs": ["--bind-address=127.0.0.1", "--tls-san=127.0.0.1"],
    });
    Manifests::render(server.tools(), &values)
}

impl Operator {
    /// Starts a replica of that name; it may not be ready yet.
    pub fn start(server: &ApiServer, manifests: &Manifests, pod: &str, ports: Ports) -> Result<Self, Error> {
        let variables = [("$(POD_NAMESPACE)", RELEASE), ("$(POD_NAME)", pod)];
        let expand =
            |argument: String| variables.iter().fold(argument, |text, (name, value)| text.replace(name, value));
        let mut command = Command::new(binary()?);
        command.args(manifests.operator_arguments()?.into_iter().map(expand));
        command.env("KUBECONFIG", server.kubeconfig_of_service_account(RELEASE, RELEASE)?);
        let process = Process::start(&command, &server.directory().join(format!("{pod}.log")))?;
        Ok(Self { process, ports })
    }

    /// Waits until `/readyz` says ok.
    pub async fn ready(&mut self) -> Result<(), Error> {
        until("winddown was ready", LIMIT, async || {
            if self.process.ended()?.is_some() {
                return Err(Error::Ended(self.last_words()));
            }
            Ok(self.readiness().await.starts_with("HTTP/1.1 200").then_some(()))
        })
        .await
    }

    /// What `/readyz` says, status line and all; empty where nothing listens.
    pub async fn readiness(&self) -> String {
        self.get("/readyz").await
    }

    /// Whether the process lives and answers.
    pub async fn is_alive(&mut self) -> bool {
        matches!(self.process.ended(), Ok(None)) && self.get("/healthz").await.starts_with("HTTP/1.1 200")
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(self) -> Result<ExitStatus, Error> {
        Ok(self.process.terminate(LIMIT).await?)
    }

    /// Everything it logged, also in earlier lives under the same name.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The end of what it logged.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    async fn get(&self, path: &str) -> String {
        let answer = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.ports.health)).await?;
            stream
                .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
                .await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            io::Result::Ok(answer)
        };
        answer.await.unwrap_or_default()
    }
}

/// `WINDDOWN_BIN`, or what cargo built into the folder above that of this very program.
pub fn binary() -> Result<PathBuf, Error> {
    let built = || {
        let own = env::current_exe()?;
        let folder = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        io::Result::Ok(folder.join("winddown"))
    };
    let binary = env::var_os("WINDDOWN_BIN").map_or_else(built, |binary| Ok(PathBuf::from(binary)))?;
    if binary.is_file() { Ok(binary) } else { Err(Error::NoBinary(binary)) }
}
