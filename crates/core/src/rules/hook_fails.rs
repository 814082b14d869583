//! A preStop hook that fails, or does nothing: the kubelet sends SIGTERM without a drain.

use crate::duration::Seconds;
use crate::finding::{Code, Finding, Severity};
use crate::pod::hooks::PreStop;
use crate::pod::shell::effect::Failure;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::HookFails,
    severity: Severity::Warning,
    title: "A preStop hook fails, so it gives no drain.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let findings = subject.own_hooks().filter_map(|(running, own)| {
        let PreStop::Fails { after, why } = own else { return None };
        let (field, reason, fix) = explain(why)?;
        let effect = match why {
            Failure::NeedsPost(program) => format!("has no effect: this endpoint of {program} only accepts POST, and"),
            Failure::NoHandler | Failure::NoCommand => "is not a handler:".to_owned(),
            Failure::SeveralHandlers => "is not valid:".to_owned(),
            _ if after == Seconds::ZERO => "fails immediately, so there is no drain:".to_owned(),
            _ => format!("fails after {after}:"),
        };
        let field = running.field("lifecycle.preStop").join(field);
        let finding = RULE.finding(field, format!("{effect} {reason}"));
        Some(finding.fact(after).fact(reason).hint(fix))
    });
    findings.collect()
}

/// The field of the handler, the reason and the fix; `None` for a failure with a code of its own.
const fn explain(why: Failure) -> Option<(&'static str, &'static str, &'static str)> {
    const SCRIPT: &str = "write the script as one item after -c";
    const SLEEP: &str = "use preStop.sleep";
    Some(match why {
        Failure::HostNetwork | Failure::UnknownPort | Failure::NoShell => return None,
        Failure::NoHandler => ("", "exec, httpGet and sleep are missing, so the API server rejects it", SLEEP),
        Failure::SeveralHandlers => ("", "it has more than one handler, so the API server rejects it", "keep one"),
        Failure::NoCommand => ("exec", "it has no command, so the API server rejects it", SLEEP),
        Failure::TcpSocket => ("tcpSocket", "the kubelet does not support tcpSocket in hooks", SLEEP),
        Failure::NeedsPost(_) => ("httpGet", "the kubelet sends GET", "use an exec hook that sends POST"),
        Failure::OneWord => (
            "exec",
            "the command is a single item, and no program has that name",
            "write each argument as its own item",
        ),
        Failure::Builtin => ("exec", "only a shell knows this command", "use sh -c"),
        Failure::NoProgram => ("exec", "the command is an option, and no program has that name", "start it with sh"),
        Failure::NoScript => ("exec", "-c has no script", SCRIPT),
        Failure::NotAScript => {
            ("exec", "without -c, a shell reads a script from a file, and this is a program", SCRIPT)
        }
        Failure::BadOption => ("exec", "the shell does not have this option", SCRIPT),
        Failure::SplitScript => ("exec", "only the item after -c is the script, the others are its parameters", SCRIPT),
        Failure::NoShellSyntax => {
            ("exec", "no shell reads this command line, so operators such as && are arguments", "use sh -c")
        }
        Failure::BadDuration => ("exec", "sleep does not accept its arguments", SLEEP),
        Failure::Syntax => ("exec", "the script has a syntax error", "correct the script"),
        Failure::WindowsTimeout => ("exec", "timeout needs a console, and a hook has none", SLEEP),
        Failure::TimedOut => ("exec", "its own time limit ends it", "raise the limit"),
        Failure::ExitStatus => ("exec", "its commands end with an error", "correct the command"),
    })
}

const PAGE: &str = r#"## Why

If a hook fails, the pod gets a `FailedPreStopHook` Event, and the kubelet sends SIGTERM immediately. The container has no
drain, although its manifest seems to have one. The Event is easy to miss, because its pod is deleted shortly
afterwards. Winddown reports only hooks that certainly fail:

