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
        let (program, arguments) = self.words.split_first().context("empty command line")?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).kill_on_drop(true);
        command.stdin(Stdio::null());
        let output = timeout(LIMIT, command.output()).await;
        let output = output.with_context(|| format!("`{self}` did not exit within {} s", LIMIT.as_secs()))?;
        let output = output.with_context(|| format!("run `{self}`"))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{self}` failed ({}): {}", output.status, stderr.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words.join(" "))
    }
}
