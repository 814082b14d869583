//! Runs the binary as kubectl does, under the name of the plugin.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use winddown_e2e::operator_process::binary;

use crate::namespace::Namespace;

/// For one line of a watch: stops are written together.
const LINE_LIMIT: Duration = Duration::from_secs(90);

/// What the plugin answered.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that does not end by itself. Dropping it ends it.
pub(super) struct Running {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Ran {
    pub(crate) fn assert(&self, code: i32) {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
    }
}

impl Namespace {
    /// Runs the plugin in this namespace, unless the arguments name others.
    pub(crate) async fn plugin(&self, arguments: &str) -> Result<Ran> {
        let output = command(self, arguments)?.output().await.with_context(|| format!("run {arguments}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().with_context(|| format!("{arguments}: {}", output.status))?;
        Ok(Ran { code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    /// The same with a standard output that is closed already.
    pub(super) async fn plugin_with_closed_output(&self, arguments: &str) -> Result<Ran> {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        // `output` would replace it.
        let output = command(self, arguments)?.stdout(writer).spawn()?.wait_with_output().await?;
        let code = output.status.code().with_context(|| format!("{arguments}: {}", output.status))?;
        Ok(Ran { code, stdout: String::new(), stderr: String::from_utf8_lossy(&output.stderr).into_owned() })
    }
}

impl Running {
    pub(super) fn start(namespace: &Namespace, arguments: &str) -> Result<Self> {
        let mut child = command(namespace, arguments)?.spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        Ok(Self { lines: BufReader::new(stdout).lines(), _child: child })
    }

    /// Reads lines until one is as expected.
    pub(super) async fn until_line(&mut self, condition: impl Fn(&str) -> bool) -> Result<String> {
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

pub(crate) fn command(namespace: &Namespace, arguments: &str) -> Result<Command> {
    let server = &namespace.environment.server;
    let words: Vec<_> = arguments.split_whitespace().collect();
    let mut command = Command::new(plugin(namespace)?);
    command.args(&words).env("KUBECONFIG", server.kubeconfig()).env("HOME", server.directory()).kill_on_drop(true);
    if !words.iter().any(|word| matches!(*word, "-n" | "-A")) {
        command.args(["-n", &namespace.name]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// The binary under the name of the plugin.
pub(crate) fn plugin(namespace: &Namespace) -> Result<PathBuf> {
    let link = namespace.environment.server.directory().join("kubectl-winddown");
    match std::os::unix::fs::symlink(binary()?, &link) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(link),
    }
}
