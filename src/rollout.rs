//! Is a workload's rollout over?

use serde_json::Value;

use crate::workload::Kind;

/// How far a rollout has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pods of the new template.
    pub replaced: i64,
    /// Pods that serve, old or new.
    pub available: i64,
}

/// How far a rollout has got that is not over: old pods are still being replaced. `None` where nothing is to be waited for,
/// also where a person has to act first: a Deployment that is paused or past its `progressDeadlineSeconds`, pods that are
/// replaced only when somebody deletes them (`OnDelete`).
#[must_use]
pub fn progress(kind: Kind, workload: &Value) -> Option<Progress> {
    let unseen = number(workload, "/metadata/generation") > number(workload, "/status/observedGeneration");
    match kind {
        Kind::Deployment => deployment(workload, unseen),
        Kind::StatefulSet => stateful_set(workload, unseen),
        Kind::DaemonSet => daemon_set(workload, unseen),
    }
}

fn deployment(deployment: &Value, unseen: bool) -> Option<Progress> {
    let status = |field: &str| number(deployment, &format!("/status/{field}"));
    let paused = deployment.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false);
    let stuck = progressing(deployment, "status") == Some("False");
    if paused || stuck {
        return None;
    }
    let wanted = replicas(deployment);
    let progress = Progress { replaced: status("updatedReplicas"), available: status("availableReplicas") };
    let replaced = progress.replaced >= wanted && status("replicas") <= progress.replaced;
    // A pod that fails later is no rollout.
    let completed = progressing(deployment, "reason") == Some("NewReplicaSetAvailable");
    let over = !unseen && replaced && (completed || progress.available >= wanted);
    (!over).then_some(progress)
}

fn stateful_set(set: &Value, unseen: bool) -> Option<Progress> {
    if is_on_delete(set) {
        return None;
    }
    let status = |field: &str| number(set, &format!("/status/{field}"));
    let revision = |field: &str| set.pointer(&format!("/status/{field}")).and_then(Value::as_str);
    let progress = Progress { replaced: status("updatedReplicas"), available: status("availableReplicas") };
    // Pods below the partition are not meant to be replaced.
    let wanted = replicas(set) - number(set, "/spec/updateStrategy/rollingUpdate/partition");
    let completed = revision("currentRevision").is_some() && revision("currentRevision") == revision("updateRevision");
    let replaced = progress.replaced >= wanted && progress.available >= replicas(set);
    let over = !unseen && (completed || replaced);
    (!over).then_some(progress)
}

fn daemon_set(set: &Value, unseen: bool) -> Option<Progress> {
    if is_on_delete(set) {
        return None;
    }
    let status = |field: &str| number(set, &format!("/status/{field}"));
    let progress = Progress { replaced: status("updatedNumberScheduled"), available: status("numberAvailable") };
    let wanted = status("desiredNumberScheduled");
    let over = !unseen && progress.replaced >= wanted && progress.available >= wanted;
    (!over).then_some(progress)
}

fn number(workload: &Value, pointer: &str) -> i64 {
    workload.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn replicas(workload: &Value) -> i64 {
    workload.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn is_on_delete(set: &Value) -> bool {
    set.pointer("/spec/updateStrategy/type").and_then(Value::as_str) == Some("OnDelete")
}

/// A field of a Deployment's condition `Progressing`.
fn progressing<'a>(deployment: &'a Value, field: &str) -> Option<&'a str> {
    let conditions = deployment.pointer("/status/conditions")?.as_array()?;
    let of = |condition: &Value| condition.get("type").and_then(Value::as_str) == Some("Progressing");
    conditions.iter().find(|condition| of(condition))?.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::{Kind, progress};
    use serde_json::{Value, json};

    fn is_in_progress(deployment: &Value) -> bool {
        progress(Kind::Deployment, deployment).is_some()
    }

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

    #[test]
    fn a_stateful_set_is_done_when_its_revisions_meet() {
        let set = |status: &Value, strategy: &Value| {
            let spec = json!({"replicas": 3, "updateStrategy": strategy});
            let set = json!({"metadata": {"generation": 2}, "spec": spec, "status": status});
            progress(Kind::StatefulSet, &set).is_some()
        };
        let rolling = json!({"type": "RollingUpdate"});
        let status = |seen: i64, current: &str, updated: i64| {
            json!({"observedGeneration": seen, "currentRevision": current, "updateRevision": "new",
                   "updatedReplicas": updated, "availableReplicas": 3})
        };
        assert!(set(&status(1, "new", 3), &rolling), "not seen yet");
        assert!(set(&status(2, "old", 2), &rolling), "one to go");
        assert!(!set(&status(2, "new", 3), &rolling), "done");
        let mut failing = status(2, "new", 3);
        failing["availableReplicas"] = json!(1);
        assert!(!set(&failing, &rolling), "a pod that fails later is no rollout");
        assert!(!set(&status(2, "old", 0), &json!({"type": "OnDelete"})));
        let partition = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
        assert!(set(&status(2, "old", 0), &partition));
        assert!(!set(&status(2, "old", 1), &partition), "the others are not meant to be replaced");
    }

    #[test]
    fn a_daemon_set_is_done_when_every_node_has_its_new_pod() {
        let set = |seen: i64, updated: i64, available: i64, strategy: &str| {
            let status = json!({"observedGeneration": seen, "desiredNumberScheduled": 3,
                                "updatedNumberScheduled": updated, "numberAvailable": available});
            let spec = json!({"updateStrategy": {"type": strategy}});
            let set = json!({"metadata": {"generation": 2}, "spec": spec, "status": status});
            progress(Kind::DaemonSet, &set).is_some()
        };
        assert!(!set(2, 3, 3, "RollingUpdate"));
        for (seen, updated, available) in [(1, 3, 3), (2, 2, 3), (2, 3, 2)] {
            assert!(set(seen, updated, available, "RollingUpdate"));
            assert!(!set(seen, updated, available, "OnDelete"));
        }
    }
}
