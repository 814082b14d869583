//! Whether the rollout of a workload has finished, and how long to wait for it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kind::Kind;
use crate::workload::DEFAULT_GRACE_PERIOD;

/// Whether pods are being replaced. A rollout that only continues after a manual action does not count: a paused one, one
/// past its `progressDeadlineSeconds`, and `OnDelete`.
#[must_use]
pub fn is_in_progress(kind: Kind, workload: &Value) -> bool {
    match kind {
        Kind::Deployment => deployment_in_progress(workload),
        Kind::StatefulSet => !is_on_delete(workload) && stateful_set_in_progress(workload),
        Kind::DaemonSet => !is_on_delete(workload) && daemon_set_in_progress(workload),
    }
}

/// The number of pods that there should be.
#[must_use]
pub fn wanted(kind: Kind, workload: &Value) -> usize {
    let wanted = if kind == Kind::DaemonSet { status(workload, "desiredNumberScheduled") } else { replicas(workload) };
    usize::try_from(wanted).unwrap_or(0)
}

/// The number of pods that have the newest template.
#[must_use]
pub fn updated(kind: Kind, workload: &Value) -> usize {
    let updated = if is_unobserved(workload) { 0 } else { replaced(kind, workload) };
    usize::try_from(updated).unwrap_or(0)
}

/// Whether the controller has given up a rollout: a Deployment is past its `progressDeadlineSeconds`. The other kinds do not
/// report it.
#[must_use]
pub fn is_stuck(kind: Kind, workload: &Value) -> bool {
    kind == Kind::Deployment && !is_unobserved(workload) && progressing(workload, "status") == Some("False")
}

/// Tracks whether a rollout makes progress, to decide how long to wait for it.
///
/// Only a Deployment reports that its rollout is stuck. A `StatefulSet` does not continue if a new pod does not become ready,
/// and a `DaemonSet` does not finish while a node is down. So progress is a number of new pods that was not reached before.
/// Pods that crash and restart, and repeated changes of the template, do not extend the wait.
#[derive(Clone, Copy, Debug)]
pub struct ProgressTracker {
    most_replaced: i64,
    since: Instant,
}

/// How long a rollout may make no progress: the default of a Deployment, used for the other kinds, too.
const PROGRESS_TIMEOUT: Duration = Duration::from_mins(10);
/// The longest wait without progress, for any grace period or progress deadline.
const MAX_TIMEOUT: Duration = Duration::from_hours(1);

impl ProgressTracker {
    /// For a rollout that is about to start, or was just found in progress.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { most_replaced: 0, since: now }
    }

    /// Whether to continue waiting, given the current state of the workload.
    pub fn keep_waiting(&mut self, kind: Kind, workload: &Value, now: Instant) -> bool {
        let replaced = if is_unobserved(workload) { 0 } else { replaced(kind, workload) };
        if replaced > self.most_replaced {
            *self = Self { most_replaced: replaced, since: now };
        }
        is_in_progress(kind, workload) && now.saturating_duration_since(self.since) < timeout(kind, workload)
    }
}

/// The longest time between two new pods: the old pod stops, the new one starts and has to stay ready.
fn timeout(kind: Kind, workload: &Value) -> Duration {
    if kind == Kind::Deployment {
        return MAX_TIMEOUT;
    }
    let seconds = |pointer, default| Duration::from_secs(number(workload, pointer).unwrap_or(default).unsigned_abs());
    let grace_period = seconds("/spec/template/spec/terminationGracePeriodSeconds", DEFAULT_GRACE_PERIOD.as_i64());
    let min_ready = seconds("/spec/minReadySeconds", 0);
    PROGRESS_TIMEOUT.saturating_add(grace_period).saturating_add(min_ready).min(MAX_TIMEOUT)
}

fn deployment_in_progress(deployment: &Value) -> bool {
    let paused = deployment.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false);
    if paused {
        return false;
    }
    // The status still describes the previous rollout.
    if is_unobserved(deployment) {
        return true;
    }
    if progressing(deployment, "status") == Some("False") {
        return false;
    }
    let (wanted, replaced) = (replicas(deployment), replaced(Kind::Deployment, deployment));
    let all_replaced = replaced >= wanted && status(deployment, "replicas") <= replaced;
    if all_replaced && progressing(deployment, "reason") == Some("NewReplicaSetAvailable") {
        // A pod that fails after the rollout does not start it again.
        return false;
    }
    !all_replaced || status(deployment, "availableReplicas") < wanted
}

