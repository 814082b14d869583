//! A program that takes SIGTERM for the request to start again, so that the container runs until SIGKILL.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::{Running, running};
use crate::pod::signals::{Reception, Restart, SIGTERM, stop_signal};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::RestartsOnSigterm,
    severity: Severity::Warning,
    title: "The first process of a container starts again on SIGTERM.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let pod = &subject.workload.pod;
    let stopped_by_sigterm = |running: &Running<'_>| stop_signal(pod, running.container) == SIGTERM;
    let finding =
        |running: Running<'_>| Some(finding(running.command_line(), Reception::of(running.container).restart?));
    running(pod).filter(stopped_by_sigterm).filter_map(finding).collect()
}

/// Finishes the open requests; with `--die-on-term` alone they are cut off (measured with uWSGI 2.0).
const UWSGI: &str = r#"add --hook-master-start "unix_signal:15 gracefully_kill_them_all""#;

fn finding(field: FieldPath, restart: Restart) -> Finding {
    let (problem, hint) = match restart {
        Restart::Uwsgi { has_file: false } => ("uWSGI reloads its workers on SIGTERM, and runs until SIGKILL", UWSGI),
        Restart::Uwsgi { has_file: true } => (
            "uWSGI reloads its workers on SIGTERM, and runs until SIGKILL, unless its configuration sets die-on-term",
            UWSGI,
        ),
        Restart::Systemd => (
            "systemd executes itself again on SIGTERM, and runs until SIGKILL",
            "set STOPSIGNAL SIGRTMIN+3 in the image, or lifecycle.stopSignal if the cluster supports it",
        ),
    };
    RULE.finding(field, problem).fact(restart.program()).hint(hint)
}

const PAGE: &str = r"## Why

To most programs SIGTERM means: finish, and exit. To some it means: start again. Their workers finish the open requests, but
new workers replace them, and the container does not end. The kubelet waits until the grace period is over and kills it,
with the requests that the new workers have accepted.

| program | on SIGTERM | ends on |
| --- | --- | --- |
| uWSGI 2.0 (measured) | reloads | SIGINT and SIGQUIT, or SIGTERM with `die-on-term` |
| systemd as the first process | executes itself again | `SIGRTMIN+3` |

## What to do

For uWSGI set `die-on-term`, as an option, in its configuration, or as the variable `UWSGI_DIE_ON_TERM`. It then stops without
waiting for open requests; to wait for them, let the signal call `gracefully_kill_them_all`:

```yaml
command: [uwsgi, --ini, /etc/uwsgi.ini, --hook-master-start, unix_signal:15 gracefully_kill_them_all]
```

For systemd set `STOPSIGNAL SIGRTMIN+3` in the image. Winddown does not see the image, so the finding stays. Or set the stop
signal in the template, where the cluster supports it
([feature gate `ContainerStopSignals`](kubernetes-versions.md)):

```yaml
spec:
  template:
    spec:
      os: {name: linux}
      containers:
      - name: machine
        lifecycle: {stopSignal: SIGRTMIN+3}
```

## Source

- [uWSGI: signals](https://uwsgi-docs.readthedocs.io/en/latest/Management.html#signals-for-controlling-uwsgi)
- [uWSGI: die-on-term](https://uwsgi-docs.readthedocs.io/en/latest/ThingsToKnow.html)
- [systemd(1): signals](https://www.freedesktop.org/software/systemd/man/latest/systemd.html#Signals)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::UWSGI;
    use crate::finding::Code::RestartsOnSigterm;
    use crate::rules::tests::{container, fires, pod, silent};

    fn runs(command: &[&str]) -> Value {
        container(|app| app["command"] = json!(command))
    }

    #[test]
    fn uwsgi_without_die_on_term_is_reported() {
        let expected = format!("uWSGI reloads its workers on SIGTERM, and runs until SIGKILL; {UWSGI}");
        for command in [
            &["uwsgi", "--http", ":8080", "--wsgi-file", "main.py", "--master"][..],
            &["/usr/local/bin/uwsgi", "--socket", ":3031"],
            &["sh", "-c", "migrate && exec uwsgi --http :8080 --module shop"],
            &["tini", "--", "uwsgi", "--master"],
            &["docker-entrypoint.sh", "ddtrace-run", "uwsgi"],
        ] {
            let (field, message) = fires(&runs(command), RestartsOnSigterm);
            assert_eq!(field, "spec.template.spec.containers[app].command");
            assert_eq!(message, expected, "{command:?}");
        }
        let (_, message) = fires(&runs(&["uwsgi", "--ini", "/etc/uwsgi.ini"]), RestartsOnSigterm);
        assert!(message.contains("unless its configuration sets die-on-term"), "{message}");
    }

    #[test]
    fn uwsgi_with_die_on_term_is_not_reported() {
        for command in [
            &["uwsgi", "--die-on-term", "--master"][..],
            &["uwsgi", "--ini", "x.ini", "--die-on-term=true"],
            &["uwsgi", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all"],
        ] {
            silent(&runs(command), RestartsOnSigterm);
        }
        let set = container(|app| {
            app["command"] = json!(["uwsgi", "--master"]);
            app["env"] = json!([{"name": "UWSGI_DIE_ON_TERM", "value": "1"}]);
        });
        silent(&set, RestartsOnSigterm);
    }

    #[test]
    fn another_stop_signal_counts_only_with_the_operating_system() {
        let machine = |os: Value| {
            pod(|pod| {
                pod["os"] = os;
                let app = &mut pod["containers"][0];
                app["command"] = json!(["/sbin/init"]);
                app["lifecycle"] = json!({"stopSignal": "SIGRTMIN+3"});
            })
        };
        silent(&machine(json!({"name": "linux"})), RestartsOnSigterm);
        let (_, message) = fires(&machine(json!(null)), RestartsOnSigterm);
        assert!(
            message.starts_with("systemd executes itself again on SIGTERM, and runs until SIGKILL; set"),
            "{message}"
        );
    }

    #[test]
    fn other_programs_are_not_reported() {
        silent(&runs(&["gunicorn", "shop:app"]), RestartsOnSigterm);
        silent(&container(|_| {}), RestartsOnSigterm);
    }
}
