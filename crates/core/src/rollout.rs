//! Is a workload's rollout over, and for how long does anybody wait for it?

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kind::Kind;

/// Whether old pods are still being replaced. A rollout that waits for a person is none that anybody should wait for:
/// paused, past its `progressDeadlineSeconds`, or `OnDelete`.
#[must_use]
pub fn is_in_progress(kind: Kind, workload: &Value) -> bool {
    match kind {
        Kind::Deployment => deployment_rolls(workload),
        Kind::StatefulSet => !is_on_delete(workload) && stateful_set_rolls(workload),
        Kind::DaemonSet => !is_on_delete(workload) && daemon_set_rolls(workload),
    }
}

/// Waiting for a rollout to end, as long as it gets on.
///
/// Only a Deployment says that it is stuck. A `StatefulSet` whose new pod never gets ready rolls no further, and a
/// `DaemonSet` never ends while a node is down; so what counts is when there was last one more new pod than ever. Pods
/// that come and go, and owners who change their mind without end, keep nobody waiting.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    most_replaced: i64,
    since: Instant,
}

/// How long a Deployment by default may be without progress. The others are given as much.
const WITHOUT_PROGRESS: Duration = Duration::from_mins(10);
/// Nobody's pods are waited for longer, whatever grace period or progress deadline their owner wrote.
const AT_MOST: Duration = Duration::from_hours(1);

impl Wait {
    /// A rollout is about to begin, or was just found under way.
    #[must_use]
    pub fn from(now: Instant) -> Self {
        Self { most_replaced: 0, since: now }
    }

    /// Whether to wait on, now that the workload looks like this.
    pub fn goes_on(&mut self, kind: Kind, workload: &Value, now: Instant) -> bool {
        let replaced = if is_unseen(workload) { 0 } else { replaced(kind, workload) };
        if replaced > self.most_replaced {
            *self = Self { most_replaced: replaced, since: now };
        }
        is_in_progress(kind, workload) && now.saturating_duration_since(self.since) < patience(kind, workload)
    }
}

/// The longest time from one new pod to the next: the old one stops, the new one starts and proves itself.
fn patience(kind: Kind, workload: &Value) -> Duration {
    if kind == Kind::Deployment {
        return AT_MOST;
    }
    let seconds = |pointer, default| Duration::from_secs(number(workload, pointer).unwrap_or(default).unsigned_abs());
    let stops = seconds("/spec/template/spec/terminationGracePeriodSeconds", 30);
    let proves_itself = seconds("/spec/minReadySeconds", 0);
    WITHOUT_PROGRESS.saturating_add(stops).saturating_add(proves_itself).min(AT_MOST)
}

fn deployment_rolls(deployment: &Value) -> bool {
    let paused = deployment.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false);
    if paused {
        return false;
    }
    // What is said of a rollout before this one is no answer.
    if is_unseen(deployment) {
        return true;
    }
    if progressing(deployment, "status") == Some("False") {
        return false;
    }
    let (wanted, replaced) = (replicas(deployment), replaced(Kind::Deployment, deployment));
    let all_replaced = replaced >= wanted && status(deployment, "replicas") <= replaced;
    if all_replaced && progressing(deployment, "reason") == Some("NewReplicaSetAvailable") {
        // A pod that fails later is no rollout.
        return false;
    }
    !all_replaced || status(deployment, "availableReplicas") < wanted
}

