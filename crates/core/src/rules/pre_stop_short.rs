//! A container's own preStop hook ends before the drain is over, or tells the app to stop before that.

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::{PlannedLane, Role};
use crate::pod::hooks::PreStop;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::PreStopShort,
    severity: Severity::Warning,
    title: "A container's own preStop hook is shorter than the declared drain.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let drain = subject.resolved.drain;
    // An agent receives no traffic.
    let receives_traffic = |lane: &PlannedLane| lane.role == Role::App || lane.proxy.is_some();
    let hooks = subject.hooks().zip(&subject.plan.lanes).filter(|(_, lane)| receives_traffic(lane));
    let findings = hooks.filter_map(|((container, hook), _)| {
        let (own, problem, fix) = match hook.own {
            PreStop::Sleep(Seconds::ZERO) => {
                (Seconds::ZERO, "preStop hook ends immediately, before the end of".to_owned(), "first sleep for")
            }
            PreStop::Sleep(own) => (own, format!("preStop sleep of {own} is shorter than"), "set it to"),
            PreStop::EndsDrain { after, exactly: true, .. } => (
                after,
                format!("preStop hook tells the app to stop after {after}, before the end of"),
                "first sleep for",
            ),
            PreStop::Open { at_most: Some(most), .. } => {
                (most, format!("preStop hook runs for at most {most}, which is shorter than"), "first sleep for")
            }
            _ => return None,
        };
        let problem = format!("{problem} the drain of {drain}");
        let hint = format!("{fix} {}, or remove the hook", drain.as_i64());
        let field = FieldPath::container(&container.name, "lifecycle.preStop");
        (own < drain).then(|| RULE.finding(field, problem).fact(own).fact(drain).hint(hint))
    });
    findings.collect()
}

const PAGE: &str = r"## Why

The container gets SIGTERM before the declared drain is over. Traffic still arrives for the rest of the drain, but the app
has closed its listener, so users get connection errors. Winddown never changes a hook that you wrote: it keeps the
shorter sleep and reports it.

## What to do

Remove the hook: Winddown then injects the declared drain, and the number is in one place only. Or write the same number
in both places:

```yaml
metadata:
  annotations:
    winddown.dev/drain: 15s
spec:
  template:
    spec:
      containers:
      - name: app
        lifecycle:
          preStop:
            sleep:
              seconds: 15
```

A container that gets no traffic needs no drain: opt out with `sleep: {seconds: 0}`.

## Source

- [Container lifecycle hooks](https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/)
- [Pods and their endpoints at termination](https://kubernetes.io/docs/tutorials/services/pods-and-endpoint-termination-flow/)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::PreStopShort;
    use crate::rules::tests::{container, fires, pod, pre_stop, script, silent};

    #[test]
    fn a_short_sleep_is_reported() {
        for (manifest, seconds) in [(pre_stop(&json!({"sleep": {"seconds": 3}})), 3), (script("sleep 3"), 3)] {
            let (field, message) = fires(&manifest, PreStopShort);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop");
            assert_eq!(
                message,
                format!(
                    "preStop sleep of {seconds}s is shorter than the drain of 10s; set it to 10, or remove the hook"
                )
            );
        }
    }

    #[test]
    fn a_sleep_that_covers_the_drain_is_not_reported() {
        silent(&pre_stop(&json!({"sleep": {"seconds": 10}})), PreStopShort);
        silent(&script("sleep 11"), PreStopShort);
        silent(&container(|_| {}), PreStopShort);
    }

    #[test]
    fn a_helper_drains_only_if_it_carries_traffic() {
        let beside = |helper: &str| {
            pod(|pod| {
                pod["containers"][0]["ports"] = json!([{"containerPort": 80}]);
                let helper = json!({"name": helper, "lifecycle": {"preStop": {"sleep": {"seconds": 3}}}});
                pod["containers"].as_array_mut().unwrap().push(helper);
            })
        };
        silent(&beside("log-shipper"), PreStopShort);
        fires(&beside("istio-proxy"), PreStopShort);
    }

    #[test]
    fn a_hook_that_stops_the_app_or_has_a_short_limit_is_reported() {
        for (text, message) in [
            ("nginx -s quit", "preStop hook tells the app to stop after 0s, before the end of the drain of 10s"),
            ("sleep 0", "preStop hook ends immediately, before the end of the drain of 10s"),
            ("touch /tmp/down", "preStop hook ends immediately, before the end of the drain of 10s"),
            (
                "sleep 4; kill -QUIT 1; sleep 60",
                "preStop hook tells the app to stop after 4s, before the end of the drain of 10s",
            ),
            ("timeout 6 ./drain.sh", "preStop hook runs for at most 6s, which is shorter than the drain of 10s"),
        ] {
            let expected = format!("{message}; first sleep for 10, or remove the hook");
            assert_eq!(fires(&script(text), PreStopShort).1, expected, "{text}");
        }
        silent(&script("sleep 10; nginx -s quit"), PreStopShort);
    }

    #[test]
    fn opting_out_and_unknown_durations_are_reported_with_other_codes() {
        for own in
            [json!({"sleep": {"seconds": 0}}), json!({"sleep": {"seconds": -7}}), json!({"httpGet": {"port": 80}})]
        {
            silent(&pre_stop(&own), PreStopShort);
        }
        silent(&script("sleep 3; ./drain.sh"), PreStopShort);
    }
}
