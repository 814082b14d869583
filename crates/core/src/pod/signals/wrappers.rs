//! Programs that another program replaces, or that forward the signal to it and wait for it.

use super::SignalLoss;
use super::words::Options;

/// A command line without its wrapper.
pub(super) struct Wrapped<'a> {
    pub(super) line: &'a [String],
    /// Whether the wrapper remains, and forwards signals.
    pub(super) is_init: bool,
    /// The wrapper keeps the signal for itself.
    pub(super) loss: Option<SignalLoss>,
}

/// How the command follows the name of the wrapper.
struct Syntax {
    options: Options,
    /// The number of words between the options and the command.
    words: usize,
    /// Whether there may be variables before the command.
    variables: bool,
}

const NONE: Options = Options { short: "", long: &[] };

const fn syntax(short: &'static str, long: &'static [&'static str], words: usize) -> Syntax {
    Syntax { options: Options { short, long }, words, variables: false }
}

/// Measured with Debian 12, except `su-exec`, `sudo`, `doas`, `numactl` and the agents of monitoring services: these are
/// documented to replace themselves, or to forward signals (`sudo`).
fn syntax_of(name: &str, arguments: &[String]) -> Option<Syntax> {
    let next = arguments.first().map(String::as_str);
    Some(match name {
        "env" => Syntax { variables: true, ..syntax("uC", &["unset", "chdir"], 0) },
        _ if ONE_WORD.contains(&name) => syntax("", &[], 1),
        "s6-applyuidgid" => syntax("ugG", &[], 0),
        "setpriv" => syntax("", SETPRIV, 0),
        "chpst" => syntax("uUbe/nlLmoprfct", &[], 0),
        "softlimit" | "s6-softlimit" => syntax("acdflmnoprst", &[], 0),
        "nice" => syntax("n", &["adjustment"], 0),
        "ionice" => syntax("cn", &["class", "classdata"], 0),
        "chrt" => syntax("TPD", &["sched-runtime", "sched-period", "sched-deadline"], 1),
        "numactl" => syntax("iNCmp", &["interleave", "cpunodebind", "physcpubind", "membind", "preferred"], 0),
        "stdbuf" => syntax("ioe", &["input", "output", "error"], 0),
        "timeout" => syntax("ks", &["kill-after", "signal"], 1),
        "sudo" => Syntax { variables: true, ..syntax("CghpRrTtUuD", &["user", "group", "chdir", "host", "prompt"], 0) },
        "doas" => syntax("uC", &[], 0),
        _ if SUBCOMMAND.iter().any(|(program, word)| *program == name && Some(*word) == next) => syntax("", &[], 1),
        _ if NO_WORD.contains(&name) => syntax("", &[], 0),
        _ if is_init(name) => syntax("per", &["rewrite"], 0),
        _ => return None,
    })
}

/// Programs with the command directly after them.
const NO_WORD: &[&str] =
    &["nohup", "busybox", "ddtrace-run", "opentelemetry-instrument", "docker-entrypoint.sh", "docker-php-entrypoint"];

/// Programs with one word before the command: a user, a mask, a folder.
const ONE_WORD: &[&str] =
    &["gosu", "su-exec", "setuidgid", "s6-setuidgid", "envuidgid", "envdir", "s6-envdir", "taskset", "chroot"];

/// Programs with this word before the command.
const SUBCOMMAND: &[(&str, &str)] =
    &[("bundle", "exec"), ("poetry", "run"), ("pipenv", "run"), ("newrelic-admin", "run-program")];

/// The options of setpriv with a value.
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
    "selinux-label",
    "apparmor-profile",
];

/// Whether it is an init process for containers. `docker-init` is tini; tini's releases have the architecture in the name.
fn is_init(name: &str) -> bool {
    matches!(name, "docker-init" | "dumb-init" | "catatonit") || name == "tini" || name.starts_with("tini-")
}

/// The command that a wrapper runs; `None` if the program is no known wrapper.
pub(super) fn unwrap<'a>(name: &str, arguments: &'a [String]) -> Option<Wrapped<'a>> {
    let syntax = syntax_of(name, arguments)?;
    let mut line = syntax.options.skip(arguments).get(syntax.words..).unwrap_or_default();
    if syntax.variables {
        let variables = line.iter().take_while(|word| word.contains('=')).count();
        line = NONE.skip(line.get(variables..).unwrap_or_default());
    } else if syntax.words > 0 {
        line = line.strip_prefix(&["--".to_owned()]).unwrap_or(line);
    }
    let drops_signal = name == "dumb-init" && arguments.iter().any(|word| matches!(rewrite(word), "15:0" | "TERM:0"));
    let loss = drops_signal.then(|| SignalLoss::Program { program: name.to_owned(), hint: "remove --rewrite 15:0" });
    Some(Wrapped { line, is_init: is_init(name), loss })
}

/// The value of dumb-init's `--rewrite` in a word, if it is one.
fn rewrite(word: &str) -> &str {
    let long = word.strip_prefix("--rewrite=");
    long.or_else(|| word.strip_prefix("-r").filter(|value| !value.is_empty())).unwrap_or(word)
}
