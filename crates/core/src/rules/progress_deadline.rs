//! A rollout step that has to wait for a stopping pod waits for its whole budget. A progress deadline that is shorter
//! reports the rollout as failed while everything goes as planned.

use super::Subject;
use crate::finding::{Code, Finding};
use crate::workload::{Step, Workload};

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let (workload, needed) = (subject.workload, subject.budget.needed());
    let min_ready = workload.rollout.min_ready;
    let step = needed.plus(min_ready);
    let short = workload.rollout.progress_deadline.filter(|deadline| *deadline < step);
    let finding = short.map(|deadline| {
        let (code, when) = if waits_always(workload) {
            (Code::ProgressDeadlineShort, "takes")
        } else {
            (Code::ProgressDeadlineTight, "takes where there is no room for another pod")
        };
        let message = format!(
            "{deadline} is less than a step {when}: {needed} + minReadySeconds {min_ready} = {step}; raise it to {} or more",
            step.as_i64()
        );
        Finding::new(code, "spec.progressDeadlineSeconds", message)
    });
    finding.into_iter().collect()
}

/// Whether no new pod can start before an old one is gone: by the strategy, or because both need the same port of a node.
fn waits_always(workload: &Workload) -> bool {
    let ports = workload.pod.containers.iter().flat_map(|container| container.ports.iter().flatten());
    workload.rollout.step == Step::AllAtOnce
        || ports.into_iter().any(|port| port.host_port.is_some_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{ProgressDeadlineShort, ProgressDeadlineTight};
    use crate::rules::tests::{deployment, fires, silent};

    fn with(fields: &Value) -> Value {
        deployment(|workload| workload["spec"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone()))
    }

    fn recreated(progress_deadline: u32) -> Value {
        with(&json!({"progressDeadlineSeconds": progress_deadline, "strategy": {"type": "Recreate"}}))
    }

    #[test]
    fn who_waits_for_the_old_pods_at_every_step_has_to_have_the_time() {
        let on_the_nodes_port = deployment(|workload| {
            workload["spec"]["progressDeadlineSeconds"] = json!(30);
            workload["spec"]["template"]["spec"]["containers"][0]["ports"] =
                json!([{"containerPort": 80, "hostPort": 80}]);
        });
        for manifest in [recreated(30), on_the_nodes_port] {
            let (field, message) = fires(&manifest, ProgressDeadlineShort);
            assert_eq!(field, "spec.progressDeadlineSeconds");
            let expected = "30s is less than a step takes: 35s + minReadySeconds 0s = 35s; raise it to 35 or more";
            assert_eq!(message, expected);
            silent(&manifest, ProgressDeadlineTight);
        }
    }

    #[test]
    fn others_have_to_wait_only_where_there_is_no_room() {
        for (fields, message) in [
            (json!({"progressDeadlineSeconds": 30}), "30s is less than a step takes where there is no room"),
            (json!({"progressDeadlineSeconds": 60, "minReadySeconds": 30}), "60s is less than"),
        ] {
            let (_, found) = fires(&with(&fields), ProgressDeadlineTight);
            assert!(found.starts_with(message), "{found}");
            silent(&with(&fields), ProgressDeadlineShort);
        }
        let mut long = with(&json!({}));
        long["metadata"]["annotations"]["winddown.dev/deadline"] = json!("10m");
        fires(&long, ProgressDeadlineTight);
    }

    #[test]
    fn a_progress_deadline_that_holds_a_step_is_fine() {
        let mut stateful = with(&json!({"progressDeadlineSeconds": 1}));
        stateful["kind"] = json!("StatefulSet");
        for manifest in [with(&json!({})), with(&json!({"progressDeadlineSeconds": 35})), recreated(35), stateful] {
            silent(&manifest, ProgressDeadlineShort);
            silent(&manifest, ProgressDeadlineTight);
        }
    }
}
