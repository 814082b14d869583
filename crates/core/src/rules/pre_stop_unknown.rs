//! A preStop hook of unknown duration: a command or a request. The plan assumes that it runs for the drain.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::pod::hooks::PreStop;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::PreStopUnknown,
    severity: Severity::Warning,
    title: "A container has a preStop hook of unknown duration.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let findings = subject.hooks().filter_map(|(container, hook)| {
        let (field, assumed) = (FieldPath::container(&container.name, "lifecycle.preStop"), hook.duration);
        let finding = match hook.own {
            PreStop::AtLeast(own) => {
                let problem = format!("exec hook runs for at least {own}, duration unknown; assuming {assumed}");
                RULE.finding(field, problem).fact(own)
            }
            PreStop::Unknown(kind) => {
                RULE.finding(field, format!("{kind} hook has unknown duration; assuming {assumed}")).fact(kind)
            }
            PreStop::None | PreStop::OptOut | PreStop::Sleep(_) => return None,
        };
        Some(finding.fact(assumed))
    });
    findings.collect()
}

const PAGE: &str = r"## Why

The container has a preStop hook that is not a plain sleep, but a command or a request. (The command `sleep 15` is read as
a sleep, also inside `sh -c`.) Winddown never overwrites a hook, and cannot know how long this one runs. It assumes the
declared drain. If the hook is shorter, the app gets SIGTERM while traffic still arrives. If it is longer, it takes time
from the app's deadline.

## What to do

If the hook only waits, use the sleep of the kubelet. It needs no shell in the image, and its duration can be read:

```yaml
lifecycle:
  preStop:
    sleep:
      seconds: 15
```

Or remove the hook: Winddown then injects the declared drain.

If the hook does something useful, such as `nginx -s quit`, check whether the app can do it on SIGTERM instead. Most apps
can, some with `lifecycle.stopSignal`. If the hook has to stay, it should run for about as long as the drain, and drain +
deadline + margin should be right for the longest time that it can take.

## Source

- [Container lifecycle hooks](https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-implementations)
- [KEP-3960, preStop sleep](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/3960-pod-lifecycle-sleep-action)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::PreStopUnknown;
    use crate::rules::tests::{container, fires, found, pre_stop, script, silent};

    #[test]
    fn a_hook_of_unknown_duration_is_assumed_to_run_for_the_drain() {
        for (manifest, kind) in [
            (script("nginx -s quit"), "exec"),
            (script("sleep 0; nginx -s quit"), "exec"),
            (pre_stop(&json!({"httpGet": {"port": 80}})), "httpGet"),
            (pre_stop(&json!({"tcpSocket": {"port": 80}})), "tcpSocket"),
            (pre_stop(&json!({"futureAction": {}})), "preStop"),
        ] {
            let (field, message) = fires(&manifest, PreStopUnknown);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop");
            assert_eq!(message, format!("{kind} hook has unknown duration; assuming 10s"));
        }
    }

    #[test]
    fn a_hook_that_begins_with_a_sleep_runs_for_at_least_that_long() {
        for (text, message) in [
            ("sleep 15; nginx -s quit", "exec hook runs for at least 15s, duration unknown; assuming 15s"),
            ("sleep 3; nginx -s quit", "exec hook runs for at least 3s, duration unknown; assuming 10s"),
        ] {
            assert_eq!(fires(&script(text), PreStopUnknown).1, message);
        }
    }

    #[test]
    fn another_duration_is_another_finding() {
        let finding = |text: &str| found(&script(text), PreStopUnknown).remove(0);
        assert!(finding("sleep 15; a").is_same_as(&finding("sleep 15; b")));
        assert!(!finding("sleep 15; a").is_same_as(&finding("sleep 16; a")));
    }

    #[test]
    fn sleeps_are_known() {
        silent(&pre_stop(&json!({"sleep": {"seconds": 9}})), PreStopUnknown);
        silent(&pre_stop(&json!({"sleep": {"seconds": 0}})), PreStopUnknown);
        silent(&script("sleep 9"), PreStopUnknown);
        silent(&container(|_| {}), PreStopUnknown);
    }
}
