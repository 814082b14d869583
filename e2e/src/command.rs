//! Commands as a person types them, each bounded in time.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// A program and its arguments, to be run in the repository's folder.
#[derive(Clone, Debug)]
pub struct Line {
    words: Vec<String>,
    input: String,
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, or its pipes broke.
    #[error("cannot run `{0}`")]
    Run(Line, #[source] io::Error),
    /// It says itself why.
    #[error("`{line}` failed: {said}")]
    Failed {
        /// What was typed.
        line: Line,
        /// What it said of it.
        said: String,
    },
    /// It hangs.
    #[error("`{0}` took longer than {limit} s", limit = LIMIT.as_secs())]
    Elapsed(Line),
}

/// Longer than any `--timeout` that is given to helm or kubectl, so that they can say themselves what they wait for.
const LIMIT: Duration = Duration::from_mins(4);

impl Line {
    /// Words without spaces in them.
    #[must_use]
    pub fn new(words: &str) -> Self {
        Self { words: Vec::new(), input: String::new() }.words(words)
    }

    /// More words without spaces in them.
    #[must_use]
    pub fn words(mut self, words: &str) -> Self {
        self.words.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// One more word, which may have spaces.
    #[must_use]
    pub fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// What the program reads from its standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it to its end, and gives back what it printed.
    pub async fn run(&self) -> Result<String, Error> {
        let failed = |error| Error::Run(self.clone(), error);
        let (program, arguments) = self.words.split_first().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).kill_on_drop(true);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(self.input.as_bytes()).await.map_err(failed)?;
        }
        let output = timeout(LIMIT, child.wait_with_output()).await;
        let output = output.map_err(|_| Error::Elapsed(self.clone()))?.map_err(failed)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Failed { line: self.clone(), said });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words.join(" "))
    }
}
