//! A readiness probe that succeeds whatever the app does: somebody wanted one to be there.

use k8s_openapi::api::core::v1::Container;

use super::Subject;
use crate::finding::{Code, Finding};
use crate::plan::container_field;
use crate::pod::command::{Script, program};

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    subject.workload.pod.containers.iter().filter_map(finding).collect()
}

fn finding(container: &Container) -> Option<Finding> {
    let line = container.readiness_probe.as_ref()?.exec.as_ref()?.command.as_deref()?;
    let always = match Script::of(line) {
        Some(script) => match script.commands().as_slice() {
            [only] if !only.text.contains(['<', '>', '$', '`', '(']) => succeeds(only.text.split_whitespace()),
            _ => None,
        },
        None => succeeds(line.iter().map(String::as_str)),
    }?;
    let message = format!("{always} always succeeds and says nothing about the app; ask the app itself");
    Some(Finding::new(Code::ReadinessPlaceholder, container_field(&container.name, "readinessProbe.exec"), message))
}

/// The command, where it succeeds always. A file that is looked for may well be the app's own sign.
fn succeeds<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    match program(words.next()?) {
        "true" => Some("true"),
        ":" => Some(":"),
        "echo" => Some("echo"),
        "exit" if words.next().is_none_or(|status| status == "0") => Some("exit 0"),
        "ls" if words.all(|word| word.starts_with('-') || matches!(word, "/" | ".")) => Some("ls"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessPlaceholder;
    use crate::rules::tests::{container, fires, silent};

    fn probe(command: &[&str]) -> Value {
        container(|app| app["readinessProbe"] = json!({"exec": {"command": command}}))
    }

    #[test]
    fn a_command_that_always_succeeds_proves_nothing() {
        for command in [
            &["true"][..],
            &["/bin/true"],
            &["echo", "ok"],
            &["ls"],
            &["ls", "-l", "/"],
            &["sh", "-c", "exit 0"],
            &["/bin/sh", "-c", ":"],
            &["bash", "-c", "echo ready"],
        ] {
            let (field, message) = fires(&probe(command), ReadinessPlaceholder);
            assert_eq!(field, "spec.template.spec.containers[app].readinessProbe.exec");
            assert!(message.contains(" always succeeds and says nothing about the app; "), "{message}");
        }
    }

    #[test]
    fn a_command_that_may_fail_proves_something() {
        for command in [
            &["pg_isready"][..],
            &["cat", "/tmp/ready"],
            // Not within timeoutSeconds, which is 1 by default.
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
