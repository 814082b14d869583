//! A progress deadline that is shorter than a rollout step which always waits for a stopping pod: successful rollouts count
//! as failed.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};
use crate::workload::slow_step::SlowStep;

pub(crate) const RULE: Rule = Rule {
    code: Code::ProgressDeadlineShort,
    severity: Severity::Warning,
    title: "Every rollout step waits for stopping pods, and counts as failed before they have exited.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let step = SlowStep::of(subject.workload, subject.budget()).filter(|step| step.always_waits);
    step.map(|step| finding(&RULE, "a rollout step", step)).into_iter().collect()
}

/// Also for `ProgressDeadlineTight`, which is about other steps.
pub(super) fn finding(rule: &Rule, what: &str, step: SlowStep) -> Finding {
    let SlowStep { progress_deadline, budget, min_ready, .. } = step;
    let total = step.total();
    let problem =
        format!("{progress_deadline} is shorter than {what}: budget {budget} + minReadySeconds {min_ready} = {total}");
    rule.finding(FieldPath::new("spec.progressDeadlineSeconds"), problem)
        .fact(progress_deadline)
        .fact(budget)
        .fact(min_ready)
        .hint(format!("set it to at least {}", total.as_i64()))
}

const PAGE: &str = r"## Why

A Deployment that makes no progress for `progressDeadlineSeconds` (600 by default) counts as failed: the condition
`Progressing` becomes False, `kubectl rollout status` exits with an error, and a pipeline may roll back. With `Recreate` no
new pod starts before the old ones have exited. With a `hostPort`, or a port in the network of the node (`hostNetwork`), none starts on
the same node. The old pod may take its
whole budget to stop, and the new one then has to be ready for `minReadySeconds`.

## What to do

Allow the time in the message, and the start time of the app in addition:

```yaml
spec:
  progressDeadlineSeconds: 900
```

## Source

- [Deployment: progress deadline seconds](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{ProgressDeadlineShort, ProgressDeadlineTight};
    use crate::rules::tests::{deployment, fires, silent, with_spec};

    fn recreated(progress_deadline: u32) -> Value {
        with_spec(&json!({"progressDeadlineSeconds": progress_deadline, "strategy": {"type": "Recreate"}}))
    }

    #[test]
    fn a_step_that_always_waits_for_old_pods_is_reported() {
        let with_host_port = deployment(|workload| {
            workload["spec"]["progressDeadlineSeconds"] = json!(30);
            workload["spec"]["template"]["spec"]["containers"][0]["ports"] =
                json!([{"containerPort": 80, "hostPort": 80}]);
        });
        let in_the_host_network = deployment(|workload| {
            workload["spec"]["progressDeadlineSeconds"] = json!(30);
            let pod = &mut workload["spec"]["template"]["spec"];
            pod["hostNetwork"] = json!(true);
            pod["containers"][0]["ports"] = json!([{"containerPort": 80}]);
        });
        for manifest in [recreated(30), with_host_port, in_the_host_network] {
            let (field, message) = fires(&manifest, ProgressDeadlineShort);
            assert_eq!(field, "spec.progressDeadlineSeconds");
            let expected =
                "30s is shorter than a rollout step: budget 35s + minReadySeconds 0s = 35s; set it to at least 35";
            assert_eq!(message, expected);
            silent(&manifest, ProgressDeadlineTight);
        }
    }

    #[test]
    fn progress_deadline_tight_reports_a_step_that_waits_only_without_room() {
        silent(&with_spec(&json!({"progressDeadlineSeconds": 30})), ProgressDeadlineShort);
        silent(&with_spec(&json!({"progressDeadlineSeconds": 60, "minReadySeconds": 30})), ProgressDeadlineShort);
    }

    #[test]
    fn a_long_enough_progress_deadline_is_not_reported() {
        let mut stateful = with_spec(&json!({"progressDeadlineSeconds": 1}));
        stateful["kind"] = json!("StatefulSet");
        for manifest in
            [with_spec(&json!({})), with_spec(&json!({"progressDeadlineSeconds": 35})), recreated(35), stateful]
        {
            silent(&manifest, ProgressDeadlineShort);
        }
    }
}
