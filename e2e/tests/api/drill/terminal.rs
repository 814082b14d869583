//! The plugin on a terminal, where it can ask.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::namespace::Namespace;

/// For the question, and for the end.
const LIMIT: Duration = Duration::from_mins(1);

/// A command on a terminal of `script`. Dropping it ends it.
pub(super) struct Terminal {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Everything that was written, on both outputs.
    shown: Vec<u8>,
}

impl Terminal {
    /// Starts the plugin, and waits for its question.
    pub(super) async fn asked(namespace: &Namespace, arguments: &str) -> Result<Self> {
        let server = &namespace.environment.server;
        // A shell that waited for the command would get the Ctrl-C, too, and end with its own exit code.
        let words = format!("exec {} {arguments} -n {}", namespace.program()?.binary.display(), namespace.name);
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--return", "--command", &words, "/dev/null"]);
        command
            .env("SHELL", "/bin/sh")
            .env("KUBECONFIG", server.kubeconfig())
            .env("HOME", server.directory())
            .kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start script")?;
        let stdin = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut terminal = Self { child, stdin, stdout, shown: Vec::new() };
        timeout(LIMIT, terminal.read_until("[y/N]")).await.context("no question")??;
        Ok(terminal)
    }

    async fn read_until(&mut self, text: &str) -> Result<()> {
        while !self.text().contains(text) {
            ensure!(self.stdout.read_buf(&mut self.shown).await? > 0, "the command ended: {}", self.text());
        }
        Ok(())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).replace('\r', "")
    }

    /// Answers yes, and returns the exit code and everything that was shown.
    pub(super) async fn yes(mut self) -> Result<(i32, String)> {
        self.say_yes().await?;
        self.end().await
    }

    /// Answers yes, and goes on.
    pub(super) async fn say_yes(&mut self) -> Result<()> {
        Ok(self.stdin.write_all(b"y\n").await?)
    }

    /// Types Ctrl-C, and returns the exit code and everything that was shown.
    pub(super) async fn interrupt(mut self) -> Result<(i32, String)> {
        self.stdin.write_all(b"\x03").await?;
        self.end().await
    }

    async fn end(mut self) -> Result<(i32, String)> {
        let rest = async {
            self.stdout.read_to_end(&mut self.shown).await?;
            self.child.wait().await
        };
        let status = timeout(LIMIT, rest).await.context("the command does not end")??;
        Ok((status.code().context("no exit code")?, self.text()))
    }
}
