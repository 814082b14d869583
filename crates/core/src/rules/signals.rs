//! SIGTERM goes to a container's first process alone. Where that is a shell or a package manager, the app behind it may
//! never hear of it: then it has no deadline, and dies at the end of the grace period or with the process in front of it.
//!
//! What is said here was measured with dash 0.5.12, bash 5.2, npm 11, yarn 1 and 4 and pnpm 10; see the pages.

use k8s_openapi::api::core::v1::Container;

use super::Subject;
use crate::finding::{Code, Finding};
use crate::plan::container_field;
use crate::pod::command::{Command, End, Script, program};

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    subject.workload.pod.containers.iter().filter_map(finding).collect()
}

fn finding(container: &Container) -> Option<Finding> {
    // Without a command it is the image that says what is run, and with what in front.
    let command = container.command.as_ref().filter(|command| !command.is_empty())?;
    let line: Vec<_> = command.iter().chain(container.args.iter().flatten()).cloned().collect();
    let (code, message) = match behind_tini(&line) {
        line if let Some(script) = Script::of(line) => in_script(script)?,
        line => in_front(line.iter().map(String::as_str))?,
    };
    Some(Finding::new(code, container_field(&container.name, "command"), message))
}

/// What tini runs: it hands SIGTERM to its one child, which is as far as without it.
fn behind_tini(line: &[String]) -> &[String] {
    match line.split_first() {
        Some((first, rest)) if program(first) == "tini" => after_options(rest),
        _ => line,
    }
}

/// `-p SIGNAL` and `-e CODE` take the next word, unless the value follows at once (tini 0.19, `parse_args`).
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

fn in_script(script: Script<'_>) -> Option<(Code, String)> {
    let commands = script.commands();
    let (last, others) = commands.split_last()?;
    // Whoever writes a trap passes SIGTERM on.
    if commands.iter().any(|command| command.text.split_whitespace().next() == Some("trap")) {
        return None;
    }
    // In a pipe or in the background it is another shell that steps aside.
    let alone = |at: usize| commands[at].end == End::Sequence && (at == 0 || commands[at - 1].end != End::Pipe);
    if let Some(words) = (0..commands.len()).filter(|at| alone(*at)).find_map(|at| executed(&commands[at])) {
        return in_front(words.into_iter());
    }
    let (shell, several) = (script.shell, !others.is_empty());
    let stays_in_front = !alone(commands.len() - 1);
    let waits = last.text == "wait" && others.iter().any(|other| other.end == End::Background);
    if stays_in_front || waits {
        let message = format!("SIGTERM ends at {shell}; run the app without | and &, with exec in front");
        return Some((Code::SignalLost, message));
    }
    let way_out = match several {
        false => "write exec in front of the command",
        true if is_no_app(last) => "run the app with exec, or trap SIGTERM and wait for the app",
        true => "write exec in front of the last command",
    };
    match shell {
        "bash" if !several && !redirects(last) => in_front(last.text.split_whitespace()),
        "bash" => {
            Some((Code::SignalMayBeLost, format!("whether SIGTERM passes bash depends on its version; {way_out}")))
        }
        _ if several => Some((Code::SignalLost, format!("SIGTERM ends at {shell}, not at the app; {way_out}"))),
        _ => Some((Code::SignalMayBeLost, format!("whether SIGTERM passes {shell} depends on the image; {way_out}"))),
    }
}

/// What a command replaces the shell with; `exec` with nothing but redirections replaces nothing.
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

/// Whether a command is the end of a loop or a branch, or the shell's own: nothing to write `exec` in front of.
fn is_no_app(command: &Command<'_>) -> bool {
    let first = command.text.split_whitespace().next().unwrap_or_default();
    matches!(first, "done" | "fi" | "esac" | "}" | "exit" | "wait" | "sleep" | "true" | ":" | "echo")
}

fn redirects(command: &Command<'_>) -> bool {
    command.text.contains(['<', '>'])
}

