//! SIGTERM goes to a container's first process alone. Where that is a shell or a package manager, the app behind it may
//! never hear of it: then it has no deadline, and dies at the end of the grace period or with the process in front of it.
//!
//! What is said here was measured with dash 0.5.12, bash 5.2, npm 11, yarn 1 and 4 and pnpm 10; see the pages.

use k8s_openapi::api::core::v1::Container;

use super::Subject;
use crate::finding::{Code, Finding};
use crate::plan::command::{Command, End, Script, program};
use crate::plan::container_field;

pub(super) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
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
        Some((first, rest)) if program(first) == "tini" => {
            let options = rest.iter().take_while(|word| word.starts_with('-')).count();
            rest.get(options..).unwrap_or_default()
        }
        _ => line,
    }
}

fn in_script(script: Script<'_>) -> Option<(Code, String)> {
    let commands = script.commands();
    let (last, others) = commands.split_last()?;
    // Whoever writes a trap passes SIGTERM on.
    if commands.iter().any(|command| command.text.split_whitespace().next() == Some("trap")) {
        return None;
    }
    if let Some(words) = commands.iter().find_map(executed) {
        return in_front(words.into_iter());
    }
    let (shell, several) = (script.shell, !others.is_empty());
    let stays_in_front = last.end == End::Background || others.last().is_some_and(|other| other.end == End::Pipe);
    let waits = last.text == "wait" && others.iter().any(|other| other.end == End::Background);
    if stays_in_front || waits {
        let message = format!("SIGTERM ends at {shell}; run the app without | and &, with exec in front");
        return Some((Code::SignalLost, message));
    }
    let way_out =
        if several { "write exec in front of the last command" } else { "write exec in front of the command" };
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
    let words: Vec<_> = command.text.split_whitespace().skip_while(|word| *word != "exec").skip(1).collect();
    words.first().is_some_and(|first| !first.contains(['<', '>'])).then_some(words)
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
    use crate::plan::rules::tests::{container, fires, silent};

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
            "while true; do work; done",
        ] {
            assert_eq!(
                message(&["/bin/sh", "-c", script], SignalLost),
                "SIGTERM ends at sh, not at the app; write exec in front of the last command",
                "{script}"
            );
        }
    }

    #[test]
    fn a_pipe_or_the_background_keeps_every_shell_in_front() {
        for script in ["server | tee log", "server &", "agent & wait", "migrate; server 2>&1 | tee log"] {
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
