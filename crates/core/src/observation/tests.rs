//! What an observer makes of sequences of events. The times in them are seconds after the deletion request.

mod causes;
mod clocks;
mod containers;
mod drains;
mod standing;
mod withdrawal;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Cause, Counts, Event, Observer, Outcome, PodView, Stop, Timestamp, Unseen};
use crate::duration::Seconds;

/// The time of the deletion request.
const REQUESTED: i64 = 1_770_000_000;

/// The time this many seconds after the request.
fn time(seconds: i64) -> Value {
    json!(Timestamp::from_second(REQUESTED + seconds))
}

/// A running pod of the Deployment web, with a preStop sleep of 5 s and a grace period of 15 s.
fn running() -> Value {
    json!({
        "metadata": {
            "uid": "1", "name": "web-7d9f-x2", "namespace": "shop", "generation": 1, "creationTimestamp": time(-3600),
            "labels": {"pod-template-hash": "7d9f", "winddown.dev/managed": "true"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9f", "uid": "2", "controller": true},
            ],
        },
        "spec": {
            "terminationGracePeriodSeconds": 15,
            "containers": [{"name": "app", "lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}],
        },
        "status": {
            "phase": "Running",
            "observedGeneration": 1,
            "containerStatuses": [{"name": "app", "state": {"running": {"startedAt": time(-3600)}}}],
        },
    })
}

/// A JSON merge patch.
fn with(mut pod: Value, patch: &Value) -> Value {
    json_patch::merge(&mut pod, patch);
    pod
}

/// With a deletion request at 0.
fn deleted(pod: Value, grace: i64) -> Value {
    let deletion = json!({"deletionTimestamp": time(grace), "deletionGracePeriodSeconds": grace, "generation": 2});
    with(pod, &json!({"metadata": deletion}))
}

fn container(name: &str, exit_code: i32, reason: &str, finished: i32) -> Value {
    let end =
        json!({"exitCode": exit_code, "reason": reason, "startedAt": time(-3600), "finishedAt": time(finished.into())});
    json!({"name": name, "state": {"terminated": end}})
}

/// In a terminal phase, with these statuses.
fn ended(pod: Value, statuses: &[Value]) -> Value {
    with(pod, &json!({"status": {"phase": "Failed", "containerStatuses": statuses}}))
}

/// As the kubelet's last write and the removal show it.
fn removed(pod: Value, at: i64) -> Value {
    with(pod, &json!({"metadata": {"deletionTimestamp": time(at), "deletionGracePeriodSeconds": 0, "generation": 3}}))
}

/// An observer and its clock, which shows the seconds after the request plus a constant.
struct Watch {
    observer: Observer,
    start: Instant,
}

impl Watch {
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant; only differences count")]
    fn new() -> Self {
        Self { observer: Observer::default(), start: Instant::now() }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(1000.0 + seconds)
    }

    fn see(&mut self, at: f64, event: Event<'_>) -> Vec<Stop> {
        let now = self.at(at);
        self.observer.see(event, now)
    }

    /// A list that contains these pods.
    fn list(&mut self, at: f64, pods: &[&Value]) -> Vec<Stop> {
        let mut stops = self.see(at, Event::Init);
        for pod in pods {
            stops.extend(self.see(at, Event::InitApply(&view(pod))));
        }
        stops.extend(self.see(at, Event::InitDone));
        stops
    }

    fn apply(&mut self, at: f64, pod: &Value) -> Vec<Stop> {
        self.see(at, Event::Apply(&view(pod)))
    }

    fn delete(&mut self, at: f64, pod: &Value) -> Vec<Stop> {
        self.see(at, Event::Delete(&view(pod)))
    }

    /// A whole stop: the deletion, the kubelet's start, the end, the last write and the removal.
    fn whole(&mut self, pod: &Value, grace: i64, statuses: &[Value], end: i32) -> Vec<Stop> {
        let deleted = deleted(pod.clone(), grace);
        let acknowledged = with(deleted.clone(), &json!({"status": {"observedGeneration": 2}}));
        let ended = ended(acknowledged.clone(), statuses);
        let mut stops = self.apply(-100.0, pod);
        stops.extend(self.apply(0.1, &deleted));
        stops.extend(self.apply(0.4, &acknowledged));
        stops.extend(self.apply(f64::from(end) + 1.0, &ended));
        let gone = removed(ended, i64::from(end) + 1);
        stops.extend(self.apply(f64::from(end) + 1.2, &gone));
        stops.extend(self.delete(f64::from(end) + 1.2, &gone));
        stops
    }
}

fn view(pod: &Value) -> PodView {
    serde_json::from_value(pod.clone()).unwrap()
}

fn only(stops: Vec<Stop>) -> Stop {
    let [stop] = <[Stop; 1]>::try_from(stops).unwrap();
    stop
}

#[test]
fn a_whole_sequence_is_one_stop() {
    let mut watch = Watch::new();
    let stop = only(watch.whole(&running(), 15, &[container("app", 143, "Error", 11)], 11));
    assert_eq!(stop.to_string(), "2026-02-02T02:40:11Z web-7d9f-x2 Deletion: 11s of 15s, app 6s, exit code 143");
    assert_eq!((stop.workload.to_string().as_str(), &*stop.template), ("Deployment shop/web", "7d9f"));
    assert_eq!((stop.uid.as_str(), stop.budget, stop.clocks_disagree), ("1", None, false));
    assert_eq!(watch.observer.counts(), Counts::default());
    assert_eq!(watch.observer.tracked(), 0);
}

#[test]
fn the_first_request_and_the_smallest_grace_period_count() {
    let mut watch = Watch::new();
    watch.apply(-1.0, &running());
    watch.apply(0.1, &deleted(running(), 15));
    // A second deletion after 4 s. Its end would lie in the past, so the API server sets now plus 1 s.
    let shorter = json!({"metadata": {"deletionTimestamp": time(5), "deletionGracePeriodSeconds": 1}});
    let shorter = with(deleted(running(), 15), &shorter);
    watch.apply(4.1, &shorter);
    let stop = only(watch.apply(6.0, &ended(shorter, &[container("app", 137, "Error", 5)])));
    assert_eq!(stop.outcome, Outcome::CutShort);
    let text = "CutShort, 5s of 1s, shortened from 15s to 1s by the deletion, app 0s, exit code 137";
    assert!(stop.to_string().ends_with(text), "{stop}");
}

#[test]
fn the_removal_closes_a_stop_whose_end_was_not_seen_with_the_final_statuses() {
    let mut watch = Watch::new();
    watch.list(-1.0, &[&running()]);
    watch.apply(0.1, &deleted(running(), 15));
    let gone = removed(ended(running(), &[container("app", 0, "Completed", 6)]), 7);
    let stop = only(watch.delete(7.1, &gone));
    assert_eq!((stop.outcome, stop.duration.map(Seconds::as_i64)), (Outcome::Clean, Some(6)));
}

#[test]
fn a_pod_that_leaves_the_selector_is_no_stop() {
    for left in [running(), deleted(running(), 15)] {
        let mut watch = Watch::new();
        watch.apply(-1.0, &running());
        watch.apply(0.1, &left);
        assert_eq!(watch.delete(1.0, &left), []);
        assert_eq!(watch.observer.counts(), Counts { lost_sight: 1, ..Counts::default() });
        assert_eq!(watch.observer.tracked(), 0);
    }
}

#[test]
fn a_list_without_a_pod_is_its_end_if_its_deletion_was_seen() {
    let mut watch = Watch::new();
    let standing = with(running(), &json!({"metadata": {"uid": "3", "name": "web-7d9f-x3"}}));
    watch.list(-1.0, &[&running(), &standing]);
    watch.apply(0.1, &deleted(running(), 15));
    let stop = only(watch.list(70.0, &[]));
    assert_eq!((stop.uid.as_str(), stop.outcome), ("1", Outcome::Unknown(Unseen::End)));
    assert_eq!(stop.end.earliest.as_second(), REQUESTED);
    assert!(stop.end.latest.as_second() >= REQUESTED + 70, "not later than the list: {:?}", stop.end);
    assert_eq!(watch.observer.counts(), Counts { missed: 1, relists: 1, ..Counts::default() });
    assert_eq!((watch.list(80.0, &[]), watch.observer.tracked()), (vec![], 0));
}

#[test]
fn a_list_that_is_begun_again_ends_nothing() {
    let mut watch = Watch::new();
    watch.list(-1.0, &[&running()]);
    watch.see(0.0, Event::Init);
    assert_eq!(watch.list(1.0, &[&running()]), []);
    assert_eq!((watch.observer.counts().missed, watch.observer.tracked()), (0, 1));
}

#[test]
fn a_terminal_pod_in_the_first_list_is_a_stop_and_no_second_one_later() {
    let mut watch = Watch::new();
    let evicted = ended(running(), &[container("app", 137, "Error", 3)]);
    let evicted = with(evicted, &json!({"status": {"reason": "Evicted"}}));
    let stop = only(watch.list(1000.0, &[&evicted]));
    assert_eq!((stop.cause, stop.at.as_second()), (Cause::NodePressure, REQUESTED + 3));
    assert_eq!((stop.end.earliest, stop.end.latest), (stop.at, stop.at));
    assert_eq!(watch.apply(1001.0, &evicted), []);
    assert_eq!(watch.list(1002.0, &[&evicted]), []);
    assert_eq!(watch.delete(1003.0, &removed(evicted, 1003)), []);
    assert_eq!(watch.observer.counts(), Counts { relists: 1, ..Counts::default() });
}

#[test]
fn a_restart_by_the_kubelet_is_no_stop() {
    let mut watch = Watch::new();
    watch.apply(-1.0, &running());
    let killed = container("app", 137, "Error", 1);
    let restarted = json!([{"name": "app", "state": {"running": {}}, "lastState": killed["state"], "restartCount": 1}]);
    assert_eq!(watch.apply(2.0, &with(running(), &json!({"status": {"containerStatuses": [killed]}}))), []);
    assert_eq!(watch.apply(3.0, &with(running(), &json!({"status": {"containerStatuses": restarted}}))), []);
}

#[test]
fn a_pod_that_never_ran_is_no_stop() {
    let rejected = json!({"status": {"phase": "Failed", "reason": "OutOfcpu", "containerStatuses": []}});
    let waiting = json!({"status": {"containerStatuses": [{"name": "app", "state": {"waiting": {}}}]}});
    let placeholder = json!({"name": "app", "state": {"terminated": {"exitCode": 137, "finishedAt": null,
        "reason": "ContainerStatusUnknown"}}});
    let mut watch = Watch::new();
    assert_eq!(watch.list(0.0, &[&with(running(), &rejected)]), []);
    let mut watch = Watch::new();
    assert_eq!(watch.whole(&with(running(), &waiting), 15, std::slice::from_ref(&placeholder), 2), []);
    // One that ran before is a stop whose end is not known.
    let stop = only(watch.whole(&running(), 15, &[placeholder], 2));
    assert_eq!(stop.outcome, Outcome::Unknown(Unseen::Status));
}

#[test]
fn a_successor_with_the_same_name_is_another_pod() {
    let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "2", "controller": true}]);
    let pod = |uid: &str| {
        let metadata = json!({"uid": uid, "name": "db-0", "ownerReferences": owner});
        with(running(), &json!({"metadata": metadata}))
    };
    let mut watch = Watch::new();
    watch.apply(-1.0, &pod("1"));
    watch.apply(0.1, &deleted(pod("1"), 15));
    // The removal of the first one is not seen.
    watch.apply(9.0, &pod("2"));
    let stop = only(watch.list(10.0, &[&pod("2")]));
    assert_eq!((stop.uid.as_str(), stop.workload.to_string().as_str()), ("1", "StatefulSet shop/db"));
    assert_eq!(watch.observer.tracked(), 1);
}

#[test]
fn pods_beyond_the_limit_and_of_other_kinds_are_not_tracked() {
    let mut watch = Watch::new();
    watch.observer = Observer::with_limit(1);
    let job = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "import", "uid": "2", "controller": true}]);
    watch.apply(0.0, &with(running(), &json!({"metadata": {"ownerReferences": job}})));
    assert_eq!((watch.observer.tracked(), watch.observer.counts().untracked), (0, 0));
    watch.apply(0.0, &with(running(), &json!({"metadata": {"uid": ""}})));
    watch.apply(0.0, &with(running(), &json!({"metadata": {"uid": "9".repeat(1000)}})));
    assert_eq!(watch.observer.tracked(), 0);
    for uid in ["1", "2", "1"] {
        watch.apply(0.0, &with(running(), &json!({"metadata": {"uid": uid}})));
    }
    assert_eq!((watch.observer.tracked(), watch.observer.counts().untracked), (1, 1));
}

#[test]
fn a_tracked_pod_is_small() {
    assert!(size_of::<super::tracked::Tracked>() <= 112, "{}", size_of::<super::tracked::Tracked>());
}