fn stateful_set_in_progress(stateful_set: &Value) -> bool {
    if is_unobserved(stateful_set) {
        return true;
    }
    let partition = number(stateful_set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    // Pods below the partition are not replaced.
    let to_replace = replicas(stateful_set).saturating_sub(partition);
    if to_replace <= 0 {
        return false;
    }
    if replaced(Kind::StatefulSet, stateful_set) < to_replace {
        return true;
    }
    // The controller sets both to the same revision once all pods were new and ready, so a pod that fails later is not a
    // rollout. They are also the same after the template was reverted, which the number of replaced pods above covers.
    let revision = |field: &str| stateful_set.pointer(&format!("/status/{field}")).and_then(Value::as_str);
    let completed = revision("currentRevision").is_some() && revision("currentRevision") == revision("updateRevision");
    !completed && status(stateful_set, "availableReplicas") < replicas(stateful_set)
}

fn daemon_set_in_progress(daemon_set: &Value) -> bool {
    let wanted = status(daemon_set, "desiredNumberScheduled");
    is_unobserved(daemon_set)
        || replaced(Kind::DaemonSet, daemon_set) < wanted
        || status(daemon_set, "numberAvailable") < wanted
}

/// Whether pods get the new template only when they are deleted manually.
fn is_on_delete(workload: &Value) -> bool {
    workload.pointer("/spec/updateStrategy/type").and_then(Value::as_str) == Some("OnDelete")
}

/// Whether the status still describes an earlier generation of the workload.
fn is_unobserved(workload: &Value) -> bool {
    number(workload, "/metadata/generation").unwrap_or(0) > status(workload, "observedGeneration")
}

/// The number of pods with the newest template.
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

    use super::{MAX_TIMEOUT, PROGRESS_TIMEOUT, ProgressTracker, is_in_progress, is_stuck, updated};
    use crate::kind::Kind::{self, DaemonSet, Deployment, StatefulSet};

    fn workload(status: &Value) -> Value {
        json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status})
    }

    /// All three pods are new and available, but the controller has not recorded that the rollout finished.
    fn done(kind: Kind) -> Value {
        workload(&match kind {
            Deployment => json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            StatefulSet => json!({"observedGeneration": 2, "updatedReplicas": 3, "availableReplicas": 3,
                                  "currentRevision": "a", "updateRevision": "b"}),
            DaemonSet => json!({"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3,
                                "numberAvailable": 3}),
        })
    }

    /// One of three pods is new.
    fn halfway(kind: Kind) -> Value {
        replaced(kind, 1)
    }

    fn replaced(kind: Kind, pods: i64) -> Value {
        let field = if kind == DaemonSet { "updatedNumberScheduled" } else { "updatedReplicas" };
        let mut workload = done(kind);
        workload["status"][field] = json!(pods);
        workload
    }

    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant; only differences count")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_rollout_has_finished_when_every_pod_is_new_and_available() {
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
    fn a_rollout_that_the_controller_has_not_observed_is_in_progress() {
        for kind in Kind::ALL {
            assert!(is_in_progress(kind, &workload(&json!({}))), "{kind}");
        }
    }

    #[test]
    fn a_pod_that_fails_after_the_rollout_does_not_start_it_again() {
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
    fn a_rollout_that_needs_a_manual_action_is_not_in_progress() {
        let mut paused = workload(&json!({}));
        paused["spec"]["paused"] = json!(true);
        assert!(!is_in_progress(Deployment, &paused));
        let mut stuck = halfway(Deployment);
        stuck["status"]["conditions"] =
            json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        assert!(!is_in_progress(Deployment, &stuck) && is_stuck(Deployment, &stuck));
        assert!(!is_stuck(Deployment, &halfway(Deployment)) && !is_stuck(Deployment, &paused));
        for kind in [StatefulSet, DaemonSet] {
            let mut on_delete = halfway(kind);
            on_delete["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
            assert!(!is_in_progress(kind, &on_delete), "{kind}");
        }
    }

    #[test]
    fn a_stuck_rollout_does_not_affect_the_next_one() {
        let mut fixed = halfway(Deployment);
        fixed["status"]["observedGeneration"] = json!(1);
        fixed["status"]["conditions"] = json!([{"type": "Progressing", "status": "False"}]);
        assert!(is_in_progress(Deployment, &fixed) && !is_stuck(Deployment, &fixed));
    }

    #[test]
    fn pods_are_updated_once_the_controller_has_observed_the_template() {
        for kind in Kind::ALL {
            let mut rollout = halfway(kind);
            assert_eq!(updated(kind, &rollout), 1, "{kind}");
            rollout["status"]["observedGeneration"] = json!(1);
            assert_eq!(updated(kind, &rollout), 0, "{kind}");
        }
    }

    #[test]
    fn a_reverted_template_is_a_rollout() {
        let mut reverted = halfway(StatefulSet);
        reverted["status"]["updateRevision"] = json!("a");
        assert!(is_in_progress(StatefulSet, &reverted));
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
    fn waiting_ends_without_progress() {
        let start = start();
        for (kind, timeout) in [
            (Deployment, MAX_TIMEOUT),
            (StatefulSet, PROGRESS_TIMEOUT + Duration::from_secs(30)),
            (DaemonSet, PROGRESS_TIMEOUT + Duration::from_secs(30)),
        ] {
            let mut tracker = ProgressTracker::new(start);
            let first = start + Duration::from_secs(100);
            assert!(tracker.keep_waiting(kind, &halfway(kind), first), "{kind}");
            assert!(tracker.keep_waiting(kind, &halfway(kind), first + timeout / 2), "{kind}");
            assert!(!tracker.keep_waiting(kind, &halfway(kind), first + timeout), "{kind}");
        }
    }

    #[test]
    fn a_pod_that_crashes_and_restarts_is_no_progress() {
        let start = start();
        let mut tracker = ProgressTracker::new(start);
        for (minutes, available, keep_waiting) in [(0, 2, true), (4, 3, true), (8, 2, true), (12, 3, false)] {
            let mut crashing = halfway(StatefulSet);
            crashing["status"]["availableReplicas"] = json!(available);
            let now = start + Duration::from_mins(minutes);
            assert_eq!(tracker.keep_waiting(StatefulSet, &crashing, now), keep_waiting, "{minutes}");
        }
    }

    #[test]
    fn every_new_pod_extends_the_wait() {
        let start = start();
        let mut tracker = ProgressTracker::new(start);
        for (minutes, pods, keep_waiting) in [(9, 1, true), (18, 2, true), (27, 1, true), (30, 2, false), (31, 3, true)]
        {
            let mut workload = replaced(StatefulSet, pods);
            workload["status"]["availableReplicas"] = json!(2);
            let now = start + Duration::from_mins(minutes);
            assert_eq!(tracker.keep_waiting(StatefulSet, &workload, now), keep_waiting, "{minutes}");
        }
        assert!(!tracker.keep_waiting(StatefulSet, &done(StatefulSet), start));
    }

    #[test]
    fn pods_of_the_previous_template_are_not_new() {
        let start = start();
        let mut tracker = ProgressTracker::new(start);
        let mut unobserved = done(StatefulSet);
        unobserved["status"]["observedGeneration"] = json!(1);
        assert!(tracker.keep_waiting(StatefulSet, &unobserved, start));
        let later = start + PROGRESS_TIMEOUT;
        assert!(tracker.keep_waiting(StatefulSet, &halfway(StatefulSet), later));
        assert!(tracker.keep_waiting(StatefulSet, &halfway(StatefulSet), later + PROGRESS_TIMEOUT));
    }

    #[test]
    fn a_slow_pod_extends_the_wait_up_to_an_hour() {
        let start = start();
        let mut slow = halfway(StatefulSet);
        slow["spec"]["minReadySeconds"] = json!(300);
        slow["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(900);
        let mut tracker = ProgressTracker::new(start);
        assert!(tracker.keep_waiting(StatefulSet, &slow, start));
        assert!(tracker.keep_waiting(StatefulSet, &slow, start + Duration::from_secs(1799)));
        assert!(!tracker.keep_waiting(StatefulSet, &slow, start + Duration::from_mins(30)));
        slow["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(i64::MAX);
        assert!(!tracker.keep_waiting(StatefulSet, &slow, start + MAX_TIMEOUT));
    }
}
