//! A container with a first process that does not forward SIGTERM to the app, or does not wait for it.

use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::Running;
use crate::pod::signals::{Reception, SignalLoss};
use crate::rule::{Check, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code::SignalLost,
    severity: Severity::Warning,
    title: "The first process of a container does not forward SIGTERM, or does not wait for the app.",
    page: PAGE,
    check: Check::Running(finding),
};

fn finding(running: Running<'_>) -> Option<Finding> {
    let reception = Reception::of(running.container);
    let (program, problem, hint) = match (reception.loss?, reception.init) {
        (SignalLoss::Shell { shell, fix }, Some(init)) => {
            let problem = format!("{shell} ends on the SIGTERM of {init} without waiting for the app");
            (shell, problem, fix.hint())
        }
        (SignalLoss::Shell { shell, fix }, None) => {
            let problem = format!("{shell} does not forward SIGTERM to the app");
            (shell, problem, fix.hint())
        }
        (SignalLoss::Program { program, hint }, _) => {
            let problem = format!("{program} does not forward SIGTERM to the app");
            (program, problem, hint)
        }
        (SignalLoss::Manager { manager, hint }, _) => {
            let problem = format!("{manager} does not wait for the app on SIGTERM");
            (manager, problem, hint)
        }
        (SignalLoss::ShellUnclear { .. } | SignalLoss::ManagerUnclear { .. }, _) => return None,
    };
    Some(RULE.finding(running.command_line(), problem).fact(program).hint(hint))
}

const PAGE: &str = r#"## Why

The kubelet sends SIGTERM only to the first process of a container. If that process is a shell, nothing happens: Linux
does not end a first process by a signal that it does not handle, and a shell does not forward signals. The app keeps
serving until SIGKILL ends it, together with the requests it has accepted. With `shareProcessNamespace`, or behind
`tini`, the shell is not the first process: it ends immediately, the container ends with it, and the app is killed even
earlier.

A package manager has the same effect. These cases were measured with an app that takes 3s to finish, and with dash as
`/bin/sh`:

| Command | What the app received |
| --- | --- |
| dash 0.5.12: `sh -c 'a && app'`, `sh -c 'a; app'`, `sh -c 'app; b'` | nothing until SIGKILL |
| bash 5.2: `bash -c 'app \| cat'`, `bash -c 'app & wait'` | nothing until SIGKILL |
| npm 11: `npm start`, `npm run …`, `npx …` | no SIGTERM; npm ended after 0.5s, and the app with it |
| pnpm 10: `pnpm start` | SIGTERM, but pnpm ended immediately, and the app with it |
| `go run` | no SIGTERM; ended immediately |
| `tini -- sh -c 'app'`, `tini -- npm start` | no SIGTERM; ended immediately |
| `tini -g`, `dumb-init`, `catatonit -g` before `sh -c 'a; app'` or `npm start` | SIGTERM, but ended within 0.3s |
| `pm2 start --no-daemon`, `setsid -w`, `svscan`, `dumb-init -r 15:0` | nothing until SIGKILL |
| `runsvdir` | no SIGTERM; ended immediately |

An init process does not help. Even if it signals the whole process group, so that the app receives SIGTERM, the shell or the
package manager receives it, too, and ends. Then the init process ends, and with it the container.

Programs that the app replaces (`gosu`, `su-exec`, `setpriv`, `chpst`, `setuidgid`, `env`, `nice`, `nohup`, …) change nothing:
what they start is checked.

npm forwards the signal, but only to the shell that runs the script. If that shell is bash, or if the script in
`package.json` starts with `exec`, the app replaces the shell: then the app received SIGTERM, and npm waited.

Without `command`, the entrypoint of the image runs, which Winddown does not know. If `args` start with one of these
programs, the entrypoint runs them.

A hook that stops the app itself, such as `pkill server`, needs no SIGTERM if the first process stays until
the app has exited, as a shell does. Winddown does not report these containers.

## What to do

Run the app directly, or let it replace the shell with `exec`:

```yaml
command: [sh, -c, "./migrate && exec node server.js"]
```

A script that must keep running, such as a loop, needs a `trap` that forwards SIGTERM, and then has to `wait` until the
app has exited. An init process such as `tini` helps only if it runs the app directly.

## Source

