//! External commands with a time limit.

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

/// A program and its arguments. It runs in the root folder of the repository.
#[derive(Clone, Debug)]
pub struct CommandLine {
    words: Vec<String>,
}

/// What a program left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

struct Status(Option<i32>);

/// Longer than any `--timeout` passed to helm or kubectl, so that their own error message is shown.
const LIMIT: Duration = Duration::from_mins(4);

impl CommandLine {
    /// Splits `words` at white space.
    #[must_use]
    pub fn new(words: &str) -> Self {
        Self { words: Vec::new() }.words(words)
    }

    /// Appends words, split at white space.
    #[must_use]
    pub fn words(mut self, words: &str) -> Self {
        self.words.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// Appends one word, which may contain spaces.
    #[must_use]
    pub fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// Runs the command and returns its standard output. A non-zero exit status is an error.
    pub async fn run(&self) -> Result<String> {
        let Output { code, stdout, stderr } = self.output().await?;
        ensure!(code == Some(0), "`{self}` failed ({}): {}", Status(code), stderr.trim());
        Ok(stdout)
    }

    /// Runs the command, whatever its exit code.
    pub async fn output(&self) -> Result<Output> {
        let (program, arguments) = self.words.split_first().context("empty command line")?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).kill_on_drop(true);
        command.stdin(Stdio::null());
        let output = timeout(LIMIT, command.output()).await;
        let output = output.with_context(|| format!("`{self}` did not exit within {} s", LIMIT.as_secs()))?;
        let output = output.with_context(|| format!("run `{self}`"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Output { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(formatter, "exit code {code}"),
            None => formatter.write_str("a signal"),
        }
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words.join(" "))
    }
}
