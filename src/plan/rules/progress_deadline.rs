//! A rollout step that has to wait for a stopping pod waits for its whole budget. A progress deadline that is shorter
//! reports the rollout as failed while everything goes as planned.

use super::Subject;
use crate::finding::{Code, Finding};

pub(super) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let rollout = &subject.workload.rollout;
    let step = subject.budget.needed().plus(rollout.min_ready);
    let short = rollout.progress_deadline.filter(|deadline| *deadline < step);
    let finding = short.map(|deadline| {
        let message = format!(
            "{deadline} is less than a stopping pod and minReadySeconds may take: {} + {} = {step}; raise it to {} or more",
            subject.budget.needed(),
            rollout.min_ready,
            step.as_i64()
        );
        Finding::new(Code::ProgressDeadlineShort, "spec.progressDeadlineSeconds", message)
    });
    finding.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ProgressDeadlineShort;
    use crate::plan::rules::tests::{deployment, fires, silent};

    fn with(fields: &Value) -> Value {
        deployment(|workload| workload["spec"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone()))
    }

    #[test]
    fn a_step_may_take_longer_than_the_progress_deadline() {
        for (fields, message) in [
            (
                json!({"progressDeadlineSeconds": 30}),
                "30s is less than a stopping pod and minReadySeconds may take: 35s + 0s",
            ),
            (json!({"progressDeadlineSeconds": 60, "minReadySeconds": 30}), "60s is less than"),
        ] {
            let (field, found) = fires(&with(&fields), ProgressDeadlineShort);
            assert_eq!(field, "spec.progressDeadlineSeconds");
            assert!(found.starts_with(message), "{found}");
        }
        let mut long = with(&json!({}));
        long["metadata"]["annotations"]["winddown.dev/deadline"] = json!("10m");
        fires(&long, ProgressDeadlineShort);
    }

    #[test]
    fn a_progress_deadline_that_holds_a_step_is_fine() {
        silent(&with(&json!({})), ProgressDeadlineShort);
        silent(&with(&json!({"progressDeadlineSeconds": 35})), ProgressDeadlineShort);
        let mut stateful = with(&json!({"progressDeadlineSeconds": 1}));
        stateful["kind"] = json!("StatefulSet");
        silent(&stateful, ProgressDeadlineShort);
    }
}