- `e2e/tests/processes` runs these commands and compares what happens with this finding
- [npm/cli#6684](https://github.com/npm/cli/issues/6684), [pnpm/pnpm#2653](https://github.com/pnpm/pnpm/issues/2653)
- [pid_namespaces(7)](https://man7.org/linux/man-pages/man7/pid_namespaces.7.html) on signals for the first process
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::SignalLost;
    use crate::rules::tests::{container, fires, pod, silent};

    fn runs(command: &[&str]) -> Value {
        container(|app| app["command"] = json!(command))
    }

    fn message(command: &[&str]) -> String {
        let (field, message) = fires(&runs(command), SignalLost);
        assert_eq!(field, "spec.template.spec.containers[app].command");
        message
    }

    #[test]
    fn arguments_that_start_with_a_program_are_a_command_line() {
        let manifest = container(|app| app["args"] = json!(["npm", "run", "start"]));
        let (field, message) = fires(&manifest, SignalLost);
        assert_eq!(field, "spec.template.spec.containers[app].args");
        assert!(message.starts_with("npm does not wait for the app on SIGTERM"), "{message}");
        silent(&container(|app| app["args"] = json!(["--verbose", "npm"])), SignalLost);
    }

    #[test]
    fn an_app_that_its_hook_stops_needs_no_signal() {
        let with_hook = |script: &str| {
            container(|app| {
                app["command"] = json!(["sh", "-ec", "cp /a /b; server"]);
                app["lifecycle"] = json!({"preStop": {"exec": {"command": ["sh", "-c", script]}}});
            })
        };
        for script in ["sleep 5 && kill -SIGTERM $(pidof server)", "pkill server", "sleep 5; nginx -s quit"] {
            silent(&with_hook(script), SignalLost);
        }
        // They do not wait for the app, which they take with them when the kubelet stops them.
        for command in [&["tini", "--", "sh", "-c", "./migrate && ./server"][..], &["npm", "start"]] {
            let hook = json!({"preStop": {"exec": {"command": ["pkill", "server"]}}});
            fires(&container(|app| (app["command"], app["lifecycle"]) = (json!(command), hook)), SignalLost);
        }
        // The first process is the shell, which ignores it.
        for script in
            ["sleep 5; kill -TERM 1", "sleep 5", "[ -f /x ] && pkill server", "[ -f /x ] && pkill server; kill 1"]
        {
            fires(&with_hook(script), SignalLost);
        }
    }

    #[test]
    fn a_shell_before_the_app_is_reported() {
        for (shell, script, hint) in [
            ("sh", "migrate && server", "start the last command with exec"),
            ("sh", "server; exit 0", "start the app with exec, or trap SIGTERM and wait for the app"),
            ("sh", "server | tee log", "start the app with exec, without | and &"),
            ("bash", "exec server & wait", "start the app with exec, without | and &"),
        ] {
            let expected = format!("{shell} does not forward SIGTERM to the app; {hint}");
            assert_eq!(message(&[shell, "-c", script]), expected, "{script}");
        }
    }

    #[test]
    fn a_package_manager_before_the_app_is_reported() {
        for (command, manager) in [
            (&["npm", "start"][..], "npm"),
            (&["npx", "next", "start"], "npx"),
            (&["pnpm", "start"], "pnpm"),
            (&["sh", "-c", "migrate && exec npm start"], "npm"),
            (&["/sbin/tini", "--", "npm", "start"], "npm"),
        ] {
            let expected = format!(
                "{manager} does not wait for the app on SIGTERM; run the app directly, for example node server.js"
            );
            assert_eq!(message(command), expected, "{command:?}");
        }
    }

    #[test]
    fn an_init_process_before_a_shell_does_not_help() {
        for (command, init) in [
            (&["dumb-init", "--", "sh", "-c", "migrate; server"][..], "dumb-init"),
            (&["/usr/bin/tini", "-g", "su-exec", "app", "sh", "-c", "migrate; server"], "tini"),
        ] {
            let expected = format!(
                "sh ends on the SIGTERM of {init} without waiting for the app; start the last command with exec"
            );
            assert_eq!(message(command), expected, "{command:?}");
        }
    }

    #[test]
    fn a_program_that_keeps_the_signal_is_reported() {
        let expected = "pm2 does not forward SIGTERM to the app; use pm2-runtime, or run the app directly";
        assert_eq!(message(&["pm2", "start", "--no-daemon", "app.js"]), expected);
        let expected = "go run does not wait for the app on SIGTERM; build the app, and run the program";
        assert_eq!(message(&["go", "run", "."]), expected);
    }

    #[test]
    fn native_sidecars_are_checked() {
        let manifest = pod(|pod| {
            pod["initContainers"] = json!([
                {"name": "agent", "restartPolicy": "Always", "command": ["npm", "start"]},
                {"name": "migration", "command": ["npm", "start"]},
            ]);
        });
        let (field, _) = fires(&manifest, SignalLost);
        assert_eq!(field, "spec.template.spec.initContainers[agent].command");
    }

    #[test]
    fn arguments_are_part_of_the_command() {
        let manifest = container(|app| {
            app["command"] = json!(["sh", "-c"]);
            app["args"] = json!(["migrate && server"]);
        });
        fires(&manifest, SignalLost);
    }

    #[test]
    fn an_app_that_receives_the_signal_is_not_reported() {
        for command in [&["node", "server.js"][..], &["sh", "-c", "migrate && exec server"], &["tini", "--", "server"]]
        {
            silent(&runs(command), SignalLost);
        }
    }

    #[test]
    fn signal_may_be_lost_reports_a_signal_that_may_reach_the_app() {
        for command in [&["sh", "-c", "server"][..], &["bash", "-c", "migrate && server"], &["yarn", "start"]] {
            silent(&runs(command), SignalLost);
        }
    }

    #[test]
    fn the_command_of_the_image_is_unknown() {
        silent(&container(|app| app["args"] = json!(["start"])), SignalLost);
        silent(&container(|_| {}), SignalLost);
    }
}
