//! Whether SIGTERM reaches the app of a container.
//!
//! The kubelet sends the stop signal only to the first process of a container. If that process is a shell or a package
//! manager, the app may not receive the signal: it then runs until SIGKILL, or ends together with the first process.
//!
//! The cases were measured with dash 0.5.12, bash 5.2, npm 11, yarn 1 and 4 and pnpm 10; the pages of `SignalLost` and
//! `SignalMayBeLost` show the results.

use k8s_openapi::api::core::v1::Container;

use super::command::{Command, End, Script, program};

/// The reason why SIGTERM does not, or may not, reach the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignalLoss {
    /// The shell stays the first process and does not forward the signal.
    Shell { shell: String, fix: Fix },
    /// The package manager ends without waiting for the app.
    Manager { manager: String },
    /// Whether the shell remains the first process depends on this.
    ShellUnclear { shell: String, depends_on: &'static str, fix: Fix },
    /// Whether the package manager forwards the signal depends on its version.
    ManagerUnclear { manager: String },
}

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

/// The change to make for a package manager.
pub(crate) const RUN_DIRECTLY: &str = "run the app directly, for example node server.js";

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

impl SignalLoss {
    /// The problem of a container's command with SIGTERM; `None` if the app seems to receive it.
    pub(crate) fn of(container: &Container) -> Option<Self> {
        // Without a command, the command of the image runs.
        let command = container.command.as_ref().filter(|command| !command.is_empty())?;
        let line: Vec<_> = command.iter().chain(container.args.iter().flatten()).cloned().collect();
        match without_tini(&line) {
            line if let Some(script) = Script::of(line) => in_script(script),
            line => by_manager(line.iter().map(String::as_str)),
        }
    }
}

/// The command that tini runs: tini forwards SIGTERM to its only child, so that child is checked.
fn without_tini(line: &[String]) -> &[String] {
    match line.split_first() {
        Some((first, rest)) if program(first) == "tini" => after_options(rest),
        _ => line,
    }
}

/// `-p SIGNAL` and `-e CODE` take the next word, unless the value follows directly (tini 0.19, `parse_args`).
fn after_options(mut words: &[String]) -> &[String] {
    while let [option, rest @ ..] = words {
        let Some(flags) = option.strip_prefix('-') else { break };
        let takes_next = !flags.starts_with('-') && flags.find(['p', 'e']).is_some_and(|at| at + 1 == flags.len());
        words = rest.get(usize::from(takes_next)..).unwrap_or_default();
        if flags == "-" {
            break;
        }
    }
    words
}

fn in_script(script: Script<'_>) -> Option<SignalLoss> {
    let commands = script.commands();
    let (last, others) = commands.split_last()?;
    // A script with a trap is assumed to forward SIGTERM.
    if commands.iter().any(|command| command.text.split_whitespace().next() == Some("trap")) {
        return None;
    }
    // In a pipe or in the background, `exec` replaces a subshell and not the first process.
    let in_main_shell = |at: usize| commands[at].end == End::Sequence && (at == 0 || commands[at - 1].end != End::Pipe);
    if let Some(words) = (0..commands.len()).filter(|at| in_main_shell(*at)).find_map(|at| executed(&commands[at])) {
        return by_manager(words.into_iter());
    }
    let (shell, several) = (script.shell.to_owned(), !others.is_empty());
    let waits = last.text == "wait" && others.iter().any(|other| other.end == End::Background);
    if waits || !in_main_shell(commands.len() - 1) {
        return Some(SignalLoss::Shell { shell, fix: Fix::WithoutPipe });
    }
    let fix = match several {
        false => Fix::OnlyCommand,
        true if is_not_app(last) => Fix::AppOrTrap,
        true => Fix::LastCommand,
    };
    match script.shell {
        // bash replaces itself with a single command.
        "bash" if !several && !redirects(last) => by_manager(last.text.split_whitespace()),
        "bash" => Some(SignalLoss::ShellUnclear { shell, depends_on: "its version", fix }),
        _ if several => Some(SignalLoss::Shell { shell, fix }),
        _ => Some(SignalLoss::ShellUnclear { shell, depends_on: "the image", fix }),
    }
}