/// Package managers that start an app as their child, and end before it does.
fn in_front<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<(Code, String)> {
    let manager = program(words.next()?);
    let mut told = |names: &[&str]| words.any(|word| names.contains(&word));
    let way_out = "run the app itself, as in node server.js";
    match manager {
        "npm" if told(&["start", "run", "run-script", "exec"]) => {}
        // `pnpm exec` waits.
        "pnpm" if told(&["start", "run"]) => {}
        "npx" => {}
        // `yarn` of today waits, the classic one does not.
        "yarn" => {
            let message = format!("whether SIGTERM passes yarn depends on its version; {way_out}");
            return Some((Code::SignalMayBeLost, message));
        }
        _ => return None,
    }
    Some((Code::SignalLost, format!("SIGTERM ends at {manager}, which does not wait for the app; {way_out}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{self, SignalLost, SignalMayBeLost};
    use crate::rules::tests::{container, fires, silent};

    fn runs(command: &[&str]) -> Value {
        container(|app| app["command"] = json!(command))
    }

    fn message(command: &[&str], code: Code) -> String {
        let (field, message) = fires(&runs(command), code);
        assert_eq!(field, "spec.template.spec.containers[app].command");
        message
    }

    #[test]
    fn a_shell_that_stays_in_front_keeps_the_signal_to_itself() {
        for script in [
            "migrate && server",
            "migrate; server",
            "cd /app\nserver\n",
            "set -e; nginx -g 'daemon off;'",
            "exec 2>&1; server",
            "echo please exec this; server",
            "kubectl exec x; server",
        ] {
            assert_eq!(
                message(&["/bin/sh", "-c", script], SignalLost),
                "SIGTERM ends at sh, not at the app; write exec in front of the last command",
                "{script}"
            );
        }
    }

    #[test]
    fn nobody_is_told_to_write_exec_in_front_of_a_keyword() {
        for script in ["while true; do work; done", "if new; then a; else b; fi", "server; exit 0", "server; sleep 5"] {
            let expected =
                "SIGTERM ends at sh, not at the app; run the app with exec, or trap SIGTERM and wait for the app";
            assert_eq!(message(&["sh", "-c", script], SignalLost), expected, "{script}");
        }
    }

    #[test]
    fn a_pipe_or_the_background_keeps_every_shell_in_front() {
        for script in [
            "server | tee log",
            "server &",
            "agent & wait",
            "migrate; server 2>&1 | tee log",
            "exec server | tee log",
            "exec server & wait",
        ] {
            for shell in ["sh", "bash"] {
                let message = message(&[shell, "-c", script], SignalLost);
                assert!(message.contains("run the app without | and &, with exec in front"), "{message}");
            }
        }
    }

    #[test]
    fn some_shells_step_aside() {
        for (shell, script) in
            [("sh", "server --port 80"), ("dash", "server"), ("bash", "migrate && server"), ("bash", "server > log")]
        {
            let message = message(&[shell, "-c", script], SignalMayBeLost);
            assert!(message.starts_with(&format!("whether SIGTERM passes {shell} depends on ")), "{message}");
        }
        for code in [SignalLost, SignalMayBeLost] {
            silent(&runs(&["bash", "-c", "server --port 80"]), code);
        }
    }

    #[test]
    fn a_package_manager_does_not_wait_for_the_app() {
        for command in [
            &["npm", "start"][..],
            &["npm", "--prefix", "/app", "run", "serve"],
            &["npx", "next", "start"],
            &["pnpm", "start"],
            &["sh", "-c", "migrate && exec npm start"],
            &["bash", "-c", "npm start"],
        ] {
            let message = message(command, SignalLost);
            assert!(message.ends_with("which does not wait for the app; run the app itself, as in node server.js"));
        }
        assert!(
            message(&["yarn", "start"], SignalMayBeLost)
                .starts_with("whether SIGTERM passes yarn depends on its version; ")
        );
    }

    #[test]
    fn tini_hands_the_signal_to_whatever_it_runs() {
        message(&["tini", "-g", "--", "sh", "-c", "migrate; server"], SignalLost);
        message(&["/sbin/tini", "--", "npm", "start"], SignalLost);
        message(&["tini", "-s", "-v", "-e", "143", "-p", "SIGTERM", "--", "npm", "start"], SignalLost);
        message(&["tini", "-se", "143", "-pSIGTERM", "npm", "start"], SignalLost);
        message(&["tini", "sh", "-c", "server"], SignalMayBeLost);
    }

    #[test]
    fn the_arguments_are_part_of_the_command() {
        let manifest = container(|app| {
            app["command"] = json!(["sh", "-c"]);
            app["args"] = json!(["migrate && server"]);
        });
        fires(&manifest, SignalLost);
    }

    #[test]
    fn an_app_that_gets_the_signal_itself_loses_none() {
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
            for code in [SignalLost, SignalMayBeLost] {
                silent(&runs(command), code);
            }
        }
    }

    #[test]
    fn what_the_image_runs_nobody_knows() {
        silent(&container(|app| app["args"] = json!(["npm", "start"])), SignalLost);
        silent(&container(|_| {}), SignalMayBeLost);
    }
}
