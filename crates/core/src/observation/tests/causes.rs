//! Why a pod stopped, and that the app is not blamed for its node, its memory or a caller.

use serde_json::{Value, json};

use super::super::{History, Promise, Timestamp};
use super::{Cause, Outcome, Unseen, Watch, container, deleted, ended, only, removed, running, with};

fn disruption(reason: &str) -> Value {
    json!({"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": super::time(0)})
}

#[test]
fn a_disruption_of_the_api_is_judged_and_named() {
    for (reason, cause) in [
        ("EvictionByEvictionAPI", Cause::Eviction),
        ("PreemptionByScheduler", Cause::SchedulerPreemption),
        ("DeletionByTaintManager", Cause::TaintEviction),
    ] {
        let pod = with(running(), &json!({"status": {"conditions": [disruption(reason)]}}));
        for (exit_code, end, outcome, promise) in [
            (0, 5, Outcome::Clean, Promise::Honoured),
            (137, 15, Outcome::Killed, Promise::Killed),
            (1, 6, Outcome::Failed, Promise::Failed),
            (137, 6, Outcome::KilledOtherwise, Promise::NotJudged),
        ] {
            let stop = only(Watch::new().whole(&pod, 15, &[container("app", exit_code, "Error", end)], end));
            assert_eq!((stop.cause, stop.outcome, stop.promise()), (cause, outcome, promise), "{stop}");
        }
    }
}

#[test]
fn what_the_kubelet_ends_by_itself_has_no_duration_and_is_not_judged() {
    let by_kubelet = json!([disruption("TerminationByKubelet")]);
    for (conditions, reason, cause) in [
        (by_kubelet.clone(), "Evicted", Cause::NodePressure),
        // A limit of ephemeral storage, with a grace period of 1 s and no condition.
        (json!([]), "Evicted", Cause::NodePressure),
        (by_kubelet.clone(), "Terminated", Cause::NodeShutdown),
        (by_kubelet, "Preempting", Cause::KubeletPreemption),
        (json!([]), "DeadlineExceeded", Cause::Kubelet),
    ] {
        for (exit_code, outcome) in [(0, Outcome::Clean), (137, Outcome::CutShort), (1, Outcome::Failed)] {
            let mut watch = Watch::new();
            watch.apply(-1.0, &running());
            let pod = ended(running(), &[container("app", exit_code, "Error", 3)]);
            let pod = with(pod, &json!({"status": {"reason": reason, "conditions": conditions}}));
            let stop = only(watch.apply(4.0, &pod));
            assert_eq!((stop.cause, stop.outcome, stop.promise()), (cause, outcome, Promise::NotJudged), "{stop}");
            assert_eq!((stop.duration, stop.app_time, stop.grace_period), (None, None, None));
            assert_eq!(watch.delete(60.0, &removed(pod, 60)), []);
        }
    }
}

#[test]
fn a_pod_on_a_lost_node_has_no_known_end() {
    // The garbage collection sets the phase, and the statuses are still those of running containers.
    let lost = json!({"status": {"phase": "Failed", "conditions": [disruption("DeletionByPodGC")]}});
    for asked in [false, true] {
        let mut watch = Watch::new();
        watch.apply(-1.0, &running());
        let pod = if asked { deleted(running(), 15) } else { running() };
        watch.apply(0.1, &pod);
        let stop = only(watch.apply(60.0, &with(pod.clone(), &lost)));
        assert_eq!((stop.cause, stop.outcome), (Cause::NodeLost, Outcome::Unknown(Unseen::Node)));
        assert_eq!((stop.promise(), stop.duration), (Promise::NotJudged, None));
        assert_eq!(watch.delete(60.1, &removed(with(pod, &lost), 60)), []);
    }
}

#[test]
fn a_forced_removal_does_not_wait_for_the_end() {
    for asked in [false, true] {
        let mut watch = Watch::new();
        watch.apply(-1.0, &running());
        if asked {
            watch.apply(0.1, &deleted(running(), 15));
        }
        let stop = only(watch.delete(2.0, &removed(running(), 2)));
        assert_eq!((stop.cause, stop.outcome), (Cause::Forced, Outcome::Unknown(Unseen::Forced)));
        assert_eq!(stop.promise(), Promise::NotJudged);
        assert!(stop.end.earliest <= stop.end.latest, "{:?}", stop.end);
    }
}

