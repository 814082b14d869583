//! Programs that run another program: what they run, and what they do with SIGTERM. Hooks and commands read them here.

mod options;
#[cfg(test)]
mod tests;
mod user_switch;

use super::command::{Script, program};
use options::{Given, Options};

/// A word of a command line; `None` if the manifest does not show it.
pub(crate) type Word<'a> = Option<&'a str>;

/// The command line of a program that runs another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapper<'a> {
    /// Its name, without its directory.
    pub(crate) program: &'a str,
    pub(crate) runs: Runs<'a>,
    pub(crate) on_sigterm: OnSigterm,
    /// Variables that it sets, as `NAME=value`.
    pub(crate) variables: Vec<&'a str>,
    options: Vec<Given<'a>>,
}

/// What a wrapper runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs<'a> {
    /// The words of the command line from this one on. There may be none.
    Line(usize),
    /// A script in a shell: `su -c SCRIPT`.
    Script(Script<'a>),
    /// The manifest does not show it.
    Unknown,
}

/// What a wrapper does when it gets SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSigterm {
    /// The command gets it: it replaces the wrapper, or the wrapper forwards the signal and waits.
    Forwards,
    /// It forwards the signal as the init process of the container, so that the command is not the first process.
    ForwardsAsInit,
    /// The command does not get it. The text says what to do.
    Keeps(&'static str),
}

/// A wrapper, and how the command follows its name.
#[derive(Clone, Copy)]
struct Known {
    names: &'static [&'static str],
    /// The word that must follow the name.
    subcommand: Option<&'static str>,
    options: Options,
    /// The number of words between the options and the command.
    words: usize,
    /// Whether there may be variables before the command.
    variables: bool,
    on_sigterm: OnSigterm,
}

const fn known(
    names: &'static [&'static str],
    short: &'static str,
    long: &'static [&'static str],
    words: usize,
) -> Known {
    let options = Options { short, long };
    Known { names, subcommand: None, options, words, variables: false, on_sigterm: OnSigterm::Forwards }
}

const fn subcommand(name: &'static [&'static str], subcommand: &'static str) -> Known {
    Known { subcommand: Some(subcommand), ..known(name, "", &[], 0) }
}

const fn init(names: &'static [&'static str], short: &'static str, long: &'static [&'static str]) -> Known {
    Known { on_sigterm: OnSigterm::ForwardsAsInit, ..known(names, short, long, 0) }
}

const fn keeps(hint: &'static str, known: Known) -> Known {
    Known { on_sigterm: OnSigterm::Keeps(hint), ..known }
}

/// Measured with Debian 12: most in `e2e/tests/processes`, `sudo` 1.9.13 and `doas` 6.8.2 with their files in `/etc`.
/// `su-exec`, `toybox` and the launchers of languages and monitoring services are documented to replace themselves.
const WRAPPERS: &[Known] = &[
    Known { variables: true, ..known(&["env"], "uCaS", &["unset", "chdir", "argv0", "split-string"], 0) },
    Known { variables: true, ..known(&["sudo"], "aCcDghpRrTtUu", SUDO, 0) },
    known(&["doas"], "aCu", &[], 0),
    known(&["gosu", "su-exec", "setuidgid", "envuidgid", "envdir"], "", &[], 1),
    known(&["s6-setuidgid", "s6-envuidgid"], "D", &[], 1),
    known(&["s6-envdir"], "c", &[], 1),
    known(&["s6-applyuidgid"], "ugG", &[], 0),
    known(&["chpst"], "uUbe/CnlLmdopfcrt", &[], 0),
    known(&["softlimit", "s6-softlimit"], "acdflmnoprst", &[], 0),
    known(&["setpriv"], "", SETPRIV, 0),
    known(&["chroot"], "", &["groups", "userspec"], 1),
    known(&["nice"], "n", &["adjustment"], 0),
    known(&["ionice"], "cn", &["class", "classdata"], 0),
    known(&["chrt"], "TPD", &["sched-runtime", "sched-period", "sched-deadline"], 1),
    known(&["taskset"], "", &[], 1),
    known(&["numactl"], "iNCmpPw", NUMACTL, 0),
    known(&["prlimit"], "o", &["output"], 0),
    known(&["stdbuf"], "ioe", &["input", "output", "error"], 0),
    known(&["timeout"], "ks", &["kill-after", "signal"], 1),
    known(&["nohup", "busybox", "toybox", "with-contenv"], "", &[], 0),
    known(&["docker-entrypoint.sh", "docker-php-entrypoint"], "", &[], 0),
    known(&["ddtrace-run", "opentelemetry-instrument"], "", &[], 0),
    // Builtins of shells.
    known(&["command", "builtin", "exec"], "a", &[], 0),
    subcommand(&["bundle"], "exec"),
    subcommand(&["poetry"], "run"),
    subcommand(&["pipenv"], "run"),
    subcommand(&["newrelic-admin"], "run-program"),
    // `docker-init` is tini. tini's releases have `static` and the architecture in the name.
    init(&["tini", "docker-init"], "pe", &[]),
    init(&["dumb-init"], "r", &["rewrite"]),
    init(&["catatonit", "podman-init"], "", &[]),
    keeps(RUN_DIRECTLY, known(&["time"], "fo", &["format", "output"], 0)),
    keeps(RUN_DIRECTLY, known(&["xargs"], "nIPLsadE", XARGS, 0)),
    keeps("start the app without setsid", known(&["setsid"], "", &[], 0)),
];

