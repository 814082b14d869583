//! A local control plane without nodes: etcd, kube-apiserver, and the workload controllers of kube-controller-manager.
//! It listens on free loopback ports and is ready within seconds.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use crate::audit_log::{Annotations, AuditLog};
use crate::credentials::{Authority, CertificateFiles};
use crate::supervised_process::SupervisedProcess;
use crate::tools::{self, Tools};
use crate::wait::until;

/// A running control plane. Dropping it stops the processes and deletes their files.
pub struct ApiServer {
    // Declared before `directory`: the processes write to it and must stop before it is deleted.
    processes: Vec<SupervisedProcess>,
    directory: TempDir,
    authority: Authority,
    audit_log: AuditLog,
    url: String,
    kubeconfig: PathBuf,
    client: Client,
    tools: Tools,
    minor_version: u32,
}

/// The minor version of Kubernetes that introduced `lifecycle.stopSignal`, with a feature gate that is off by default (KEP-4960).
pub const STOP_SIGNAL_SINCE: u32 = 33;

/// The controllers that run: those of the workloads, and the one that adds rights to `view`, `edit` and `admin`.
const CONTROLLERS: [&str; 5] = [
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "clusterrole-aggregation-controller",
];

/// For the start, with a margin for a busy machine. Beside 30,000 pods, it takes more than a minute.
const START_LIMIT: Duration = Duration::from_mins(4);
/// Lines of a log that an error message shows.
const LOG_LINES: usize = 12;

impl ApiServer {
    /// Starts all processes and waits until the API server is ready.
    pub async fn start() -> Result<Self> {
        let mut server = Self::start_without_controllers(None).await?;
        let command = controller_manager_command(&server.tools, &server.kubeconfig, &server.authority)?;
        let log = server.directory.path().join("kube-controller-manager.log");
        server.processes.push(SupervisedProcess::start(&command, &log)?);
        Ok(server)
    }

    /// Starts only etcd and kube-apiserver. etcd keeps its data in the given folder, by default in a temporary one.
    pub async fn start_without_controllers(data: Option<&Path>) -> Result<Self> {
        let control_plane = ["etcd", "kube-apiserver", "kube-controller-manager"];
        let clients = ["kubectl", "helm3", "helm4", "gitops", "promtool"];
        let tools = tools::get(&[&control_plane[..], &clients].concat())?;
        let minor_version = minor_version(&tools)?;
        let directory = tempfile::Builder::new().prefix("winddown-api-").tempdir()?;
        let authority = Authority::new(directory.path())?;
        let audit_log = AuditLog::new(directory.path())?;
        let [etcd_port, peer_port, port] = free_ports()?;
        let url = format!("https://127.0.0.1:{port}");
        let etcd = format!("http://127.0.0.1:{etcd_port}");
        let kubeconfig = authority.write_kubeconfig(&url, "admin", "system:masters")?;
        let serving = authority.issue_serving_certificate("apiserver")?;

        let start = |command: &Command, log: &str| SupervisedProcess::start(command, &directory.path().join(log));
        let data = data.map_or_else(|| directory.path().join("etcd"), Path::to_owned);
        let mut processes = vec![start(&etcd_command(&tools, &data, &etcd, peer_port)?, "etcd.log")?];
        let mut command = api_server_command(&tools, directory.path(), &etcd, port, &authority, &serving)?;
        command.args(audit_log.flags());
        if minor_version >= STOP_SIGNAL_SINCE {
            command.arg("--feature-gates=ContainerStopSignals=true");
        }
        processes.push(start(&command, "kube-apiserver.log")?);

        let client = client(&kubeconfig).await?;
        let mut server =
            Self { processes, directory, authority, audit_log, url, kubeconfig, client, tools, minor_version };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Polls `/readyz`. Fails early if a process exits.
    async fn wait_until_ready(&mut self) -> Result<()> {
        let Self { client, processes, .. } = self;
        let ready = until("the API server to be ready", START_LIMIT, async || {
            for (program, process) in ["etcd", "kube-apiserver"].into_iter().zip(&mut *processes) {
                if let Some(status) = process.exit_status()? {
                    bail!("{program} exited during start ({status})");
                }
            }
            let request = http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await.ok())
        });
        let result = ready.await;
        result.map(drop).with_context(|| {
            let logs = self.processes.iter().map(|process| relevant_lines(&process.output()));
            format!("logs of etcd and kube-apiserver:\n{}", logs.collect::<Vec<_>>().join("\n"))
        })
    }

    /// A client with cluster-admin rights.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A kubeconfig file with cluster-admin rights.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Writes the kubeconfig of a service account. It has only the rights that RBAC objects bind to it.
    pub(crate) fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        self.authority.write_kubeconfig(&self.url, &user, "system:serviceaccounts")
    }

    /// A client with the rights of a service account.
    pub async fn service_account_client(&self, namespace: &str, name: &str) -> Result<Client> {
        client(&self.service_account_kubeconfig(namespace, name)?).await
    }

    /// A temporary folder that is deleted together with the API server.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The audit annotations of requests that changed a workload, by audit ID (response header `Audit-Id`).
    pub fn audit_annotations(&self) -> Result<BTreeMap<String, Annotations>> {
        self.audit_log.annotations()
    }

    /// The minor version of Kubernetes: 37 for 1.37.2.
    #[must_use]
    pub fn minor_version(&self) -> u32 {
        self.minor_version
    }

    /// The programs, among them kubectl and helm.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.tools
    }
}

/// From the output of `kube-apiserver --version`, such as `Kubernetes v1.37.2`.
fn minor_version(tools: &Tools) -> Result<u32> {
    let output = tools.command("kube-apiserver")?.arg("--version").output().context("run kube-apiserver --version")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let minor = text.split_once("v1.").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
    minor.with_context(|| format!("kube-apiserver --version printed {text:?}"))
}

async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// Unused loopback ports.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All listeners stay open until every port is known, so that the ports differ.
    let listeners: Vec<_> = (0..N).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn etcd_command(tools: &Tools, data: &Path, url: &str, peer_port: u16) -> Result<Command> {
    let peers = format!("http://127.0.0.1:{peer_port}");
    let mut command = tools.command("etcd")?;
    command.arg("--data-dir").arg(data).arg("--unsafe-no-fsync").args([
        // 8 GiB; the default of 2 GiB is too small for 10,000 large workloads with their pods.
        "--quota-backend-bytes=8589934592",
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
    serving: &CertificateFiles,
) -> Result<Command> {
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
        // No controller creates the default service accounts.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--service-account-issuer=https://127.0.0.1".to_owned(),
        flag("service-account-key-file", &serving.certificate),
        flag("service-account-signing-key-file", &serving.key),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
    ]);
    Ok(command)
}

fn controller_manager_command(tools: &Tools, kubeconfig: &Path, authority: &Authority) -> Result<Command> {
    let mut command = tools.command("kube-controller-manager")?;
    command.args([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-ca-file={}", authority.certificate_file().display()),
        format!("--controllers={}", CONTROLLERS.join(",")),
        "--leader-elect=false".to_owned(),
        // Disables its HTTPS endpoint.
        "--secure-port=0".to_owned(),
    ]);
    Ok(command)
}

/// The last error lines of a log, or its last lines if there are none.
fn relevant_lines(log: &str) -> String {
    let is_error = |line: &&str| {
        let lower = line.to_lowercase();
        line.starts_with(['E', 'F']) || lower.contains("error") || lower.contains("fatal")
    };
    let errors: Vec<_> = log.lines().filter(is_error).collect();
    let lines = if errors.is_empty() { log.lines().collect() } else { errors };
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