/// The command that replaces the shell. `exec` with only redirections does not replace it.
fn executed<'a>(command: &Command<'a>) -> Option<Vec<&'a str>> {
    let mut words = command.text.split_whitespace().peekable();
    if words.peek() == Some(&"case") {
        words.by_ref().find(|word| word.ends_with(')'));
    }
    let before =
        |word: &&str| matches!(*word, "then" | "else" | "do" | "{" | "!") || word.contains('=') || word.ends_with(')');
    let mut words = words.skip_while(before);
    let executed: Vec<_> = if words.next() == Some("exec") { words.collect() } else { Vec::new() };
    executed.first().is_some_and(|first| !first.contains(['<', '>'])).then_some(executed)
}

/// Whether a command ends a loop or a branch, or is a builtin or similar: `exec` before it has no effect.
fn is_not_app(command: &Command<'_>) -> bool {
    let first = command.text.split_whitespace().next().unwrap_or_default();
    matches!(first, "done" | "fi" | "esac" | "}" | "exit" | "wait" | "sleep" | "true" | ":" | "echo")
}

fn redirects(command: &Command<'_>) -> bool {
    command.text.contains(['<', '>'])
}

/// Package managers that run the app as their child and end before it.
fn by_manager<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<SignalLoss> {
    let manager = program(words.next()?);
    let mut has_any = |names: &[&str]| words.any(|word| names.contains(&word));
    let lost = match manager {
        "npm" => has_any(&["start", "run", "run-script", "exec"]),
        // `pnpm exec` waits.
        "pnpm" => has_any(&["start", "run"]),
        "npx" => true,
        // yarn 4 waits, yarn 1 does not.
        "yarn" => return Some(SignalLoss::ManagerUnclear { manager: manager.to_owned() }),
        _ => false,
    };
    lost.then(|| SignalLoss::Manager { manager: manager.to_owned() })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;

    use super::{Fix, SignalLoss};

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn loss(command: &[&str]) -> Option<SignalLoss> {
        SignalLoss::of(&Container { command: Some(words(command)), ..Container::default() })
    }

    fn shell(shell: &str, fix: Fix) -> SignalLoss {
        SignalLoss::Shell { shell: shell.to_owned(), fix }
    }

    fn shell_unclear(shell: &str, depends_on: &'static str, fix: Fix) -> SignalLoss {
        SignalLoss::ShellUnclear { shell: shell.to_owned(), depends_on, fix }
    }

    fn manager(manager: &str) -> SignalLoss {
        SignalLoss::Manager { manager: manager.to_owned() }
    }

    #[test]
    fn a_shell_does_not_forward_the_signal_to_the_last_of_several_commands() {
        for script in [
            "migrate && server",
            "migrate; server",
            "cd /app\nserver\n",
            "set -e; nginx -g 'daemon off;'",
            "exec 2>&1; server",
            "echo please exec this; server",
            "kubectl exec x; server",
        ] {
            assert_eq!(loss(&["/bin/sh", "-c", script]), Some(shell("sh", Fix::LastCommand)), "{script}");
        }
    }

    #[test]
    fn exec_is_not_proposed_before_a_keyword() {
        for script in ["while true; do work; done", "if new; then a; else b; fi", "server; exit 0", "server; sleep 5"] {
            assert_eq!(loss(&["sh", "-c", script]), Some(shell("sh", Fix::AppOrTrap)), "{script}");
        }
    }

    #[test]
    fn every_shell_remains_for_a_pipe_or_a_background_command() {
        for script in [
            "server | tee log",
            "server &",
            "agent & wait",
            "migrate; server 2>&1 | tee log",
            "exec server | tee log",
            "exec server & wait",
        ] {
            for name in ["sh", "bash"] {
                assert_eq!(loss(&[name, "-c", script]), Some(shell(name, Fix::WithoutPipe)), "{name} {script}");
            }
        }
    }

    #[test]
    fn some_shells_replace_themselves_with_the_last_command() {
        for (name, script, depends_on, fix) in [
            ("sh", "server --port 80", "the image", Fix::OnlyCommand),
            ("dash", "server", "the image", Fix::OnlyCommand),
            ("bash", "migrate && server", "its version", Fix::LastCommand),
            ("bash", "server > log", "its version", Fix::OnlyCommand),
        ] {
            assert_eq!(loss(&[name, "-c", script]), Some(shell_unclear(name, depends_on, fix)), "{name} {script}");
        }
        assert_eq!(loss(&["bash", "-c", "server --port 80"]), None);
    }

    #[test]
    fn a_package_manager_does_not_wait_for_the_app() {
        for (command, name) in [
            (&["npm", "start"][..], "npm"),
            (&["npm", "--prefix", "/app", "run", "serve"], "npm"),
            (&["npx", "next", "start"], "npx"),
            (&["pnpm", "start"], "pnpm"),
            (&["sh", "-c", "migrate && exec npm start"], "npm"),
            (&["bash", "-c", "npm start"], "npm"),
        ] {
            assert_eq!(loss(command), Some(manager(name)), "{command:?}");
        }
        assert_eq!(loss(&["yarn", "start"]), Some(SignalLoss::ManagerUnclear { manager: "yarn".to_owned() }));
    }

    #[test]
    fn tini_forwards_the_signal_to_its_child() {
        for (command, expected) in [
            (&["tini", "-g", "--", "sh", "-c", "migrate; server"][..], shell("sh", Fix::LastCommand)),
            (&["/sbin/tini", "--", "npm", "start"], manager("npm")),
            (&["tini", "-s", "-v", "-e", "143", "-p", "SIGTERM", "--", "npm", "start"], manager("npm")),
            (&["tini", "-se", "143", "-pSIGTERM", "npm", "start"], manager("npm")),
            (&["tini", "sh", "-c", "server"], shell_unclear("sh", "the image", Fix::OnlyCommand)),
        ] {
            assert_eq!(loss(command), Some(expected), "{command:?}");
        }
    }

    #[test]
    fn arguments_are_part_of_the_command() {
        let container = Container {
            command: Some(words(&["sh", "-c"])),
            args: Some(words(&["migrate && server"])),
            ..Container::default()
        };
        assert_eq!(SignalLoss::of(&container), Some(shell("sh", Fix::LastCommand)));
    }

    #[test]
    fn an_app_that_is_the_first_process_receives_the_signal() {
        for command in [
            &["server"][..],
            &["node", "server.js"],
            &["sh", "-c", "exec server"],
            &["sh", "-c", "migrate && exec server"],
            &["sh", "-c", "if new; then exec a; fi; exec b"],
            &["sh", "-c", "case $x in a) exec a;; *) exec b;; esac"],
            &["sh", "-c", "migrate; PORT=80 exec server"],
            &["sh", "-c", "tail -f log & exec server"],
            &["tini", "-e", "143", "--", "server"],
            &["sh", "-c", "trap 'kill $pid' TERM; server & pid=$!; wait $pid"],
            &["sh", "/entrypoint.sh"],
            &["tini", "--", "server"],
            &["tini"],
            &["dumb-init", "--", "npm", "start"],
            &["npm", "ci"],
            &["pnpm", "exec", "server"],
            &["sh", "-c", ""],
            &[],
        ] {
            assert_eq!(loss(command), None, "{command:?}");
        }
    }

    #[test]
    fn the_command_of_the_image_is_unknown() {
        let only_arguments = Container { args: Some(words(&["npm", "start"])), ..Container::default() };
        assert_eq!(SignalLoss::of(&only_arguments), None);
        assert_eq!(SignalLoss::of(&Container::default()), None);
    }
}
