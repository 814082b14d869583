//! A program in front of the app that kills the app before its deadline.

use k8s_openapi::api::core::v1::Container;

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::Role;
use crate::pod::signals::{Reception, has_command};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::WrapperKillsEarly,
    severity: Severity::Warning,
    title: "The program that starts the app kills it before the deadline.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    subject.lanes(Role::App).filter_map(|(container, lane)| finding(container, lane.stop?)).collect()
}

fn finding(container: &Container, deadline: Seconds) -> Option<Finding> {
    let limit = Reception::of(container).limit.filter(|limit| limit.is_before(deadline))?;
    let unless = limit.file.map(|setting| format!(", unless its configuration sets {setting}")).unwrap_or_default();
    let problem = format!(
        "{} kills the app {} after the stop signal, and the deadline is {deadline}{unless}",
        limit.program, limit.after
    );
    let shows_it = |word: &String| word.contains(&limit.program);
    let field = match &container.args {
        _ if has_command(container) => "command",
        Some(arguments) if arguments.iter().any(shows_it) => "args",
        // A variable of the init process of the image.
        _ => "env",
    };
    let finding = RULE.finding(FieldPath::container(&container.name, field), problem);
    let hint = limit.hint(deadline);
    Some(finding.fact(limit.program).fact(limit.after.to_string()).fact(deadline).hint(hint))
}

const PAGE: &str = r#"## Why

Some programs that start an app forward the stop signal, wait for a time of their own, and then kill the app. Then the
deadline has no effect, however long the grace period is. What each of them does, with an app that needs longer:

| program | what the app gets | killed after | setting |
| --- | --- | --- | --- |
| `su`, `runuser` (util-linux 2.38), `doas` (OpenDoas 6.8 with PAM) | SIGTERM | 2s | none |
| `timeout -k 5 1h` (coreutils 9.1) | SIGTERM | 5s | `--kill-after` |
| `pm2-runtime` (pm2 6) | SIGINT, not SIGTERM | 1.6s | `PM2_KILL_TIMEOUT` (milliseconds), `kill_timeout` in its file |
| `nodemon` 3 | SIGTERM and SIGINT | 10s | none |
| `supervisord` 4.2 | SIGTERM | 10s | `stopwaitsecs` of the program |
| s6-overlay (`/init`) | SIGTERM | 3s | `S6_KILL_GRACETIME` (milliseconds) |
| `foreman`, `honcho` | SIGTERM | 5s | `--timeout`; none |
| `overmind`, `hivemind` | SIGTERM or SIGINT | 5s | `OVERMIND_TIMEOUT`; `HIVEMIND_TIMEOUT` |

The first five were measured; the others are documented. `pm2-runtime` ignores its option `--kill-timeout`. `su` and
`timeout` of BusyBox and the `doas` of Alpine are not affected: the command replaces them.

## What to do

Best run the app directly. To change the user, set `securityContext.runAsUser`, or use a program that the app replaces:

```yaml
command: [gosu, app, ./server]          # Debian
command: [su-exec, app, ./server]       # Alpine
command: [setpriv, --reuid=app, --init-groups, ./server]
```

Where the program has to stay, set its time to at least the deadline. For `pm2-runtime` also handle SIGINT in the app:

```yaml
env:
- {name: PM2_KILL_TIMEOUT, value: "25000"}
```

## Source

