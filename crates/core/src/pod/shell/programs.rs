//! Programs whose effect is known.

use std::time::Duration;

use super::effect::{Effect, Failure, Span, Status};
use super::sleep::sleep;
use super::{inline, requests, signals};
use crate::pod::command::program;

/// Words that only a shell knows: there is no program of that name.
pub(super) const BUILTINS: [&str; 10] = [".", ":", "eval", "exec", "exit", "export", "set", "source", "trap", "unset"];

/// What a program does with its arguments; [`Effect::unknown`] for other programs. `None` is an unknown argument.
pub(super) fn effect(name: &str, arguments: &[Option<String>]) -> Effect {
    let has_flag = |flags: &[char]| {
        let mut options = arguments.iter().flatten().filter(|word| word.starts_with('-') && !word.starts_with("--"));
        options.any(|word| word.contains(flags))
    };
    let name = program(name);
    match name {
        "sleep" => sleep(arguments),
        ":" | "true" | "echo" | "printf" | "pwd" | "cd" | "export" | "readonly" | "unset" | "umask" | "local"
        | "declare" | "alias" | "ulimit" | "hash" | "shopt" | "set" => Effect::immediate(Status::Succeeds),
        "false" => Effect::fails(Failure::ExitStatus),
        "cat" | "date" | "hostname" | "id" | "whoami" | "uname" | "dirname" | "basename" | "touch" | "mkdir" | "ls"
        | "ln" | "readlink" | "realpath" | "stat" | "head" | "tr" | "cut" | "wc" | "sort" | "uniq" | "seq" | "ps"
        | "printenv" | "nproc" | "logger" | "sed" | "type" | "jobs" | "mktemp" => Effect::immediate(Status::Expected),
        "tail" if !has_flag(&['f', 'F']) => Effect::immediate(Status::Expected),
        "rm" | "chmod" | "chown" if !has_flag(&['r', 'R']) => Effect::immediate(Status::Expected),
        "[" | "[[" | "test" | "pgrep" | "pidof" | "grep" | "egrep" | "fgrep" | "expr" | "let" | "read" | "which" => {
            Effect::immediate(Status::Either)
        }
        "usleep" => match arguments {
            [Some(text)] => text.parse().map_or(Effect::unknown(), |us| Effect::sleeps(Duration::from_micros(us))),
            _ => Effect::unknown(),
        },
        "kill" => signals::kill(arguments),
        "pkill" | "killall" => signals::by_name(name, arguments),
        "kong" => signals::kong(arguments),
        "curl" => requests::curl(arguments),
        "wget" => requests::wget(arguments),
        "nginx" if has_pair(arguments, "-s", &["reload", "reopen"]) => Effect::immediate(Status::Expected),
        // An unknown argument is an error for nginx, which does nothing then.
        "nginx" if arguments.iter().flatten().any(|word| is_operator(word)) => Effect::fails(Failure::NoShellSyntax),
        _ => inline::effect(name, arguments).unwrap_or_else(|| signals::stop_command(name, arguments)),
    }
}

/// Whether an option with one of these values is there.
fn has_pair(arguments: &[Option<String>], option: &str, values: &[&str]) -> bool {
    arguments.windows(2).any(|pair| match pair {
        [Some(word), Some(value)] => word == option && values.contains(&value.as_str()),
        _ => false,
    })
}

/// The time limit of an option, as in `--timeout=30`, `--timeout 30`, `-t 30` or `-t30`.
pub(super) fn limit(arguments: &[Option<String>], options: &[&str]) -> Option<Duration> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(word) = word else { continue };
        for option in options {
            let Some(rest) = word.strip_prefix(option) else { continue };
            let value = match rest.strip_prefix('=') {
                Some(value) => Some(value),
                None if rest.is_empty() => words.clone().next().and_then(|next| next.as_deref()),
                None if option.len() == 2 => Some(rest),
                None => continue,
            };
            return value.and_then(super::sleep::duration);
        }
    }
    None
}

/// A program that runs for at most that time.
pub(super) fn limited(limit: Option<Duration>) -> Effect {
    Effect { time: Span { least: Duration::ZERO, most: limit }, ..Effect::unknown() }
}

/// Whether a word is an operator of a shell.
pub(super) fn is_operator(word: &str) -> bool {
    matches!(word, "&&" | "||" | ";" | "|" | "&" | ">" | ">>")
}
