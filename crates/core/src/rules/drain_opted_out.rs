//! A container that opts out of the drain with a preStop sleep of 0.

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::pod::hooks::PreStop;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::DrainOptedOut,
    severity: Severity::Info,
    title: "A container opts out of the drain with `preStop.sleep.seconds: 0`.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let drain = subject.resolved.drain;
    if drain == Seconds::ZERO {
        return Vec::new();
    }
    let opted_out = subject.hooks().filter(|(_, hook)| hook.own == PreStop::OptOut);
    let findings = opted_out.map(|(container, _)| {
        let field = FieldPath::container(&container.name, "lifecycle.preStop");
        RULE.finding(field, format!("preStop sleep of 0s opts out of the drain of {drain}")).fact(drain)
    });
    findings.collect()
}

const PAGE: &str = r"## Why

A hook with `preStop.sleep.seconds: 0` does nothing. It opts the container out of the drain: the container gets SIGTERM at
once, while the other containers of the pod still drain. That is right for a worker that takes jobs from a queue, or for a
log shipper. It is wrong for a container that serves requests, or that another container needs until its last request is
done.

## What to do

Nothing, if you want that. Otherwise remove the hook: Winddown then injects the declared drain.

```yaml
lifecycle: {}
```

If most containers of a pod need no drain, it is shorter to name those that do:

```yaml
metadata:
  annotations:
    winddown.dev/containers: web
```

## Source

- [KEP-4818, a sleep of zero](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4818-allow-zero-value-for-sleep-action-of-prestop-hook);
  clusters before 1.33 reject the value 0 by default
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::DrainOptedOut;
    use crate::rules::tests::{container, fires, pod, silent};

    fn sleeping(seconds: i64) -> Value {
        container(|app| app["lifecycle"] = json!({"preStop": {"sleep": {"seconds": seconds}}}))
    }

    #[test]
    fn a_sleep_of_zero_opts_out() {
        for seconds in [0, -7] {
            let (field, message) = fires(&sleeping(seconds), DrainOptedOut);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop");
            assert_eq!(message, "preStop sleep of 0s opts out of the drain of 10s");
        }
    }

    #[test]
    fn only_the_container_that_opts_out_is_reported() {
        let manifest = pod(|pod| {
            let log = json!({"name": "log", "lifecycle": {"preStop": {"sleep": {"seconds": 0}}}});
            pod["containers"].as_array_mut().unwrap().push(log);
        });
        assert_eq!(fires(&manifest, DrainOptedOut).0, "spec.template.spec.containers[log].lifecycle.preStop");
    }

    #[test]
    fn a_drain_of_zero_is_not_reported() {
        let mut manifest = sleeping(0);
        manifest["metadata"]["annotations"]["winddown.dev/drain"] = json!("0s");
        silent(&manifest, DrainOptedOut);
        silent(&sleeping(9), DrainOptedOut);
        silent(&container(|_| {}), DrainOptedOut);
    }
}