- [util-linux: su-common.c](https://github.com/util-linux/util-linux/blob/master/login-utils/su-common.c)
- [OpenDoas: pam.c](https://github.com/Duncaen/OpenDoas/blob/master/pam.c)
- [coreutils: timeout.c](https://github.com/coreutils/coreutils/blob/master/src/timeout.c)
- [pm2: graceful shutdown](https://pm2.keymetrics.io/docs/usage/signals-clean-restart/)
- [nodemon: run.js](https://github.com/remy/nodemon/blob/main/lib/monitor/run.js)
- [supervisord: stopwaitsecs](https://supervisord.org/configuration.html#program-x-section-settings)
- [s6-overlay: customizing its behaviour](https://github.com/just-containers/s6-overlay#customizing-s6-overlay-behaviour)
- [foreman](https://ddollar.github.io/foreman/), [honcho](https://github.com/nickstenning/honcho/blob/main/honcho/manager.py),
  [overmind](https://github.com/DarthSim/overmind#readme), [hivemind](https://github.com/DarthSim/hivemind#readme)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::WrapperKillsEarly;
    use crate::rules::tests::{container, fires, pod, silent};

    fn runs(command: &[&str]) -> Value {
        container(|app| app["command"] = json!(command))
    }

    fn with_variable(command: &[&str], name: &str, value: &str) -> Value {
        container(|app| {
            app["command"] = json!(command);
            app["env"] = json!([{"name": name, "value": value}]);
        })
    }

    #[test]
    fn a_setting_that_the_manifest_does_not_show_is_not_the_default() {
        let from_map = json!({"name": "PM2_KILL_TIMEOUT", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}});
        let reference = json!({"name": "PM2_KILL_TIMEOUT", "value": "$(TIMEOUT)"});
        let long = json!({"name": "TIMEOUT", "value": "30000"});
        for env in [json!([from_map]), json!([long, reference])] {
            silent(
                &container(|app| {
                    app["command"] = json!(["pm2-runtime", "app.js"]);
                    app["env"] = env;
                }),
                WrapperKillsEarly,
            );
        }
    }

    #[test]
    fn each_app_is_compared_with_its_own_deadline() {
        let with_deadline = |timeout: &str| {
            let mut manifest = pod(|pod| {
                pod["containers"] = json!([
                    {"name": "jobs", "command": ["foreman", "start", "--timeout=30"]},
                    {"name": "web", "command": ["gunicorn", format!("--graceful-timeout={timeout}"), "app:app"]},
                ]);
            });
            manifest["metadata"]["annotations"] = json!({"winddown.dev/drain": "5s"});
            manifest
        };
        // The default of 25s is the deadline of jobs.
        silent(&with_deadline("90"), WrapperKillsEarly);
    }

    #[test]
    fn a_program_that_kills_the_app_before_the_deadline_is_reported() {
        let gosu = "; use gosu, su-exec or setpriv, which the app replaces";
        for (command, expected) in [
            (&["su", "-", "app", "-c", "exec ./server"][..], format!("su kills the app 2s after the stop signal, and the deadline is 20s{gosu}")),
            (&["runuser", "-u", "app", "--", "./server"], format!("runuser kills the app 2s after the stop signal, and the deadline is 20s{gosu}")),
            (&["tini", "--", "su", "app", "-c", "./server"], format!("su kills the app 2s after the stop signal, and the deadline is 20s{gosu}")),
            (&["sh", "-c", "chown app /data && exec su app -s /bin/sh -c 'exec ./server'"], format!("su kills the app 2s after the stop signal, and the deadline is 20s{gosu}")),
            (&["doas", "-u", "app", "./server"], format!("doas kills the app 2s after the stop signal, and the deadline is 20s{gosu}")),
            (
                &["timeout", "--kill-after=5s", "1d", "./server"],
                "timeout kills the app 5s after the stop signal, and the deadline is 20s; set --kill-after to 20".to_owned(),
            ),
            (&["nodemon", "server.js"], "nodemon kills the app 10s after the stop signal, and the deadline is 20s; run the app directly".to_owned()),
            (
                &["pm2-runtime", "start", "ecosystem.config.js"],
                "pm2-runtime kills the app 1.6s after the stop signal, and the deadline is 20s, unless its configuration sets kill_timeout; \
                 set PM2_KILL_TIMEOUT to 20000"
                    .to_owned(),
            ),
            (
                &["/usr/bin/supervisord", "-n"],
                "supervisord kills the app 10s after the stop signal, and the deadline is 20s, unless its configuration sets stopwaitsecs; \
                 set stopwaitsecs to 20"
                    .to_owned(),
            ),
            (
                &["bundle", "exec", "foreman", "start", "-t", "10"],
                "foreman kills the app 10s after the stop signal, and the deadline is 20s; set --timeout to 20".to_owned(),
            ),
        ] {
            let (field, message) = fires(&runs(command), WrapperKillsEarly);
            assert_eq!((field.as_str(), message), ("spec.template.spec.containers[app].command", expected), "{command:?}");
        }
    }

    #[test]
    fn a_setting_of_at_least_the_deadline_is_enough() {
        for (command, name, enough, less) in [
            (&["pm2-runtime", "app.js"][..], "PM2_KILL_TIMEOUT", "20000", "19999"),
            (&["/init"], "S6_KILL_GRACETIME", "30000", "3000"),
            (&["overmind", "start"], "OVERMIND_TIMEOUT", "20", "19"),
        ] {
            silent(&with_variable(command, name, enough), WrapperKillsEarly);
            fires(&with_variable(command, name, less), WrapperKillsEarly);
        }
        silent(&runs(&["foreman", "start", "--timeout=20"]), WrapperKillsEarly);
        silent(&runs(&["timeout", "-k", "20", "1d", "./server"]), WrapperKillsEarly);
    }

    #[test]
    fn a_variable_shows_the_entry_point_of_the_image() {
        let manifest = |value| container(|app| app["env"] = json!([{"name": "S6_KILL_GRACETIME", "value": value}]));
        let (field, message) = fires(&manifest("5000"), WrapperKillsEarly);
        assert_eq!(field, "spec.template.spec.containers[app].env");
        assert_eq!(
            message,
            "s6-overlay kills the app 5s after the stop signal, and the deadline is 20s; set S6_KILL_GRACETIME to 20000"
        );
        silent(&manifest("20000"), WrapperKillsEarly);
    }

    #[test]
    fn a_short_deadline_is_kept() {
        let mut manifest = runs(&["su", "app", "-c", "exec ./server"]);
        manifest["metadata"]["annotations"]["winddown.dev/deadline"] = json!("2s");
        silent(&manifest, WrapperKillsEarly);
    }

    #[test]
    fn a_program_that_the_app_replaces_is_not_reported() {
        for command in [
            &["gosu", "app", "./server"][..],
            &["su-exec", "app", "./server"],
            &["setpriv", "--reuid", "1000", "./server"],
            &["sudo", "-u", "app", "./server"],
            &["timeout", "1d", "./server"],
            &["./server", "su"],
        ] {
            silent(&runs(command), WrapperKillsEarly);
        }
        silent(&container(|_| {}), WrapperKillsEarly);
    }
}
