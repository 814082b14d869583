//! Is a Deployment's rollout over?

use serde_json::Value;

/// Whether old pods are still being replaced. A rollout that is paused or past its `progressDeadlineSeconds` waits for a
/// person, and nobody should wait for it.
#[must_use]
pub fn is_in_progress(deployment: &Value) -> bool {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64);
    let paused = deployment.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false);
    if paused || is_stuck(deployment) {
        return false;
    }
    let wanted = number("/spec/replicas").unwrap_or(1);
    let have = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
    let unseen = number("/metadata/generation").unwrap_or(0) > have("observedGeneration");
    let replaced = have("updatedReplicas") >= wanted && have("replicas") <= have("updatedReplicas");
    if !unseen && replaced && was_completed(deployment) {
        // A pod that fails later is no rollout.
        return false;
    }
    unseen || !replaced || have("availableReplicas") < wanted
}

fn is_stuck(deployment: &Value) -> bool {
    progressing(deployment, "status") == Some("False")
}

fn was_completed(deployment: &Value) -> bool {
    progressing(deployment, "reason") == Some("NewReplicaSetAvailable")
}

/// A field of the condition `Progressing`.
fn progressing<'a>(deployment: &'a Value, field: &str) -> Option<&'a str> {
    let conditions = deployment.pointer("/status/conditions")?.as_array()?;
    let of = |condition: &Value| condition.get("type").and_then(Value::as_str) == Some("Progressing");
    conditions.iter().find(|condition| of(condition))?.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::is_in_progress;
    use serde_json::{Value, json};

    fn deployment(status: &Value) -> Value {
        json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status})
    }

    #[test]
    fn a_rollout_is_over_when_every_replica_is_new_and_available() {
        let done = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3});
        assert!(!is_in_progress(&deployment(&done)));
        for (field, value) in
            [("observedGeneration", 1), ("replicas", 4), ("updatedReplicas", 2), ("availableReplicas", 2)]
        {
            let mut status = done.clone();
            status[field] = json!(value);
            assert!(is_in_progress(&deployment(&status)), "{field}");
        }
        assert!(is_in_progress(&deployment(&json!({}))));
    }

    #[test]
    fn a_pod_that_fails_after_the_rollout_is_no_rollout() {
        let conditions = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]);
        let mut status = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2});
        assert!(is_in_progress(&deployment(&status)));
        status["conditions"] = conditions;
        assert!(!is_in_progress(&deployment(&status)));
        status["observedGeneration"] = json!(1);
        assert!(is_in_progress(&deployment(&status)));
    }

    #[test]
    fn nobody_waits_for_a_rollout_that_is_paused_or_stuck() {
        let mut paused = deployment(&json!({}));
        paused["spec"]["paused"] = json!(true);
        assert!(!is_in_progress(&paused));
        let stuck =
            json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]});
        assert!(!is_in_progress(&deployment(&stuck)));
    }
}