#[test]
fn an_end_that_is_not_known_is_counted_when_it_is_seen_however_long_the_grace_period_is() {
    let lost = json!({"status": {"phase": "Failed", "conditions": [disruption("DeletionByPodGC")]}});
    for cause in [Cause::Forced, Cause::NodeLost, Cause::Deletion] {
        let mut watch = Watch::new();
        watch.apply(-1.0, &running());
        let pod = deleted(running(), 3600);
        watch.apply(0.1, &pod);
        let stop = only(match cause {
            Cause::Forced => watch.delete(60.0, &removed(pod, 60)),
            Cause::NodeLost => watch.apply(60.0, &with(pod, &lost)),
            _ => watch.list(60.0, &[]),
        });
        let now = Timestamp::from_second(super::REQUESTED + 60);
        assert_eq!(stop.cause, cause);
        assert!(stop.end.latest >= now, "{cause}: {:?}", stop.end);
        assert!(History::new(Timestamp::from_second(super::REQUESTED)).admit(&stop, now), "{cause}: {:?}", stop.end);
    }
}

#[test]
fn other_pods_of_the_workload_tell_a_rollout_from_a_smaller_number_and_a_deletion_by_hand() {
    let sibling = |uid: &str, hash: &str, created: i64| {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("web-{hash}"), "uid": "2",
            "controller": true});
        let metadata = json!({"uid": uid, "labels": {"pod-template-hash": hash}, "ownerReferences": [owner],
            "creationTimestamp": super::time(created)});
        with(running(), &json!({"metadata": metadata}))
    };
    for (other, cause) in [
        (sibling("9", "55cc", -10), Cause::Rollout),
        (sibling("9", "7d9f", -3600), Cause::ScaleDown),
        (sibling("9", "7d9f", 0), Cause::PodDeletion),
        (sibling("9", "55cc", -7200), Cause::Deletion),
    ] {
        let mut watch = Watch::new();
        watch.apply(-50.0, &other);
        let stop = only(watch.whole(&running(), 15, &[container("app", 0, "Completed", 5)], 5));
        assert_eq!(stop.cause, cause);
    }
}

#[test]
fn a_caller_with_a_shorter_grace_period_answers_for_the_end() {
    for (exit_code, end, outcome, promise) in [
        (137, 5, Outcome::CutShort, Promise::NotJudged),
        (1, 3, Outcome::Failed, Promise::NotJudged),
        (0, 3, Outcome::Clean, Promise::Honoured),
    ] {
        let stop = only(Watch::new().whole(&running(), 3, &[container("app", exit_code, "Error", end)], end));
        assert_eq!((stop.outcome, stop.promise()), (outcome, promise), "{stop}");
    }
}

#[test]
fn the_time_of_an_end_without_statuses_is_that_of_the_first_sign() {
    let unready = json!({"type": "Ready", "status": "False", "lastTransitionTime": super::time(2)});
    let lost = json!({"name": "app", "state": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}});
    for (conditions, at, earliest) in [
        (json!([unready]), 2, 2),
        (json!([disruption("TerminationByKubelet"), unready]), 2, 2),
        (json!([disruption("TerminationByKubelet")]), 0, 0),
        // Another observer can have seen it at any time before.
        (json!([]), 4, -3600),
    ] {
        let mut watch = Watch::new();
        watch.apply(-5.0, &with(running(), &json!({"metadata": {"uid": "3", "creationTimestamp": super::time(-5)}})));
        watch.apply(-1.0, &running());
        let pod = with(
            ended(running(), std::slice::from_ref(&lost)),
            &json!({"status": {"conditions": conditions, "reason": "Evicted"}}),
        );
        let stop = only(watch.apply(4.0, &pod));
        let times = [stop.at, stop.end.earliest].map(|time| time.as_second() - super::REQUESTED);
        assert_eq!(times, [at, earliest], "{conditions}");
    }
}
