//! Which process of a shell's script gets the signal. Measured with dash 0.5.12, bash 5.2 and `BusyBox` 1.35.

use super::super::command::{Command, End, Script};
use super::{SignalLoss, words};

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
pub(super) fn read(script: Script<'_>, is_busybox: bool) -> (Option<SignalLoss>, Option<Vec<String>>) {
    let commands = script.commands();
    let Some((last, others)) = commands.split_last() else { return (None, None) };
    // A script with a trap is assumed to forward SIGTERM.
    if commands.iter().any(|command| command.text.split_whitespace().next() == Some("trap")) {
        return (None, None);
    }
    // In a pipe or in the background, `exec` replaces a subshell and not the first process.
    let in_main_shell = |at: usize| commands[at].end == End::Sequence && (at == 0 || commands[at - 1].end != End::Pipe);
    if let Some(words) = (0..commands.len()).filter(|at| in_main_shell(*at)).find_map(|at| executed(&commands[at])) {
        return (None, Some(words));
    }
    let (shell, several) = (script.shell.to_owned(), !others.is_empty());
    let waits = last.text == "wait" && others.iter().any(|other| other.end == End::Background);
    if waits || !in_main_shell(commands.len() - 1) {
        return (Some(SignalLoss::Shell { shell, fix: Fix::WithoutPipe }), None);
    }
    let fix = match several {
        false => Fix::OnlyCommand,
        true if is_not_app(last) => Fix::AppOrTrap,
        true => Fix::LastCommand,
    };
    let runs = Some(words::split(last.text));
    match script.shell {
        // bash replaces itself with a single command.
        "bash" if !several && !redirects(last) => (None, runs),
        // Like bash, BusyBox 1.35 replaces itself with the last command; older versions do not.
        "bash" => (Some(SignalLoss::ShellUnclear { shell, depends_on: "its version", fix }), runs),
        _ if is_busybox && !(several && is_not_app(last)) => {
            (Some(SignalLoss::ShellUnclear { shell, depends_on: "its version", fix }), runs)
        }
        _ if several => (Some(SignalLoss::Shell { shell, fix }), None),
        _ => (Some(SignalLoss::ShellUnclear { shell, depends_on: "the image", fix }), runs),
    }
}

/// The command that replaces the shell. `exec` with only redirections does not replace it.
fn executed(command: &Command<'_>) -> Option<Vec<String>> {
    let mut rest = command.text;
    let mut in_case = false;
    loop {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        match word {
            "exec" => break,
            "" => return None,
            "case" => in_case = true,
            // The pattern of the first branch.
            _ if in_case => in_case = !word.ends_with(')'),
            "then" | "else" | "do" | "{" | "!" => {}
            _ if word.contains('=') || word.ends_with(')') => {}
            _ => return None,
        }
    }
    let executed = words::split(rest);
    // Options of exec itself: `exec -a NAME`.
    let named = usize::from(executed.first().is_some_and(|word| word == "-a")) * 2;
    let executed = executed.get(named..).unwrap_or_default();
    (!executed.is_empty()).then(|| executed.to_vec())
}

/// Whether a command ends a loop or a branch, or is a builtin or similar: `exec` before it has no effect.
fn is_not_app(command: &Command<'_>) -> bool {
    let first = command.text.split_whitespace().next().unwrap_or_default();
    matches!(first, "done" | "fi" | "esac" | "}" | "exit" | "wait" | "sleep" | "true" | ":" | "echo")
}

fn redirects(command: &Command<'_>) -> bool {
    command.text.contains(['<', '>'])
}
