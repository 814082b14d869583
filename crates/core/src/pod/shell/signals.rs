//! Commands that tell the app to stop.

use std::time::Duration;

use super::effect::{By, Effect, Failure, Signal, Span, Status};
use super::programs::limit;
use crate::catalog::stop_commands::StopCommand;

/// What a signal does to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// It stops, gracefully or not.
    Stops,
    /// The kernel ends it; it ignores this for the first process of a container (`pid_namespaces(7)`).
    Kills,
    /// It reloads its configuration, or ignores it.
    Continues,
    Unknown,
}

/// `SIGWINCH` is the graceful stop of Apache, and of the workers of nginx. Whether an app stops on SIGUSR1, [`By`] tells.
fn action(signal: Option<&str>) -> Action {
    let Some(signal) = signal else { return Action::Unknown };
    let name = signal.to_ascii_uppercase();
    match name.strip_prefix("SIG").unwrap_or(&name) {
        "TERM" | "15" | "INT" | "2" | "QUIT" | "3" | "WINCH" | "28" | "USR1" | "10" => Action::Stops,
        "KILL" | "9" => Action::Kills,
        _ => Action::Continues,
    }
}

fn by(signal: Option<&str>) -> By {
    let name = signal.unwrap_or_default().to_ascii_uppercase();
    match name.strip_prefix("SIG").unwrap_or(&name) {
        "QUIT" | "3" => By::Quit,
        "USR1" | "10" => By::Usr1,
        _ => By::Command,
    }
}

/// The signal and the operands of `kill`, `pkill` or `killall`.
struct Arguments<'a> {
    signal: Action,
    by: By,
    operands: Vec<Option<&'a str>>,
    flags: Vec<&'a str>,
}

impl<'a> Arguments<'a> {
    /// `with_value` are the options with a value that is not a signal.
    fn of(arguments: &'a [Option<String>], signal_options: &[&str], with_value: &[&str]) -> Self {
        let (mut signal, mut operands, mut flags) = (Some("TERM"), Vec::new(), Vec::new());
        let mut words = arguments.iter().map(Option::as_deref);
        let (mut options, mut given) = (true, false);
        while let Some(word) = words.next() {
            match word {
                Some("--") if options => options = false,
                Some(option) if options && signal_options.contains(&option) => {
                    (signal, given) = (words.next().flatten(), true);
                }
                // A group of processes: a signal comes first.
                Some(group) if options && given && is_number(group.strip_prefix('-')) => operands.push(word),
                Some(option) if options && with_value.contains(&option) => {
                    flags.push(option);
                    words.next();
                }
                Some(option) if options && option.len() > 1 && option.starts_with('-') => {
                    if let Some(name) = option.strip_prefix("--signal=") {
                        (signal, given) = (Some(name), true);
                    } else if let Some(name) = option.strip_prefix('-').filter(|name| is_signal(name)) {
                        (signal, given) = (Some(name), true);
                    } else {
                        flags.push(option);
                    }
                }
                operand => {
                    options = false;
                    operands.push(operand);
                }
            }
        }
        Self { signal: action(signal), by: by(signal), operands, flags }
    }
}

