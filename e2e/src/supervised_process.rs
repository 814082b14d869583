//! Processes that end with us, however we end.
//!
//! A process is started by a small shell that holds the other end of a pipe of ours. The pipe closes when the handle is
//! dropped, and also when this process is killed, and then the shell kills what it started. Nothing else is portable,
//! safe and proof against SIGKILL.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::until::{Elapsed, until};

/// Signals come as lines by the pipe; its end means SIGKILL.
const TETHER: &str = r#"
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

/// A running process; dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Process {
    shell: Child,
    tether: Option<ChildStdin>,
    log: PathBuf,
}

/// A process that does not do as it is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be started, asked or written to.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It did not end.
    #[error(transparent)]
    Elapsed(#[from] Elapsed),
}

impl Process {
    /// Starts a command; what it prints goes to the end of the file `log`.
    pub fn start(command: &Command, log: &Path) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", TETHER, "sh"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let mut shell = shell.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let tether = shell.stdin.take();
        Ok(Self { shell, tether, log: log.to_owned() })
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(mut self, limit: Duration) -> Result<ExitStatus, Error> {
        if let Some(tether) = &mut self.tether {
            tether.write_all(b"TERM\n")?;
        }
        until("a process ended after SIGTERM", limit, async || Ok(self.ended()?)).await
    }

    /// Everything it printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.tether.take());
        // Nothing is left to be done about a failure.
        let _ = self.shell.wait();
    }
}