fn stateful_set_rolls(stateful_set: &Value) -> bool {
    if is_unseen(stateful_set) {
        return true;
    }
    let partition = number(stateful_set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    // The pods below the partition wait for a person.
    let to_replace = replicas(stateful_set).saturating_sub(partition);
    if to_replace <= 0 {
        return false;
    }
    if replaced(Kind::StatefulSet, stateful_set) < to_replace {
        return true;
    }
    // The controller writes the same in both once all pods were new and ready; one that fails later is no rollout. It also
    // does where the template is turned back to what it was, and then the pods above tell.
    let revision = |field: &str| stateful_set.pointer(&format!("/status/{field}")).and_then(Value::as_str);
    let settled = revision("currentRevision").is_some() && revision("currentRevision") == revision("updateRevision");
    !settled && status(stateful_set, "availableReplicas") < replicas(stateful_set)
}

fn daemon_set_rolls(daemon_set: &Value) -> bool {
    let wanted = status(daemon_set, "desiredNumberScheduled");
    is_unseen(daemon_set)
        || replaced(Kind::DaemonSet, daemon_set) < wanted
        || status(daemon_set, "numberAvailable") < wanted
}

/// Its pods get the new template when somebody deletes them.
fn is_on_delete(workload: &Value) -> bool {
    workload.pointer("/spec/updateStrategy/type").and_then(Value::as_str) == Some("OnDelete")
}

/// Whether the status is still about an earlier version of the workload.
fn is_unseen(workload: &Value) -> bool {
    number(workload, "/metadata/generation").unwrap_or(0) > status(workload, "observedGeneration")
}

/// How many pods are made from the newest template.
fn replaced(kind: Kind, workload: &Value) -> i64 {
    status(workload, if kind == Kind::DaemonSet { "updatedNumberScheduled" } else { "updatedReplicas" })
}

fn replicas(workload: &Value) -> i64 {
    number(workload, "/spec/replicas").unwrap_or(1)
}

fn status(workload: &Value, field: &str) -> i64 {
    number(workload, &format!("/status/{field}")).unwrap_or(0)
}

fn number(workload: &Value, pointer: &str) -> Option<i64> {
    workload.pointer(pointer).and_then(Value::as_i64)
}

/// A field of a Deployment's condition `Progressing`.
fn progressing<'a>(deployment: &'a Value, field: &str) -> Option<&'a str> {
    let conditions = deployment.pointer("/status/conditions")?.as_array()?;
    let of = |condition: &Value| condition.get("type").and_then(Value::as_str) == Some("Progressing");
    conditions.iter().find(|condition| of(condition))?.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    use super::{AT_MOST, WITHOUT_PROGRESS, Wait, is_in_progress};
    use crate::kind::Kind::{self, DaemonSet, Deployment, StatefulSet};

    fn workload(status: &Value) -> Value {
        json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status})
    }

    /// All of three pods are new and available, and it was not noted yet.
    fn done(kind: Kind) -> Value {
        workload(&match kind {
            Deployment => json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            StatefulSet => json!({"observedGeneration": 2, "updatedReplicas": 3, "availableReplicas": 3,
                                  "currentRevision": "a", "updateRevision": "b"}),
            DaemonSet => json!({"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3,
                                "numberAvailable": 3}),
        })
    }

    /// One of three pods is new, and the next does not come.
    fn halfway(kind: Kind) -> Value {
        replaced(kind, 1)
    }

    fn replaced(kind: Kind, pods: i64) -> Value {
        let field = if kind == DaemonSet { "updatedNumberScheduled" } else { "updatedReplicas" };
        let mut workload = done(kind);
        workload["status"][field] = json!(pods);
        workload
    }

    #[test]
    fn a_rollout_is_over_when_every_pod_is_new_and_available() {
        for (kind, field, value) in [
            (Deployment, "observedGeneration", 1),
            (Deployment, "replicas", 4),
            (Deployment, "updatedReplicas", 2),
            (Deployment, "availableReplicas", 2),
            (StatefulSet, "observedGeneration", 1),
            (StatefulSet, "updatedReplicas", 2),
            (StatefulSet, "availableReplicas", 2),
            (DaemonSet, "observedGeneration", 1),
            (DaemonSet, "desiredNumberScheduled", 4),
            (DaemonSet, "updatedNumberScheduled", 2),
            (DaemonSet, "numberAvailable", 2),
        ] {
            let mut workload = done(kind);
            assert!(!is_in_progress(kind, &workload), "{kind}");
            workload["status"][field] = json!(value);
            assert!(is_in_progress(kind, &workload), "{kind} {field}");
        }
    }

    #[test]
    fn one_that_no_controller_has_looked_at_is_in_progress() {
        for kind in Kind::ALL {
            assert!(is_in_progress(kind, &workload(&json!({}))), "{kind}");
        }
    }

    #[test]
    fn a_pod_that_fails_after_the_rollout_is_no_rollout() {
        let conditions = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]);
        for (kind, field, value) in
            [(Deployment, "conditions", conditions), (StatefulSet, "currentRevision", json!("b"))]
        {
            let mut workload = done(kind);
            workload["status"]["availableReplicas"] = json!(2);
            assert!(is_in_progress(kind, &workload), "{kind}");
            workload["status"][field] = value;
            assert!(!is_in_progress(kind, &workload), "{kind}");
            workload["status"]["observedGeneration"] = json!(1);
            assert!(is_in_progress(kind, &workload), "{kind}");
        }
    }

    #[test]
    fn nobody_waits_for_a_rollout_that_waits_for_a_person() {
        let mut paused = workload(&json!({}));
        paused["spec"]["paused"] = json!(true);
        assert!(!is_in_progress(Deployment, &paused));
        let mut stuck = halfway(Deployment);
        stuck["status"]["conditions"] =
            json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        assert!(!is_in_progress(Deployment, &stuck));
        for kind in [StatefulSet, DaemonSet] {
            let mut on_delete = halfway(kind);
            on_delete["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
            assert!(!is_in_progress(kind, &on_delete), "{kind}");
        }
    }

    #[test]
    fn that_the_last_rollout_was_stuck_says_nothing_of_this_one() {
        let mut mended = halfway(Deployment);
        mended["status"]["observedGeneration"] = json!(1);
        mended["status"]["conditions"] = json!([{"type": "Progressing", "status": "False"}]);
        assert!(is_in_progress(Deployment, &mended));
    }

    #[test]
    fn a_template_that_is_turned_back_is_a_rollout_too() {
        let mut turned_back = halfway(StatefulSet);
        turned_back["status"]["updateRevision"] = json!("a");
        assert!(is_in_progress(StatefulSet, &turned_back));
    }

    #[test]
    fn pods_below_the_partition_are_not_waited_for() {
        for (partition, replaced, in_progress) in
            [(0, 2, true), (1, 1, true), (1, 2, false), (3, 0, false), (9, 0, false)]
        {
            let mut partitioned = self::replaced(StatefulSet, replaced);
            partitioned["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(partition);
            assert_eq!(is_in_progress(StatefulSet, &partitioned), in_progress, "{partition}");
        }
    }

    #[test]
    fn nobody_waits_for_ever_where_no_new_pod_comes() {
        let start = Instant::now();
        for (kind, patience) in [
            (Deployment, AT_MOST),
            (StatefulSet, WITHOUT_PROGRESS + Duration::from_secs(30)),
            (DaemonSet, WITHOUT_PROGRESS + Duration::from_secs(30)),
        ] {
            let mut wait = Wait::from(start);
            let first = start + Duration::from_secs(100);
            assert!(wait.goes_on(kind, &halfway(kind), first), "{kind}");
            assert!(wait.goes_on(kind, &halfway(kind), first + patience / 2), "{kind}");
            assert!(!wait.goes_on(kind, &halfway(kind), first + patience), "{kind}");
        }
    }

    #[test]
    fn a_pod_that_crashes_and_comes_back_is_no_progress() {
        let start = Instant::now();
        let mut wait = Wait::from(start);
        for (minutes, available, goes_on) in [(0, 2, true), (4, 3, true), (8, 2, true), (12, 3, false)] {
            let mut crashing = halfway(StatefulSet);
            crashing["status"]["availableReplicas"] = json!(available);
            let now = start + Duration::from_mins(minutes);
            assert_eq!(wait.goes_on(StatefulSet, &crashing, now), goes_on, "{minutes}");
        }
    }

    #[test]
    fn every_new_pod_is_one_more_reason_to_wait() {
        let start = Instant::now();
        let mut wait = Wait::from(start);
        for (minutes, pods, goes_on) in [(9, 1, true), (18, 2, true), (27, 1, true), (30, 2, false), (31, 3, true)] {
            let mut workload = replaced(StatefulSet, pods);
            workload["status"]["availableReplicas"] = json!(2);
            let now = start + Duration::from_mins(minutes);
            assert_eq!(wait.goes_on(StatefulSet, &workload, now), goes_on, "{minutes}");
        }
        assert!(!wait.goes_on(StatefulSet, &done(StatefulSet), start));
    }

    #[test]
    fn pods_of_the_template_before_are_not_new() {
        let start = Instant::now();
        let mut wait = Wait::from(start);
        let mut unseen = done(StatefulSet);
        unseen["status"]["observedGeneration"] = json!(1);
        assert!(wait.goes_on(StatefulSet, &unseen, start));
        let later = start + WITHOUT_PROGRESS;
        assert!(wait.goes_on(StatefulSet, &halfway(StatefulSet), later));
        assert!(wait.goes_on(StatefulSet, &halfway(StatefulSet), later + WITHOUT_PROGRESS));
    }

    #[test]
    fn a_slow_pod_gets_its_time_up_to_an_hour() {
        let start = Instant::now();
        let mut slow = halfway(StatefulSet);
        slow["spec"]["minReadySeconds"] = json!(300);
        slow["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(900);
        let mut wait = Wait::from(start);
        assert!(wait.goes_on(StatefulSet, &slow, start));
        assert!(wait.goes_on(StatefulSet, &slow, start + Duration::from_secs(1799)));
        assert!(!wait.goes_on(StatefulSet, &slow, start + Duration::from_mins(30)));
        slow["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(i64::MAX);
        assert!(!wait.goes_on(StatefulSet, &slow, start + AT_MOST));
    }
}
