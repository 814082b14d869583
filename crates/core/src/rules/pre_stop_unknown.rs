//! A preStop hook of unknown duration: a command or a request. The plan assumes that it runs for the drain.

use crate::duration::Seconds;
use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::Role;
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
    let findings = subject.own_hooks().zip(&subject.plan.lanes).filter_map(|((running, own), lane)| {
        let (field, assumed) = (running.field("lifecycle.preStop"), lane.hook);
        let finding = match own {
            PreStop::Open { handler, at_least: Seconds::ZERO, at_most: None } => {
                RULE.finding(field, format!("{handler} hook has unknown duration; assuming {assumed}")).fact(handler)
            }
            PreStop::Open { handler, at_least, at_most: None } => {
                let problem =
                    format!("{handler} hook runs for at least {at_least}, duration unknown; assuming {assumed}");
                RULE.finding(field, problem).fact(at_least)
            }
            PreStop::Open { handler, at_least, at_most: Some(at_most) } => {
                let problem = format!("{handler} hook runs for {at_least} to {at_most}; assuming {assumed}");
                RULE.finding(field, problem).fact(at_least).fact(at_most)
            }
            PreStop::EndsDrain { after, exactly: false, .. } if lane.role == Role::App => {
                let problem = format!("exec hook tells the app to stop after {after} or later; assuming {assumed}");
                RULE.finding(field, problem).fact(after)
            }
            _ => return None,
        };
        Some(finding.fact(assumed))
    });
    findings.collect()
}

const PAGE: &str = r"## Why

The container has a preStop hook whose duration the manifest does not show: a request, or a command that is not known to
end immediately. Winddown never overwrites a hook, and cannot know how long this one runs. It assumes the declared drain,
within the limits that it can read. If the hook is shorter, the app gets SIGTERM while traffic still arrives. If it is
longer, it takes time from the app's deadline. The hook of a native sidecar runs at the same time as those of the app, and
its stop signal waits for the end of its hook.

[What is read from a hook](how-it-works.md#what-is-read-from-a-hook)
lists the commands that are known. Every `sleep` that certainly runs counts, and so does a time limit such as `timeout 20`
or `curl --max-time 5`.

## What to do

If the hook only waits, use the sleep of the kubelet. It needs no shell in the image, and its duration can be read:

```yaml
lifecycle:
  preStop:
    sleep:
      seconds: 15
```

Or remove the hook: Winddown then injects the declared drain.

If the hook does something useful, such as `./deregister`, check whether the app can do it on SIGTERM instead. Most apps
can, some with another stop signal. If the hook has to stay, it should run for about as long as the drain, and drain +
deadline + margin should be right for the longest time that it can take. The finding stays; a time limit
(`timeout 15 ./deregister`) narrows it.

## Source

- [Container lifecycle hooks](https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-implementations)
- [KEP-3960, preStop sleep](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/3960-pod-lifecycle-sleep-action)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::PreStopUnknown;
    use crate::rules::tests::{container, fires, found, pod, pre_stop, script, silent};

    #[test]
    fn native_sidecars_are_checked() {
        let hook = json!({"preStop": {"exec": {"command": ["flush"]}}});
        let sidecar = json!({"name": "logs", "image": "logs:1", "restartPolicy": "Always", "lifecycle": hook});
        let (field, message) = fires(&pod(|pod| pod["initContainers"] = json!([sidecar])), PreStopUnknown);
        assert_eq!(field, "spec.template.spec.initContainers[logs].lifecycle.preStop");
        assert_eq!(message, "exec hook has unknown duration; assuming 10s");
    }

    #[test]
    fn a_hook_of_unknown_duration_is_assumed_to_run_for_the_drain() {
        for (manifest, kind) in [
            (script("./drain.sh"), "exec"),
            (script("sleep 0; ./drain.sh"), "exec"),
            (script("while [ -f /busy ]; do sleep 1; done"), "exec"),
            (script("sleep $(cat /drain)"), "exec"),
            (pre_stop(&json!({"httpGet": {"port": 80}})), "httpGet"),
        ] {
            let (field, message) = fires(&manifest, PreStopUnknown);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop");
            assert_eq!(message, format!("{kind} hook has unknown duration; assuming 10s"));
        }
    }

    #[test]
    fn every_sleep_that_certainly_runs_counts() {
        for (text, message) in [
            ("sleep 15; ./drain.sh", "exec hook runs for at least 15s, duration unknown; assuming 15s"),
            ("./drain.sh; sleep 15", "exec hook runs for at least 15s, duration unknown; assuming 15s"),
            ("sleep 3; ./drain.sh && sleep 4", "exec hook runs for at least 7s, duration unknown; assuming 10s"),
        ] {
            assert_eq!(fires(&script(text), PreStopUnknown).1, message);
        }
    }

    #[test]
    fn a_time_limit_bounds_a_hook() {
        for (text, message) in [
            ("timeout 20 ./drain.sh", "exec hook runs for 0s to 20s; assuming 10s"),
            ("sleep 12; curl --max-time 5 localhost/drain", "exec hook runs for 12s to 17s; assuming 12s"),
            ("timeout 5 ./drain.sh", "exec hook runs for 0s to 5s; assuming 5s"),
        ] {
            assert_eq!(fires(&script(text), PreStopUnknown).1, message);
        }
    }

    #[test]
    fn a_signal_after_an_unknown_command_has_an_unknown_time() {
        let message = fires(&script("sleep 3; ./drain.sh; nginx -s quit"), PreStopUnknown).1;
        assert_eq!(message, "exec hook tells the app to stop after 3s or later; assuming 10s");
        silent(&script("sleep 3; nginx -s quit; ./wait.sh"), PreStopUnknown);
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
