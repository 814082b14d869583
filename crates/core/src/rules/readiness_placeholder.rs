//! A readiness probe that always succeeds.

use crate::finding::{Code, Finding, Severity};
use crate::pod::command::{Script, program};
use crate::pod::shell::commands::commands;
use crate::pod::sidecars::Running;
use crate::rule::{Check, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code::ReadinessPlaceholder,
    severity: Severity::Warning,
    title: "A readiness probe succeeds whatever the app does.",
    page: PAGE,
    check: Check::Running(finding),
};

fn finding(running: Running<'_>) -> Option<Finding> {
    let line = running.container.readiness_probe.as_ref()?.exec.as_ref()?.command.as_deref()?;
    let command = match Script::of(line) {
        Some(script) => match commands(script.text).as_slice() {
            [only] if !only.redirects => only.literal().and_then(|words| always_succeeds(&words)),
            _ => None,
        },
        None => always_succeeds(line),
    }?;
    let field = running.field("readinessProbe.exec");
    let finding = RULE.finding(field, format!("{command} always succeeds, whatever the state of the app"));
    Some(finding.fact(command).hint("probe the app itself"))
}

/// The command, if it always succeeds. `ls` of a path may not: the app may create the file when it is ready.
fn always_succeeds(words: &[String]) -> Option<&'static str> {
    let mut words = words.iter().map(String::as_str);
    match program(words.next()?) {
        "true" => Some("true"),
        ":" => Some(":"),
        "echo" => Some("echo"),
        "exit" if words.next().is_none_or(|status| status == "0") => Some("exit 0"),
        "ls" if words.all(|word| word.starts_with('-') || matches!(word, "/" | ".")) => Some("ls"),
        _ => None,
    }
}

const PAGE: &str = r"## Why

A probe that runs `true` or `echo` succeeds whatever the app does. The pod is ready as soon as its process runs, as without
a probe: during a rollout it gets requests before it listens, and the old pod is stopped too soon. In one way it is worse
than no probe: the manifest looks as if readiness were checked.

Winddown does not report `cat` or `ls` of a file, because the app may create that file when it is ready.

## What to do

Probe the app:

```yaml
readinessProbe:
  httpGet: {path: /health, port: 8080}
  periodSeconds: 5
```

Or remove the probe and let Winddown inject one: `winddown.dev/readiness: http:8080/health`. A container that serves no
requests needs no probe.

## Source

- [Readiness probes](https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#define-readiness-probes)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessPlaceholder;
    use crate::rules::tests::{container, fires, pod, silent};

    #[test]
    fn the_probe_of_a_native_sidecar_counts_for_the_pod_too() {
        let probe = json!({"exec": {"command": ["true"]}});
        let sidecar = json!({"name": "proxy", "restartPolicy": "Always", "readinessProbe": probe});
        let (field, _) = fires(&pod(|pod| pod["initContainers"] = json!([sidecar])), ReadinessPlaceholder);
        assert_eq!(field, "spec.template.spec.initContainers[proxy].readinessProbe.exec");
    }

    fn probe(command: &[&str]) -> Value {
        container(|app| app["readinessProbe"] = json!({"exec": {"command": command}}))
    }

    #[test]
    fn a_command_that_always_succeeds_is_reported() {
        for (command, named) in [
            (&["true"][..], "true"),
            (&["/bin/true"], "true"),
            (&["echo", "ok"], "echo"),
            (&["ls"], "ls"),
            (&["ls", "-l", "/"], "ls"),
            (&["sh", "-c", "exit 0"], "exit 0"),
            (&["/bin/sh", "-c", ":"], ":"),
            (&["bash", "-c", "echo ready"], "echo"),
        ] {
            let (field, message) = fires(&probe(command), ReadinessPlaceholder);
            assert_eq!(field, "spec.template.spec.containers[app].readinessProbe.exec");
            let expected = format!("{named} always succeeds, whatever the state of the app; probe the app itself");
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn a_command_that_may_fail_is_not_reported() {
        for command in [
            &["pg_isready"][..],
            &["cat", "/tmp/ready"],
            // Fails: timeoutSeconds is 1 by default.
            &["sleep", "1"],
            &["ls", "/tmp/ready"],
            &["sh", "-c", "exit 1"],
            &["sh", "-c", "echo ruok | nc localhost 2181"],
            &["sh", "-c", "echo > /dev/tcp/localhost/80"],
            &["sh", "-c", "echo $(curl -f localhost)"],
            &["sh", "-c", "sleep 1; curl -f localhost"],
            &["sh", "ready.sh"],
            &[],
        ] {
            silent(&probe(command), ReadinessPlaceholder);
        }
        silent(&container(|app| app["readinessProbe"] = json!({"tcpSocket": {"port": 80}})), ReadinessPlaceholder);
        silent(&container(|app| app["livenessProbe"] = json!({"exec": {"command": ["true"]}})), ReadinessPlaceholder);
    }
}
