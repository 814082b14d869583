//! A command as the first process of its own PID namespace, as in a container, and signals to it from outside, as from the
//! kubelet.
//!
//! Nothing outlives a test: when the process of the tests ends, for whatever reason, the kernel kills `unshare`, with it the first
//! process of an outer namespace, and with that everything in it. The outer namespace is needed because a first process that
//! changes its user, like gosu, is no longer killed with its parent.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The first process of the outer namespace.
const OUTER: &str = r#"unshare --pid --fork --mount -- sh -c "$0" "$@"; exit $?"#;

/// The first process of the inner namespace, before it becomes the command: `/proc` is still that of the tests, so it shows the
/// process id outside. Like a container runtime, it starts a session, with the default action of every signal.
const INNER: &str = r#"
read -r pid rest < /proc/self/stat && mount -t proc proc /proc || exit 125
echo "$pid" > "$0.new" && mv "$0.new" "$0" || exit 125
exec setsid env --default-signal "$@"
"#;

/// How often files and processes are looked at.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// How long a namespace may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How namespaces can be made on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// By root.
    Root,
    /// In a user namespace, in which only one user exists.
    OneUser,
}

impl Privileges {
    /// What this machine permits; an error with the reason if it permits no PID namespace.
    pub fn detect() -> Result<Self> {
        let directory = tempfile::tempdir().context("create a folder")?;
        let mut last = None;
        for privileges in [Self::Root, Self::OneUser] {
            let tried = FirstProcess::start(&Command::new("true"), directory.path(), privileges);
            match tried.and_then(|mut process| process.exit_within(START_LIMIT)) {
                Ok(Some(status)) if status.success() => return Ok(privileges),
                Ok(_) => last = Some(anyhow::anyhow!("unshare: {}", output_in(directory.path()))),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt")?.context("PID namespaces are not permitted here"))
    }

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[],
            Self::OneUser => &["--user", "--map-root-user"],
        }
    }
}

/// A command that runs as the first process of a PID namespace. Dropping it kills everything in the namespace.
#[derive(Debug)]
pub struct FirstProcess {
    /// `unshare`, outside.
    launcher: Child,
    /// The first process; `None` if it ended before it could be opened.
    process: Option<OwnedFd>,
    directory: PathBuf,
}

impl FirstProcess {
    /// Starts a command in an empty folder, which gets its output. It fails if the namespace does not start.
    ///
    /// Of `command`, the program, the arguments and the environment are used.
    pub fn start(command: &Command, directory: &Path, privileges: Privileges) -> Result<Self> {
        let output = File::create(directory.join(OUTPUT)).context("create a file for the output")?;
        let pid_file = directory.join("pid");
        let mut launcher = Command::new("setpriv");
        launcher.args(["--pdeathsig", "KILL", "--", "unshare"]).args(privileges.options());
        launcher.args(["--pid", "--fork", "--kill-child", "--mount", "--", "sh", "-c", OUTER, INNER]).arg(&pid_file);
        launcher.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => launcher.env(name, value),
                None => launcher.env_remove(name),
            };
        }
        launcher.current_dir(directory).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let launcher = launcher.spawn().context("start setpriv")?;
        let mut started = Self { launcher, process: None, directory: directory.to_owned() };
        started.process = started.open(&pid_file)?;
        Ok(started)
    }

    fn open(&mut self, pid_file: &Path) -> Result<Option<OwnedFd>> {
        let deadline = Instant::now() + START_LIMIT;
        let pid = loop {
            // Read the exit status first: the file may appear between the two.
            let ended = self.launcher.try_wait()?;
            match std::fs::read_to_string(pid_file) {
                Ok(pid) => break pid,
                Err(error) if error.kind() == ErrorKind::NotFound && ended.is_none() => {}
                Err(_) => anyhow::bail!("unshare: {}", output_in(&self.directory)),
            }
            ensure!(Instant::now() < deadline, "the namespace did not start within {} s", START_LIMIT.as_secs());
            sleep(POLL);
        };
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        match pidfd_open(pid.context("a process id")?, PidfdFlags::empty()) {
            Ok(process) => Ok(Some(process)),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error).context("pidfd_open"),
        }
    }

    /// Sends a signal to the first process. Nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match self.process.as_ref().map_or(Ok(()), |process| pidfd_send_signal(process, signal)) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("send {signal:?}")),
        }
    }

    /// Its exit status if it ends within that time; 128 plus the number of the signal that killed it.
    pub fn exit_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            match self.launcher.try_wait().context("get the exit status")? {
                None if Instant::now() < deadline => sleep(POLL),
                status => return Ok(status),
            }
        }
    }

    /// What the processes wrote to standard output and standard error.
    #[must_use]
    pub fn output(&self) -> String {
        output_in(&self.directory)
    }
}

impl Drop for FirstProcess {
    fn drop(&mut self) {
        // Failures cannot be handled here.
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}

const OUTPUT: &str = "output";

fn output_in(directory: &Path) -> String {
    std::fs::read(directory.join(OUTPUT)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
