//! How an app ends when a signal is sent to the first process of its container.
//!
//! The app is the program `observed-app`, which every run gets as `./app` in a folder of its own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use tempfile::TempDir;

use crate::pid_namespace::{FirstProcess, POLL, Privileges};

/// Process managers written for Node.js need seconds to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A command line, and what is needed to run it.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The command line. `./app` is the app.
    pub command: &'a [&'a str],
    /// A folder next to the programs of npm that comes first in `PATH`: `yarn4` has another version of yarn.
    pub prefer: Option<&'a str>,
    /// Environment variables.
    pub environment: &'a [(&'a str, &'a str)],
    /// Files that it needs, by their names in the folder of the run.
    pub files: &'a [(&'a str, &'a str)],
    /// How long the app needs to stop.
    pub needs: Duration,
    /// How long after the signal everything is killed.
    pub grace: Duration,
}

/// What happened after the signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The signals that the app received, with the time since the signal to the first process.
    pub signals: Vec<(String, Duration)>,
    /// When the app finished its work; `None` if it was killed before.
    pub finished: Option<Duration>,
    /// How long the app was seen alive; exact to about 0.1 s.
    pub alive: Duration,
    /// How often the app was started, before and after the signal.
    pub starts: usize,
    /// When the first process ended, and its exit code; `None` if it had to be killed at the end of the grace period.
    pub end: Option<(Duration, i32)>,
    /// What the processes wrote.
    pub output: String,
}

/// Runs cases: the app and the programs that they use.
#[derive(Debug)]
pub struct Runner {
    root: TempDir,
    privileges: Privileges,
    path: OsString,
    libraries: OsString,
}

impl Runner {
    /// `app` is the file of `observed-app`. The first call on a machine downloads the programs.
    pub fn new(app: &Path, privileges: Privileges) -> Result<Self> {
        let root = tempfile::tempdir().context("create a folder")?;
        // Also for the users that wrappers change to, who may not read the folder of the build.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755))?;
        fs::copy(app, root.path().join("app")).context("copy the app")?;
        let (path, libraries) = programs()?;
        Ok(Self { root, privileges, path, libraries })
    }

    /// How namespaces are made.
    #[must_use]
    pub const fn privileges(&self) -> Privileges {
        self.privileges
    }

    /// The file that runs for the name of a program.
    #[must_use]
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path).map(|folder| folder.join(program)).find(|file| file.is_file())
    }

    /// A command that finds its programs, without the other variables of the tests. `prefer`: see [`Case`].
    #[must_use]
    pub fn command(&self, words: &[&str], prefer: Option<&str>, home: &Path) -> Command {
        let mut command = Command::new(words.first().copied().unwrap_or("true"));
        command.args(words.get(1..).unwrap_or_default());
        for (name, _) in std::env::vars_os() {
            command.env_remove(name);
        }
        let mut path = self.path.clone();
        let mut preferred =
            prefer.into_iter().flat_map(|name| std::env::split_paths(&self.path).map(move |at| at.join(name)));
        if let Some(folder) = preferred.find(|folder| folder.is_dir()) {
            path = folder.into_os_string();
            path.push(":");
            path.push(&self.path);
        }
        command.env("PATH", path).env("LD_LIBRARY_PATH", &self.libraries).env("HOME", home);
        // Programs of npm otherwise ask the registry for newer versions.
        command.env("NO_UPDATE_NOTIFIER", "1").env("npm_config_update_notifier", "false");
        // supervisord, from a package that is not installed.
        let packages = |folder: PathBuf| folder.join("../lib/python3/dist-packages");
        let modules = std::env::split_paths(&self.path).map(packages).find(|folder| folder.join("supervisor").is_dir());
        command.envs(modules.map(|folder| ("PYTHONPATH", folder)));
        command
    }

    /// Starts the command line, sends SIGTERM as soon as the app runs, and waits for the end.
    pub fn run(&self, case: &Case<'_>) -> Result<Outcome> {
        let folder = tempfile::tempdir_in(self.root.path()).context("create a folder")?;
        let path = folder.path();
        // Any user may write.
        fs::set_permissions(path, fs::Permissions::from_mode(0o1777))?;
        fs::hard_link(self.root.path().join("app"), path.join("app")).context("link the app")?;
        fs::write(path.join("seconds"), case.needs.as_secs_f64().to_string())?;
        let events = path.join("events");
        fs::write(&events, "")?;
        fs::set_permissions(&events, fs::Permissions::from_mode(0o666))?;
        for (name, content) in case.files {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap_or(path))?;
            fs::write(&file, content)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        let mut command = self.command(case.command, case.prefer, path);
        command.envs(case.environment.iter().copied());
        let mut process = FirstProcess::start(&command, path, self.privileges)?;
        let start = Instant::now();
        while !fs::read_to_string(&events)?.starts_with("started ") {
            let ended = process.exit_within(Duration::ZERO)?;
            ensure!(ended.is_none(), "it ended before the app started: {ended:?}\n{}", process.output());
            ensure!(start.elapsed() < START_LIMIT, "the app did not start\n{}", process.output());
            sleep(POLL);
        }
        // A wrapper may install its handlers after it has started the app.
        sleep(SETTLE);
        let (sent, clock) = (Instant::now(), monotonic_now());
        process.signal(Signal::TERM)?;
        let status = process.exit_within(case.grace)?;
        let end = status.map(|status| (sent.elapsed(), status.code().unwrap_or(-1)));
        let output = process.output();
        drop(process);
        Ok(Outcome::read(&fs::read_to_string(&events)?, clock, end, output))
    }
}

/// The time on the clock that all processes of the machine share.
#[must_use]
pub fn monotonic_now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    Duration::from_secs(part(now.tv_sec)) + Duration::from_nanos(part(now.tv_nsec))
}

/// The values of `PATH` and `LD_LIBRARY_PATH`, from `e2e/processes/tools`. Programs of this machine are there, too.
fn programs() -> Result<(OsString, OsString)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("processes/tools");
    let output = Command::new(&script).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("run {}", script.display()))?;
    ensure!(output.status.success(), "e2e/processes/tools failed ({})", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines().map(std::env::split_paths);
    let (programs, libraries) = (lines.next(), lines.next());
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = programs.into_iter().flatten().chain(std::env::split_paths(&inherited));
    let path = std::env::join_paths(path.filter(|folder| !folder.as_os_str().is_empty()))?;
    Ok((path, std::env::join_paths(libraries.into_iter().flatten())?))
}

const SETTLE: Duration = Duration::from_millis(500);

impl Outcome {
    fn read(events: &str, sent: Duration, end: Option<(Duration, i32)>, output: String) -> Self {
        let mut outcome = Self { signals: Vec::new(), finished: None, alive: Duration::ZERO, starts: 0, end, output };
        for (event, at) in events.lines().filter_map(|line| line.split_once(' ')) {
            let after = Duration::from_millis(at.parse().unwrap_or_default()).saturating_sub(sent);
            outcome.alive = outcome.alive.max(after);
            match event {
                "alive" => {}
                "started" => outcome.starts += 1,
                "finished" => outcome.finished = Some(after),
                signal => outcome.signals.push((signal.to_owned(), after)),
            }
        }
        outcome
    }
}