const RUN_DIRECTLY: &str = "run the app directly";

const SUDO: &[&str] = &[
    "auth-type",
    "close-from",
    "login-class",
    "chdir",
    "group",
    "host",
    "prompt",
    "chroot",
    "role",
    "command-timeout",
    "type",
    "other-user",
    "user",
];

const SETPRIV: &[&str] = &[
    "ambient-caps",
    "inh-caps",
    "bounding-set",
    "ruid",
    "euid",
    "rgid",
    "egid",
    "reuid",
    "regid",
    "groups",
    "securebits",
    "pdeathsig",
    "ptracer",
    "selinux-label",
    "apparmor-profile",
    "landlock-access",
    "landlock-rule",
    "seccomp-filter",
];

const NUMACTL: &[&str] =
    &["interleave", "weighted-interleave", "cpunodebind", "physcpubind", "membind", "preferred", "preferred-many"];

const XARGS: &[&str] = &["arg-file", "delimiter", "max-args", "max-procs", "max-chars", "process-slot-var"];

impl<'a> Wrapper<'a> {
    /// Reads a command line; `None` if its program does not run another.
    pub(crate) fn of(words: &[Word<'a>]) -> Option<Self> {
        let program = program(words.first().copied().flatten()?);
        if matches!(program, "su" | "runuser") {
            return Some(user_switch::read(program, words));
        }
        let next = words.get(1).copied().flatten();
        let known = WRAPPERS.iter().find(|known| known.matches(program, next))?;
        let mut wrapper = Self { program, on_sigterm: known.on_sigterm, ..Self::default() };
        let mut at = 1 + usize::from(known.subcommand.is_some());
        loop {
            at += known.options.read(words.get(at..).unwrap_or_default(), &mut wrapper.options);
            match words.get(at).copied().flatten() {
                Some(variable) if known.variables && variable.contains('=') => wrapper.variables.push(variable),
                // As `env -i`.
                Some("-") if program == "env" => wrapper.options.push(("i", None)),
                _ => break,
            }
            at += 1;
        }
        wrapper.runs = Runs::Line((at + known.words).min(words.len()));
        match program {
            "env" if wrapper.has(&["S", "split-string"]) => wrapper.runs = Runs::Unknown,
            "dumb-init" => {
                let hint = wrapper.values(&["r", "rewrite"]).find_map(|pair| match pair {
                    "15:0" => Some("remove --rewrite 15:0"),
                    "15:9" => Some("remove --rewrite 15:9"),
                    _ => None,
                });
                wrapper.on_sigterm = hint.map_or(wrapper.on_sigterm, OnSigterm::Keeps);
            }
            // It ends immediately.
            "setsid" if !wrapper.has(&["w", "wait"]) => return None,
            _ => {}
        }
        Some(wrapper)
    }

    /// Whether it has one of these options: letters and long names.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        self.options.iter().any(|(name, _)| names.contains(name))
    }

    /// The values of these options, as far as they are known.
    pub(crate) fn values(&self, names: &[&str]) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(name, _)| names.contains(name)).filter_map(|(_, value)| *value)
    }

    /// Whether the command does not see all variables of the container.
    pub(crate) fn hides_environment(&self) -> bool {
        match self.program {
            "env" => self.has(&["i", "ignore-environment"]),
            "su" | "runuser" => self.has(&["-", "l", "login"]),
            // With a value, only those variables remain.
            "sudo" => !self.has(&["E", "preserve-env"]) || self.values(&["preserve-env"]).next().is_some(),
            "doas" => true,
            _ => false,
        }
    }
}

impl Default for Wrapper<'_> {
    fn default() -> Self {
        Self {
            program: "",
            runs: Runs::Unknown,
            on_sigterm: OnSigterm::Forwards,
            variables: Vec::new(),
            options: Vec::new(),
        }
    }
}

impl Known {
    fn matches(&self, program: &str, next: Word<'_>) -> bool {
        let is_it = |name: &&str| *name == program || (*name == "tini" && program.starts_with("tini-"));
        self.names.iter().any(is_it) && self.subcommand.is_none_or(|word| next == Some(word))
    }
}
