//! Child processes that are killed when this process ends, for whatever reason.
//!
//! Each child runs under a small shell that reads from a pipe held by this process. The pipe closes when the handle is
//! dropped and also when this process is killed; the shell then kills the child. This needs no unsafe code, is portable
//! and works even if this process receives SIGKILL.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::wait::until;

/// Reads signal names from the pipe, one per line, and forwards them to the child. End of file means SIGKILL.
const SUPERVISOR: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
{ while read -r signal; do kill -s "$signal" "$child"; done; kill -s KILL "$child"; } <&3 >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
status=$?
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// A running child process. Dropping it kills the child and waits for it to exit.
#[derive(Debug)]
pub(crate) struct SupervisedProcess {
    program: PathBuf,
    supervisor: Child,
    control: Option<ChildStdin>,
    log: PathBuf,
}

impl SupervisedProcess {
    /// Starts a command and appends its output to the file `log`.
    pub(crate) fn start(command: &Command, log: &Path) -> Result<Self> {
        let program = PathBuf::from(command.get_program());
        let output =
            File::options().create(true).append(true).open(log).with_context(|| format!("open {}", log.display()))?;
        let mut shell = Command::new("sh");
        shell.args(["-c", SUPERVISOR, "sh"]).arg(&program).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let mut supervisor = shell.spawn().with_context(|| format!("start {}", program.display()))?;
        let control = supervisor.stdin.take();
        Ok(Self { program, supervisor, control, log: log.to_owned() })
    }

    /// The exit status, or none while the process runs.
    pub(crate) fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.supervisor.try_wait().with_context(|| format!("get the exit status of {}", self.program.display()))
    }

    /// The process ID of the child.
    pub(crate) fn pid(&self) -> Result<u32> {
        let shell = self.supervisor.id();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))?;
        // The shell starts it first.
        let pid = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        pid.with_context(|| format!("{} does not run", self.program.display()))
    }

    /// Sends SIGTERM and waits for the process to exit.
    pub(crate) async fn terminate(mut self, limit: Duration) -> Result<ExitStatus> {
        let condition = format!("{} to exit after SIGTERM", self.program.display());
        if let Some(control) = &mut self.control {
            control.write_all(b"TERM\n").with_context(|| format!("send SIGTERM to {}", self.program.display()))?;
        }
        until(&condition, limit, async || self.exit_status()).await
    }

    /// The content of the log file.
    pub(crate) fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for SupervisedProcess {
    fn drop(&mut self) {
        drop(self.control.take());
        // A failure cannot be handled here.
        let _ = self.supervisor.wait();
    }
}
