//! A container in which SIGTERM may reach the app or not, depending on programs in the image.

use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::Running;
use crate::pod::signals::{Reception, SignalLoss};
use crate::rule::{Check, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code::SignalMayBeLost,
    severity: Severity::Info,
    title: "Whether SIGTERM reaches the app depends on programs in the image.",
    page: PAGE,
    check: Check::Running(finding),
};

fn finding(running: Running<'_>) -> Option<Finding> {
    let (program, depends_on, hint) = match Reception::of(running.container).loss? {
        SignalLoss::ShellUnclear { shell, depends_on, fix } => (shell, depends_on, fix.hint()),
        SignalLoss::ManagerUnclear { manager, depends_on, hint } => (manager, depends_on, hint),
        SignalLoss::Shell { .. } | SignalLoss::Program { .. } | SignalLoss::Manager { .. } => return None,
    };
    let problem = format!("{program} may not forward SIGTERM, depending on {depends_on}");
    Some(RULE.finding(running.command_line(), problem).fact(program).hint(hint))
}

const PAGE: &str = r#"## Why

The kubelet sends SIGTERM only to the first process of a container, and a shell that stays the first process does not
forward it. Some shells replace themselves with the last command, others do not, and the manifest does not show which
shell `sh` is in the image:

| Command | First process | App received SIGTERM |
| --- | --- | --- |
| dash 0.5.12 (Debian): `sh -c 'app'` | dash | no |
| bash 5.2: `bash -c 'app'`, `bash -c 'a; app'`, `bash -c 'a && app'` | the app | yes |
| bash 5.2: `bash -c 'app > log'` | bash | no |
| BusyBox 1.35 (Alpine): `sh -c 'app'`, `sh -c 'a; app'`, `sh -c 'a && app'` | the app | yes |
| yarn 1.22: `yarn start` | yarn | no, and yarn ended immediately |
| yarn 4.18: `yarn start` | yarn | yes, and yarn waited |
| GNU make 4.3: `make run` | make | yes, and make waited, unless a shell runs the line of the recipe |
| nodemon 3: `nodemon server.js` | nodemon | yes, and nodemon waited for up to 10s |
| nodemon 3: `nodemon --exec server`, `nodemon --inspect server.js` | nodemon | no, and nodemon ended immediately |

This was measured with the command as the first process. Other shells and versions may behave differently. An app that
does not receive SIGTERM keeps serving until SIGKILL and loses its open requests.

## What to do

Do not depend on the shell; use `exec`:

```yaml
command: [sh, -c, "exec server --port \"$PORT\""]
```

Kubernetes expands `$(PORT)` itself, so often no shell is needed: `command: [server, --port, $(PORT)]`.

Instead of `yarn start`, run the command that the script in `package.json` runs.

## Source

- [Commands and arguments of a container](https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/)
- [yarnpkg/yarn#4667](https://github.com/yarnpkg/yarn/issues/4667)
- [docker/cli#3198](https://github.com/docker/cli/issues/3198)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::SignalMayBeLost;
    use crate::rules::tests::{container, fires, silent};

    fn runs(command: &[&str]) -> Value {
        container(|app| app["command"] = json!(command))
    }

    #[test]
    fn a_shell_that_may_stay_before_the_app_is_reported() {
        for (shell, script, expected) in [
            ("sh", "server --port 80", "depending on the image; start the command with exec"),
            ("dash", "server", "depending on the image; start the command with exec"),
            ("bash", "migrate && server", "depending on its version; start the last command with exec"),
            ("bash", "server > log", "depending on its version; start the command with exec"),
        ] {
            let (field, message) = fires(&runs(&[shell, "-c", script]), SignalMayBeLost);
            assert_eq!(field, "spec.template.spec.containers[app].command");
            assert_eq!(message, format!("{shell} may not forward SIGTERM, {expected}"));
        }
        fires(&runs(&["tini", "sh", "-c", "server"]), SignalMayBeLost);
    }

    #[test]
    fn yarn_is_reported() {
        let (_, message) = fires(&runs(&["yarn", "start"]), SignalMayBeLost);
        let expected =
            "yarn may not forward SIGTERM, depending on its version; run the app directly, for example node server.js";
        assert_eq!(message, expected);
    }

    #[test]
    fn bash_replaces_itself_with_a_single_command() {
        silent(&runs(&["bash", "-c", "server --port 80"]), SignalMayBeLost);
    }

    #[test]
    fn signal_lost_reports_a_signal_that_does_not_reach_the_app() {
        for command in [&["sh", "-c", "migrate; server"][..], &["npm", "start"]] {
            silent(&runs(command), SignalMayBeLost);
        }
    }

    #[test]
    fn an_app_that_receives_the_signal_is_not_reported() {
        for command in [&["node", "server.js"][..], &["sh", "-c", "exec server"], &[]] {
            silent(&runs(command), SignalMayBeLost);
        }
        silent(&container(|_| {}), SignalMayBeLost);
    }
}