fn is_number(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether an option is a signal, and not a letter: `-9`, `-QUIT`, `-SIGQUIT`.
fn is_signal(name: &str) -> bool {
    let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    name.bytes().all(|byte| byte.is_ascii_digit())
        || (name.len() > 2 && name.bytes().all(is_upper))
        || matches!(name, "term" | "quit" | "int" | "kill" | "hup" | "usr1" | "usr2" | "winch")
}

/// `kill`. Each unknown process counts as the app: in a hook, it is read from the file of the app's process ID.
pub(super) fn kill(arguments: &[Option<String>]) -> Effect {
    let arguments = Arguments::of(arguments, &["-s", "-n", "--signal"], &[]);
    if arguments.flags.iter().any(|flag| matches!(*flag, "-l" | "-L" | "--list" | "--table")) {
        return Effect::immediate(Status::Succeeds);
    }
    if arguments.operands.is_empty() {
        return Effect::fails(Failure::ExitStatus);
    }
    let reached = |target: Option<&str>| match (target, arguments.signal) {
        (_, Action::Continues) => None,
        // A job of the hook itself.
        (Some(job), _) if job.starts_with('%') => None,
        (Some("1"), Action::Kills) => None,
        // All processes but the first and the hook's own.
        (Some("-1"), _) | (_, Action::Unknown) => Some(false),
        _ => Some(true),
    };
    let to_first = arguments.operands.iter().all(|target| *target == Some("1"));
    let effect = with_signal(arguments.operands.iter().copied().filter_map(reached).max(), arguments.by, Span::ZERO);
    Effect { signal: effect.signal.map(|signal| Signal { to_first, ..signal }), ..effect }
}

/// `pkill` and `killall`.
pub(super) fn by_name(name: &str, arguments: &[Option<String>]) -> Effect {
    let arguments = match name {
        "pkill" => Arguments::of(
            arguments,
            &["--signal"],
            &["-u", "-U", "-g", "-G", "-P", "-s", "-t", "-F", "-d", "--ns", "--pidfile", "--parent"],
        ),
        _ => Arguments::of(arguments, &["-s", "--signal"], &["-u", "--user", "-y", "-o", "-n", "-Z"]),
    };
    if arguments.operands.is_empty() && arguments.flags.is_empty() {
        return Effect::fails(Failure::ExitStatus);
    }
    // SIGUSR1 is the graceful stop of HAProxy.
    let is_haproxy = arguments.operands.iter().flatten().any(|name| name.contains("haproxy"));
    let by = if is_haproxy { By::Command } else { arguments.by };
    let reached = match arguments.signal {
        Action::Stops | Action::Kills => Some(true),
        Action::Continues => None,
        Action::Unknown => Some(false),
    };
    let waits = name == "killall" && arguments.flags.iter().any(|flag| matches!(*flag, "-w" | "--wait"));
    with_signal(reached, by, if waits { Span::at_least(Duration::ZERO) } else { Span::ZERO })
}

fn with_signal(reached: Option<bool>, by: By, time: Span) -> Effect {
    let signal = reached.map(|exactly| Signal { exactly, ..Signal::now(by) });
    Effect { time, status: Status::Expected, signal }
}

/// `kong quit` waits, sends SIGQUIT, and ends Kong after its time limit (Kong 3, `kong/cmd/quit.lua`).
pub(super) fn kong(arguments: &[Option<String>]) -> Effect {
    let has = |word: &str| arguments.iter().flatten().any(|argument| argument == word);
    if has("stop") {
        return Effect::signals(Span::at_least(Duration::ZERO));
    }
    if !has("quit") {
        return Effect::unknown();
    }
    let has_option = |long: &str, short: &str| {
        arguments.iter().flatten().any(|word| word.starts_with(long) || word.starts_with(short))
    };
    let default = |value: Option<Duration>, given: bool, default: u64| match value {
        Some(value) => Some(value),
        None if given => None,
        None => Some(Duration::from_secs(default)),
    };
    let wait = default(limit(arguments, &["--wait", "-w"]), has_option("--wait", "-w"), 0);
    let timeout = default(limit(arguments, &["--timeout", "-t"]), has_option("--timeout", "-t"), 10);
    let least = wait.unwrap_or_default();
    let most = wait.zip(timeout).map(|(wait, timeout)| wait.saturating_add(timeout.max(Duration::from_secs(1))));
    Effect {
        time: Span { least, most },
        status: Status::Expected,
        signal: Some(Signal { after: least, exactly: wait.is_some(), ..Signal::now(By::Command) }),
    }
}

/// The commands of `data/stop_commands.yaml`; [`Effect::unknown`] for others.
pub(super) fn stop_command(name: &str, arguments: &[Option<String>]) -> Effect {
    match StopCommand::of(name, arguments) {
        Some(command) if command.waits => Effect::signals(Span::at_least(Duration::ZERO)),
        Some(_) => Effect::signals(Span::ZERO),
        None => Effect::unknown(),
    }
}