| hook | what happens |
| --- | --- |
| `[sh, -c, sleep, "15"]` | The script is only `sleep`; `15` is its parameter `$0` |
| `["sleep 15"]` | No program has a name with a blank |
| `[/bin/sh, sleep, "15"]` | Without `-c`, the shell reads `sleep` as a file with a script |
| `[sleep, "15", "&&", nginx, -s, quit]` | No shell reads this, so `&&` is an argument of `sleep` |
| `[sleep, $(DRAIN)]`, `[sleep, $DRAIN]` | Kubernetes expands variables in `command` and `args` of a container, not in its hooks |
| `sleep 15 &; wait` | A syntax error in every shell: `&` already separates the commands |
| `cmd /c timeout /t 15` | `timeout` of Windows ends with "Input redirection is not supported" |
| `tcpSocket` | The kubelet does not support it in hooks |
| `exec` and `sleep` together | A hook has one handler; the API server rejects the workload |
| `exec: {sleep: {seconds: 15}}` | An exec handler needs a command; the API server rejects the workload |
| `httpGet: {path: /actuator/shutdown}` | The kubelet sends GET, and the endpoint only accepts POST. The kubelet does not look at the status of the answer, so there is not even an Event |

## What to do

Use the sleep of the kubelet, which cannot fail:

```yaml
lifecycle:
  preStop:
    sleep: {seconds: 15}
```

A command with shell syntax needs a shell, and the whole script is one item:

```yaml
lifecycle:
  preStop:
    exec:
      command: [sh, -c, "sleep 15 && nginx -s quit"]
```

## Source

