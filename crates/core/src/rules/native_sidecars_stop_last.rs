//! Native sidecars stop after the main containers, one after another, in the rest of the grace period (KEP-753).

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::native_sidecars;
use crate::rule::{Check, Rule, Subject};
use crate::sanitize::listed;

pub(crate) const RULE: Rule = Rule {
    code: Code::NativeSidecarsStopLast,
    severity: Severity::Info,
    title: "Native sidecars stop after the app, in the rest of the grace period.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    // They stop in the reverse order in which they started.
    let names: Vec<_> = native_sidecars(&subject.workload.pod).rev().map(|sidecar| sidecar.name.as_str()).collect();
    let left = subject.budget().grace_period.minus(subject.main_exit());
    let how = match names.len() {
        0 => return Vec::new(),
        1 => "which stops after the app",
        _ => "which stop after the app, one after another",
    };
    // If no time remains, BudgetDoesNotFit or HelperDoesNotFit reports the problem.
    if left == Seconds::ZERO {
        return Vec::new();
    }
    let problem = format!("{left} of the grace period remain for {}, {how}", listed(names.iter().copied()));
    let finding = RULE.finding(FieldPath::pod("initContainers"), problem).fact(left);
    vec![names.into_iter().fold(finding, Finding::fact)]
}

const PAGE: &str = r"## Why

A native sidecar (an init container with `restartPolicy: Always`) gets SIGTERM only after all main containers have exited.
Several native sidecars get it one after another, in the reverse order of their start. This is the right order for a proxy or a log
shipper. But the grace period applies to the whole pod: if the app uses all of its drain and deadline, the sidecars share
the rest, shown in the message, and are killed at its end. No user request depends on that, but the last log lines or
metrics may.

The preStop hooks of native sidecars do not wait: they run at the same time as the hooks of the app.

## What to do

Nothing, if the sidecars stop quickly. If one of them has data to send first, give it time with a larger margin or with an
explicit grace period:

```yaml
metadata:
  annotations:
    winddown.dev/margin: 15s
```

## Source

- [Sidecar containers and pod termination](https://kubernetes.io/docs/concepts/workloads/pods/pod-termination/#termination-with-sidecars)
- [KEP-753](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::NativeSidecarsStopLast;
    use crate::rules::tests::{fires, pod, silent};

    #[test]
    fn native_sidecars_share_the_rest_of_the_grace_period() {
        let init = json!([
            {"name": "migrate", "image": "migrate:1"},
            {"name": "mesh", "image": "mesh:1", "restartPolicy": "Always"},
            {"name": "logs", "image": "logs:1", "restartPolicy": "Always"},
        ]);
        let (field, message) = fires(&pod(|pod| pod["initContainers"] = init), NativeSidecarsStopLast);
        assert_eq!(field, "spec.template.spec.initContainers");
        let expected = "5s of the grace period remain for logs, mesh, which stop after the app, one after another";
        assert_eq!(message, expected);
    }

    #[test]
    fn one_native_sidecar_has_the_complete_rest() {
        let init = json!([{"name": "logs", "image": "logs:1", "restartPolicy": "Always"}]);
        let (_, message) = fires(&pod(|pod| pod["initContainers"] = init), NativeSidecarsStopLast);
        assert_eq!(message, "5s of the grace period remain for logs, which stops after the app");
    }

    #[test]
    fn a_budget_without_any_rest_is_not_reported_here() {
        let manifest = pod(|pod| {
            pod["initContainers"] = json!([{"name": "logs", "image": "logs:1", "restartPolicy": "Always"}]);
            pod["terminationGracePeriodSeconds"] = json!(30);
        });
        silent(&manifest, NativeSidecarsStopLast);
    }

    #[test]
    fn ordinary_init_containers_are_not_reported() {
        let init = json!([{"name": "migrate", "image": "migrate:1"}]);
        silent(&pod(|pod| pod["initContainers"] = init), NativeSidecarsStopLast);
    }
}
