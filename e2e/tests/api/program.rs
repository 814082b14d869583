//! Runs the binary as kubectl does, under the name of the plugin.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use winddown_e2e::api_server::ApiServer;
use winddown_e2e::operator_process::binary;

use crate::namespace::Namespace;

/// For one line of a watch: stops are written together.
const LINE_LIMIT: Duration = Duration::from_secs(90);

/// Variables that choose another cluster, or another way to it.
const VARIABLES: [&str; 10] = [
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// The plugin with a kubeconfig.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    home: PathBuf,
    /// Of commands whose arguments name none.
    namespace: Option<String>,
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that does not end by itself. Dropping it ends it.
pub(crate) struct Running {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

/// An output that is closed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    Stdout,
    Stderr,
}

impl Ran {
    /// Waits until the program ends.
    pub(crate) async fn of(child: Child, arguments: &str) -> Result<Self> {
        let output = child.wait_with_output().await.with_context(|| format!("run {arguments}"))?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).context("the output is not UTF-8");
        let code = output.status.code().with_context(|| format!("{arguments}: {}", output.status))?;
        Ok(Self { code, stdout: text(output.stdout)?, stderr: text(output.stderr)? })
    }

    pub(crate) fn assert(&self, code: i32) {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON: {}; {}", self.stdout, self.stderr))
    }
}

impl Program {
    /// With the kubeconfig of the administrator.
    pub(crate) fn of(server: &ApiServer) -> Result<Self> {
        let home = server.directory().to_owned();
        let link = home.join("kubectl-winddown");
        match std::os::unix::fs::symlink(binary()?, &link) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        Ok(Self { binary: link, kubeconfig: server.kubeconfig().to_owned(), home, namespace: None })
    }

    pub(crate) fn with_kubeconfig(&self, kubeconfig: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), ..self.clone() }
    }

    /// The same with a server that does not listen.
    pub(crate) fn elsewhere(&self) -> Result<Self> {
        let mut kubeconfig = self.read_kubeconfig()?;
        // A port that only root may use, and nothing does.
        kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
        self.with(&kubeconfig)
    }

    /// The same with a kubeconfig of its own: other tests run at the same time.
    pub(crate) fn with(&self, kubeconfig: &Value) -> Result<Self> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let file = self.home.join(format!("program-{}-{number}.kubeconfig", std::process::id()));
        std::fs::write(&file, kubeconfig.to_string())?;
        Ok(self.with_kubeconfig(&file))
    }

    /// The kubeconfig, which is written as JSON.
    pub(crate) fn read_kubeconfig(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(&self.kubeconfig)?)?)
    }

    pub(crate) async fn run(&self, arguments: &str) -> Result<Ran> {
        Ran::of(self.command(arguments).spawn()?, arguments).await
    }

    /// With an output that nothing reads.
    pub(crate) async fn run_closed(&self, arguments: &str, closed: Closed) -> Result<Ran> {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut command = self.command(arguments);
        match closed {
            Closed::Stdout => command.stdout(writer),
            Closed::Stderr => command.stderr(writer),
        };
        Ran::of(command.spawn()?, arguments).await
    }

    /// Closes the output after its first byte, as `head` does.
    pub(crate) async fn run_until_first_byte(&self, arguments: &str) -> Result<Ran> {
        let mut child = self.command(arguments).spawn()?;
        let mut stdout = child.stdout.take().context("no pipe")?;
        stdout.read_u8().await?;
        drop(stdout);
        Ran::of(child, arguments).await
    }

    pub(crate) fn start(&self, arguments: &str) -> Result<Running> {
        let mut child = self.command(arguments).spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        Ok(Running { lines: BufReader::new(stdout).lines(), _child: child })
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let words: Vec<_> = arguments.split_whitespace().collect();
        let mut command = Command::new(&self.binary);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.args(&words).env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home).kill_on_drop(true);
        if let Some(namespace) = &self.namespace
            && !words.iter().any(|word| matches!(*word, "-n" | "-A"))
        {
            command.args(["-n", namespace]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Namespace {
    /// The plugin in this namespace, unless the arguments name others.
    pub(crate) fn program(&self) -> Result<Program> {
        Ok(Program { namespace: Some(self.name.clone()), ..Program::of(&self.environment.server)? })
    }

    pub(crate) async fn plugin(&self, arguments: &str) -> Result<Ran> {
        self.program()?.run(arguments).await
    }
}

impl Running {
    /// Reads lines until one is as expected.
    pub(crate) async fn until_line(&mut self, condition: impl Fn(&str) -> bool) -> Result<String> {
        let read = async {
            loop {
                let line = self.lines.next_line().await?.context("the command ended")?;
                if condition(&line) {
                    return Ok(line);
                }
            }
        };
        tokio::time::timeout(LINE_LIMIT, read).await.context("no such line")?
    }
}