- [Container lifecycle hooks](https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/)
- [LifecycleHandler: "There is no validation of this field and lifecycle hooks will fail at runtime when it is
  specified"](https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#LifecycleHandler)
- [pkg/kubelet/lifecycle/handlers.go](https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/lifecycle/handlers.go)
- [A hook that runs timeout on Windows](https://github.com/Azure/application-gateway-kubernetes-ingress/pull/980)
- [The endpoints](https://github.com/winddown/winddown/blob/main/crates/core/data/endpoints.yaml), each with its source
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::evaluation::{Existing, Origin, evaluate};
    use crate::finding::Code::HookFails;
    use crate::policy::Policy;
    use crate::rules::tests::{container, fires, pod, pre_stop, script, silent};

    fn command(line: &[&str]) -> Value {
        pre_stop(&json!({"exec": {"command": line}}))
    }

    #[test]
    fn a_command_line_that_certainly_fails_is_reported() {
        for (line, reason) in [
            (&["sh", "-c", "sleep", "10"][..], "only the item after -c is the script"),
            (&["/bin/bash", "-ec", "kill", "-QUIT", "1"], "only the item after -c is the script"),
            (&["sleep 15"], "the command is a single item"),
            (&["/bin/sh -c 'sleep 15'"], "the command is a single item"),
            (&["/bin/sh", "sleep", "15"], "without -c, a shell reads a script from a file"),
            (&["/bin/sh", "sleep 15"], "without -c, a shell reads a script from a file"),
            (&["sh", "-c"], "-c has no script"),
            (&["sh", "-c sleep 15"], "the shell does not have this option"),
            (&["/bin/sleep", "15", "&&", "nginx", "-s", "quit"], "no shell reads this command line"),
            (&["sleep", "15;", "nginx"], "sleep does not accept its arguments"),
            (&["sleep", "15 seconds"], "sleep does not accept its arguments"),
            (&["sleep"], "sleep does not accept its arguments"),
            (&["sleep", "$(DRAIN)"], "sleep does not accept its arguments"),
            (&["exit", "0"], "only a shell knows this command"),
            (&["-c", "sleep 15"], "the command is an option, and no program has that name"),
            (&["cmd", "/c", "timeout /t 15 /nobreak"], "timeout needs a console"),
            (&["false"], "its commands end with an error"),
            (
                &["bash", "-euExo", "pipefail", "-O", "inherit_errexit", "-c", "nodetool drain &; sleep 15 &; wait"],
                "the script has a syntax error",
            ),
        ] {
            let (field, message) = fires(&command(line), HookFails);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop.exec", "{line:?}");
            assert!(
                message.starts_with(&format!("fails immediately, so there is no drain: {reason}")),
                "{line:?}: {message}"
            );
        }
    }

    #[test]
    fn a_script_that_certainly_fails_is_reported() {
        for text in [
            "sleep 15 &&",
            "sleep '15",
            "; sleep 15",
            "if true; then sleep 15",
            "set -e; false; sleep 15",
            "sleep 15s5",
            "exit 1; sleep 15",
        ] {
            let message = fires(&script(text), HookFails).1;
            assert!(message.starts_with("fails immediately, so there is no drain: "), "{text}: {message}");
        }
        let message = fires(&script("sleep 3; exit 1"), HookFails).1;
        assert!(message.starts_with("fails after 3s: its commands end with an error"), "{message}");
    }

    #[test]
    fn a_variable_of_the_manifest_is_no_command() {
        let manifest = container(|app| {
            app["env"] = json!([{"name": "DRAIN", "value": "15"}]);
            app["lifecycle"] = json!({"preStop": {"exec": {"command": ["sh", "-c", "sleep $(DRAIN)"]}}});
        });
        assert!(fires(&manifest, HookFails).1.contains("sleep does not accept its arguments"));
    }

    #[test]
    fn a_handler_that_does_nothing_is_reported() {
        for (hook, field, message) in [
            (json!({}), "", "is not a handler: exec, httpGet and sleep are missing, so the API server rejects it"),
            (json!({"exec": {"sleep": {"seconds": 30}}}), ".exec", "is not a handler: it has no command"),
            (json!({"exec": {"command": []}}), ".exec", "is not a handler: it has no command"),
            (json!({"exec": {"command": ["true"]}, "sleep": {"seconds": 5}}), "", "is not valid: it has more than one"),
            (
                json!({"tcpSocket": {"port": 80}}),
                ".tcpSocket",
                "fails immediately, so there is no drain: the kubelet does not",
            ),
            (
                json!({"httpGet": {"port": 8080, "path": "/actuator/shutdown"}}),
                ".httpGet",
                "has no effect: this endpoint of Spring Boot only accepts POST, and the kubelet sends GET",
            ),
            (
                json!({"httpGet": {"port": 2019, "path": "/stop"}}),
                ".httpGet",
                "has no effect: this endpoint of Caddy only accepts POST, and the kubelet sends GET",
            ),
        ] {
            let (found, text) = fires(&pre_stop(&hook), HookFails);
            assert_eq!(found, format!("spec.template.spec.containers[app].lifecycle.preStop{field}"));
            assert!(text.starts_with(message), "{text}");
        }
    }

    #[test]
    fn a_hook_that_fails_gives_no_drain() {
        let evaluation = evaluate(&command(&["sleep 15"]), Existing::None, &Policy::default(), Origin::File).unwrap();
        assert_eq!(evaluation.budget.unwrap().drain.as_i64(), 0);
    }

    #[test]
    fn native_sidecars_are_checked() {
        let manifest = pod(|pod| {
            let hook = json!({"preStop": {"tcpSocket": {"port": 80}}});
            pod["initContainers"] = json!([{"name": "proxy", "restartPolicy": "Always", "lifecycle": hook}]);
        });
        let field = fires(&manifest, HookFails).0;
        assert_eq!(field, "spec.template.spec.initContainers[proxy].lifecycle.preStop.tcpSocket");
    }

    #[test]
    fn what_may_work_is_not_reported() {
        for line in [
            &["sh", "-c", "sleep 10"][..],
            &["sh", "-c", "sleep $1", "_", "15"],
            &["sh", "drain.sh"],
            &["sh", "/scripts/sleep.sh", "15"],
            &["/opt/my app/bin/drain"],
            &["C:\\Program Files\\drain.exe"],
            &["drain", "&&"],
            &["bash", "-c", "[[ -f x ]] && sleep 5"],
            &["sh", "-c", "[[ -f x ]] && sleep 5"],
            &["sh", "-c", "unknown command"],
            &["sleep", "infinity"],
        ] {
            silent(&command(line), HookFails);
        }
        silent(&pre_stop(&json!({"httpGet": {"port": 80, "path": "/drain"}})), HookFails);
        silent(&container(|_| {}), HookFails);
    }
}
