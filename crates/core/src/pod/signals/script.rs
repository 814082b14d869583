//! Which process of a shell's script gets the signal. Measured with dash 0.5.12, bash 5.2 and `BusyBox` 1.35.

use super::super::command::Script;
use super::super::environment::Environment;
use super::super::shell::commands::{End, commands};
use super::SignalLoss;

/// The change to make in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    /// `exec` before the only command.
    OnlyCommand,
    /// `exec` before the last command.
    LastCommand,
    /// The last command is not the app, so `exec` does not help there.
    AppOrTrap,
    /// The app runs in a pipe or in the background.
    WithoutPipe,
}

impl Fix {
    /// As the hint of a finding.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::OnlyCommand => "start the command with exec",
            Self::LastCommand => "start the last command with exec",
            Self::AppOrTrap => "start the app with exec, or trap SIGTERM and wait for the app",
            Self::WithoutPipe => "start the app with exec, without | and &",
        }
    }
}

/// What the shell does with the signal, and the words of the command that replaces the shell, or may replace it.
pub(super) fn read(
    script: Script<'_>,
    is_busybox: bool,
    environment: &Environment<'_>,
) -> (Option<SignalLoss>, Option<Vec<String>>) {
    let commands = commands(script.text);
    let mut words: Vec<_> = commands.iter().map(|command| command.texts(environment)).collect();
    // A script with a trap is assumed to forward SIGTERM.
    if words.iter().any(|words| first(words) == "trap") {
        return (None, None);
    }
    // In a pipe or in the background, `exec` replaces a subshell and not the first process.
    let in_main_shell = |at: usize| commands[at].end == End::Sequence && (at == 0 || commands[at - 1].end != End::Pipe);
    if let Some(executed) = (0..commands.len()).filter(|at| in_main_shell(*at)).find_map(|at| executed(&words[at])) {
        return (None, Some(executed.to_vec()));
    }
    let (Some(last), Some((command, others))) = (words.pop(), commands.split_last()) else { return (None, None) };
    let (shell, several) = (script.shell.to_owned(), !others.is_empty());
    let waits = last == ["wait"] && others.iter().any(|other| other.end == End::Background);
    if waits || !in_main_shell(others.len()) {
        return (Some(SignalLoss::Shell { shell, fix: Fix::WithoutPipe }), None);
    }
    let ends_with_app = !is_not_app(first(&last));
    let fix = match several {
        false => Fix::OnlyCommand,
        true if ends_with_app => Fix::LastCommand,
        true => Fix::AppOrTrap,
    };
    match script.shell {
        // bash replaces itself with a single command.
        "bash" if !several && !command.redirects => (None, Some(last)),
        // Like bash, BusyBox 1.35 replaces itself with the last command; older versions do not.
        "bash" => (Some(SignalLoss::ShellUnclear { shell, depends_on: "its version", fix }), Some(last)),
        _ if is_busybox && (!several || ends_with_app) => {
            (Some(SignalLoss::ShellUnclear { shell, depends_on: "its version", fix }), Some(last))
        }
        _ if several => (Some(SignalLoss::Shell { shell, fix }), None),
        _ => (Some(SignalLoss::ShellUnclear { shell, depends_on: "the image", fix }), Some(last)),
    }
}

fn first(words: &[String]) -> &str {
    words.first().map_or("", String::as_str)
}

/// `exec` and the command that replaces the shell. `exec` with only redirections does not replace it.
fn executed(words: &[String]) -> Option<&[String]> {
    let is_before = |word: &str| matches!(word, "then" | "else" | "do" | "{" | "!") || word.contains('=');
    let at = words.iter().position(|word| !is_before(word)).filter(|at| words[*at] == "exec")?;
    words.get(at..).filter(|executed| executed.len() > 1)
}

/// Whether a command that starts with this word ends a loop or a branch, or is a builtin or similar: `exec` before it has no
/// effect.
fn is_not_app(first: &str) -> bool {
    matches!(first, "done" | "fi" | "esac" | "}" | "exit" | "wait" | "sleep" | "true" | ":" | "echo")
}
