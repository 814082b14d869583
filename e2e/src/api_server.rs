//! A Kubernetes without nodes: etcd, kube-apiserver, and of the kube-controller-manager what makes `ReplicaSet`s and pods of
//! a Deployment. On loopback ports of its own, ready in seconds, gone without a trace.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use crate::audit_log::{Annotations, AuditLog};
use crate::credentials::{self, Authority, Files};
use crate::tethered::Process;
use crate::tools::{self, Tools};
use crate::until::{Elapsed, until};

/// A running API server with what belongs to it; dropping it ends the processes and removes the files.
pub struct ApiServer {
    // Before the directory: fields are dropped in this order, and processes write to it.
    processes: Vec<Process>,
    directory: TempDir,
    authority: Authority,
    audit_log: AuditLog,
    url: String,
    kubeconfig: PathBuf,
    client: Client,
    tools: Tools,
}

/// Why there is no API server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The programs are missing.
    #[error(transparent)]
    Tools(#[from] tools::Error),
    /// Keys, certificates, kubeconfigs.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    /// Files, ports, processes.
    #[error("cannot set up the API server")]
    Io(#[from] io::Error),
    /// No client for it.
    #[error("cannot talk to the API server")]
    Client(#[source] Box<kube::Error>),
    /// The kubeconfig that was just written is none.
    #[error("cannot read the kubeconfig")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// A process ended.
    #[error("{program} ended while starting:\n{log}")]
    Ended {
        /// Which.
        program: &'static str,
        /// The lines that explain it.
        log: String,
    },
    /// It did not become ready.
    #[error("{0}; the API server's log ends so:\n{1}")]
    NotReady(Elapsed, String),
    /// Not in time.
    #[error(transparent)]
    Elapsed(#[from] Elapsed),
}

/// How long the start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Lines of a log that are shown.
const LOG_LINES: usize = 12;

impl ApiServer {
    /// Starts everything and waits until it answers.
    pub async fn start() -> Result<Self, Error> {
        let tools = tools::get(&["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm3", "helm4"])?;
        let directory = tempfile::Builder::new().prefix("winddown-api-").tempdir()?;
        let authority = Authority::new(directory.path())?;
        let audit_log = AuditLog::new(directory.path())?;
        let [etcd_port, peer_port, port] = free_ports()?;
        let url = format!("https://127.0.0.1:{port}");
        let etcd = format!("http://127.0.0.1:{etcd_port}");
        let kubeconfig = authority.kubeconfig(&url, "admin", "system:masters")?;
        let serving = authority.serving("apiserver")?;

        let start = |command: &Command, log: &str| Process::start(command, &directory.path().join(log));
        let mut processes = vec![start(&etcd_command(&tools, directory.path(), &etcd, peer_port)?, "etcd.log")?];
        let mut command = api_server_command(&tools, directory.path(), &etcd, port, &authority, &serving)?;
        command.args(audit_log.flags());
        processes.push(start(&command, "kube-apiserver.log")?);

        let client = client(&kubeconfig).await?;
        let mut server = Self { processes, directory, authority, audit_log, url, kubeconfig, client, tools };
        server.wait_until_ready().await?;
        let command = controllers_command(&server.tools, &server.kubeconfig, &server.authority)?;
        let log = server.directory.path().join("kube-controller-manager.log");
        server.processes.push(Process::start(&command, &log)?);
        Ok(server)
    }

    /// Asks `/readyz` until it says ok, or a process ends.
    async fn wait_until_ready(&mut self) -> Result<(), Error> {
        let Self { client, processes, .. } = self;
        let ready = until("the API server was ready", START_LIMIT, async || {
            for (program, process) in ["etcd", "kube-apiserver"].into_iter().zip(&mut *processes) {
                if process.ended()?.is_some() {
                    return Err(Error::Ended { program, log: explanation(&process.output()) });
                }
            }
            let request = http::Request::get("/readyz").body(Vec::new()).unwrap_or_default();
            Ok(client.request_text(request).await.ok())
        });
        match ready.await {
            Err(Error::Elapsed(elapsed)) => {
                let log = self.processes.last().map(Process::output).unwrap_or_default();
                Err(Error::NotReady(elapsed, explanation(&log)))
            }
            result => result.map(drop),
        }
    }

    /// A client that may do everything.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig of somebody who may do everything.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig of a service account, without any rights but those bound to it.
    pub fn kubeconfig_of_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, Error> {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Ok(self.authority.kubeconfig(&self.url, &user, "system:serviceaccounts")?)
    }

    /// A folder that goes when this goes.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What admission noted about each request that changed a workload, by the id that its answer names in `Audit-Id`.
    pub fn audit_annotations(&self) -> io::Result<BTreeMap<String, Annotations>> {
        self.audit_log.annotations()
    }

    /// The programs.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.tools
    }
}

/// A client by a kubeconfig.
async fn client(kubeconfig: &Path) -> Result<Client, Error> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))
}

/// Ports that nobody uses just now.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    // All of them are held until all are there, so that they differ.
    let listeners = (0..N).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<io::Result<Vec<_>>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn etcd_command(tools: &Tools, directory: &Path, url: &str, peer_port: u16) -> Result<Command, Error> {
    let peers = format!("http://127.0.0.1:{peer_port}");
    let mut command = tools.command("etcd")?;
    command.arg("--data-dir").arg(directory.join("etcd")).arg("--unsafe-no-fsync").args([
        &format!("--listen-client-urls={url}"),
        &format!("--advertise-client-urls={url}"),
        &format!("--listen-peer-urls={peers}"),
    ]);
    Ok(command)
}

fn api_server_command(
    tools: &Tools,
    directory: &Path,
    etcd: &str,
    port: u16,
    authority: &Authority,
    serving: &Files,
) -> Result<Command, Error> {
    let flag = |name: &str, file: &Path| format!("--{name}={}", file.display());
    let mut command = tools.command("kube-apiserver")?;
    command.args([
        format!("--etcd-servers={etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        flag("cert-dir", directory),
        flag("tls-cert-file", &serving.certificate),
        flag("tls-private-key-file", &serving.key),
        flag("client-ca-file", &authority.certificate_file()),
        "--authorization-mode=RBAC".to_owned(),
        // Nobody makes the default service accounts here.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        // Alpha in 1.37: without it the API server drops `stopSignal`.
        "--feature-gates=ContainerStopSignals=true".to_owned(),
        "--service-account-issuer=https://127.0.0.1".to_owned(),
        flag("service-account-key-file", &serving.certificate),
        flag("service-account-signing-key-file", &serving.key),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
    ]);
    Ok(command)
}

fn controllers_command(tools: &Tools, kubeconfig: &Path, authority: &Authority) -> Result<Command, Error> {
    let mut command = tools.command("kube-controller-manager")?;
    command.args([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-ca-file={}", authority.certificate_file().display()),
        "--controllers=deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller"
            .to_owned(),
        "--leader-elect=false".to_owned(),
        // It serves nobody.
        "--secure-port=0".to_owned(),
    ]);
    Ok(command)
}

/// The lines that say why: errors if there are any, else the last ones.
fn explanation(log: &str) -> String {
    let is_error = |line: &&str| {
        let lower = line.to_lowercase();
        line.starts_with(['E', 'F']) || lower.contains("error") || lower.contains("fatal")
    };
    let errors: Vec<_> = log.lines().filter(is_error).collect();
    let lines = if errors.is_empty() { log.lines().collect() } else { errors };
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
