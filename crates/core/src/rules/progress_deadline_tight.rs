//! A progress deadline that is shorter than a rollout step which has to wait for a stopping pod because there is no room
//! for another one.

use super::progress_deadline_short::finding;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};
use crate::workload::slow_step::SlowStep;

pub(crate) const RULE: Rule = Rule {
    code: Code::ProgressDeadlineTight,
    severity: Severity::Info,
    title: "A rollout counts as failed if a step has to wait for a stopping pod, for example on full nodes.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let step = SlowStep::of(subject.workload, subject.budget()).filter(|step| !step.always_waits);
    step.map(|step| finding(&RULE, "a rollout step on full nodes", step)).into_iter().collect()
}

const PAGE: &str = r"## Why

A Deployment that makes no progress for `progressDeadlineSeconds` (600 by default) counts as failed, and `kubectl rollout
status` exits with an error. A rolling update usually does not wait for stopping pods, because the new pods already run. But
it does wait if there is no room for both, because nodes or a quota are full. The next step then has to wait until an old pod
has exited, up to its whole budget, and for `minReadySeconds` of the new pod.

## What to do

Allow the time in the message, and the start time of the app in addition, or keep room for the surge:

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
    use crate::rules::tests::{fires, silent, with_spec};

    fn recreated(progress_deadline: u32) -> Value {
        with_spec(&json!({"progressDeadlineSeconds": progress_deadline, "strategy": {"type": "Recreate"}}))
    }

    #[test]
    fn a_step_that_waits_only_without_room_is_reported() {
        for (fields, problem) in [
            (
                json!({"progressDeadlineSeconds": 30}),
                "30s is shorter than a rollout step on full nodes: budget 35s + minReadySeconds 0s = 35s; ",
            ),
            (
                json!({"progressDeadlineSeconds": 60, "minReadySeconds": 30}),
                "60s is shorter than a rollout step on full nodes: budget 35s + minReadySeconds 30s = 65s; ",
            ),
        ] {
            let (field, message) = fires(&with_spec(&fields), ProgressDeadlineTight);
            assert_eq!(field, "spec.progressDeadlineSeconds");
            assert!(message.starts_with(problem), "{message}");
            silent(&with_spec(&fields), ProgressDeadlineShort);
        }
        let mut long = with_spec(&json!({}));
        long["metadata"]["annotations"]["winddown.dev/deadline"] = json!("10m");
        fires(&long, ProgressDeadlineTight);
    }

    #[test]
    fn progress_deadline_short_reports_a_step_that_always_waits() {
        silent(&recreated(30), ProgressDeadlineTight);
    }

    #[test]
    fn a_long_enough_progress_deadline_is_not_reported() {
        let mut stateful = with_spec(&json!({"progressDeadlineSeconds": 1}));
        stateful["kind"] = json!("StatefulSet");
        for manifest in
            [with_spec(&json!({})), with_spec(&json!({"progressDeadlineSeconds": 35})), recreated(35), stateful]
        {
            silent(&manifest, ProgressDeadlineTight);
        }
    }
}
