//! Three clocks: the API server's, the node's and the observer's.

use serde_json::{Value, json};

use super::{Outcome, REQUESTED, Stop, Timestamp, Watch, container, deleted, ended, only, running, time, with};
use crate::duration::Seconds;
use crate::observation::Unseen;

/// Outcome, duration and whether the clocks disagree, for an end by the node's clock and when it was seen.
fn stop(exit_code: i32, finished: i32, seen: f64) -> (Outcome, Option<i64>, bool) {
    let mut watch = Watch::new();
    watch.apply(-1.0, &running());
    watch.apply(0.0, &deleted(running(), 15));
    let end = ended(deleted(running(), 15), &[container("app", exit_code, "Error", finished)]);
    let stop = only(watch.apply(seen, &end));
    (stop.outcome, stop.duration.map(Seconds::as_i64), stop.clocks_disagree)
}

#[test]
fn the_time_of_the_node_counts_within_what_was_seen() {
    for (exit_code, finished, seen, expected) in [
        (0, 6, 8.0, (Outcome::Clean, Some(6), false)),
        (0, -1, 1.0, (Outcome::Clean, Some(0), false)),
        // Whole seconds: up to one more than was seen.
        (0, 7, 6.2, (Outcome::Clean, Some(7), false)),
        (0, 8, 6.2, (Outcome::Clean, Some(7), false)),
        (137, 15, 17.0, (Outcome::Killed, Some(15), false)),
    ] {
        assert_eq!(stop(exit_code, finished, seen), expected, "{finished} {seen}");
    }
}

#[test]
fn the_observer_s_clock_counts_where_the_node_s_is_wrong() {
    for (exit_code, finished, seen, expected) in [
        (0, 3600, 8.0, (Outcome::Clean, Some(8), true)),
        (0, -3600, 8.0, (Outcome::Clean, Some(8), true)),
        (137, 3615, 16.5, (Outcome::Killed, Some(17), true)),
        (137, -3585, 16.5, (Outcome::Killed, Some(17), true)),
        (137, 3606, 8.0, (Outcome::KilledOtherwise, Some(8), true)),
    ] {
        assert_eq!(stop(exit_code, finished, seen), expected, "{finished} {seen}");
    }
}

#[test]
fn a_wrong_clock_without_a_second_one_leaves_the_kill_open() {
    let mut watch = Watch::new();
    watch.list(1.0, &[&deleted(running(), 15)]);
    let end = ended(deleted(running(), 15), &[container("app", 137, "Error", -3600)]);
    let stop = only(watch.apply(17.0, &end));
    assert_eq!((stop.outcome, stop.duration), (Outcome::Unknown(Unseen::Clocks), None));
}

#[test]
fn the_ends_of_several_containers_keep_their_distance() {
    let containers = json!([{"name": "app"}, {"name": "proxy"}]);
    let running_both = json!({"status": {"containerStatuses": [
        {"name": "app", "state": {"running": {}}}, {"name": "proxy", "state": {"running": {}}}]}});
    let pod = with(with(running(), &json!({"spec": {"containers": containers}})), &running_both);
    let mut watch = Watch::new();
    watch.apply(-1.0, &pod);
    watch.apply(0.0, &deleted(pod.clone(), 15));
    let statuses = [container("app", 0, "Completed", 1006), container("proxy", 137, "Error", 1015)];
    let stop = only(watch.apply(16.0, &ended(deleted(pod, 15), &statuses)));
    let durations: Vec<_> = stop.containers.iter().map(|it| it.duration.map(Seconds::as_i64)).collect();
    assert_eq!((durations, stop.clocks_disagree), (vec![Some(7), Some(16)], true));
}

#[test]
fn the_end_for_the_ledger_is_that_of_the_containers_for_every_observer() {
    let early = ended(deleted(running(), 15), &[container("app", 0, "Completed", 6)]);
    let last = super::removed(early.clone(), 8);
    let finished = Timestamp::from_second(REQUESTED + 6);
    let mut live = Watch::new();
    live.apply(-1.0, &running());
    live.apply(0.1, &deleted(running(), 15));
    let mut late = Watch::new();
    for stop in [only(live.apply(7.0, &early)), only(late.list(7.5, &[&last]))] {
        assert_eq!(stop.at, finished);
        assert!(stop.end.earliest <= finished && finished <= stop.end.latest, "{:?}", stop.end);
    }
}

/// The same stop for an observer that sees only lists or everything, and that sees the end or misses it.
fn observed(end: &Value, lists: bool, misses: bool) -> Stop {
    let mut watch = Watch::new();
    watch.list(-2.0, &[&running()]);
    if lists {
        watch.list(0.1, &[&deleted(running(), 15)]);
    } else {
        watch.apply(-1.0, &with(running(), &json!({"metadata": {"uid": "3", "creationTimestamp": time(-1)}})));
        watch.apply(0.1, &deleted(running(), 15));
    }
    only(match (misses, lists) {
        (true, _) => watch.list(8.0, &[]),
        (false, true) => watch.list(7.0, &[end]),
        (false, false) => watch.apply(7.0, end),
    })
}

#[test]
fn one_that_sees_the_end_and_one_that_misses_it_agree_for_the_ledger_whatever_the_clock_of_the_node() {
    for skew in [-3600, -5, -1, 0, 1, 5, 60, 3600] {
        let end = ended(deleted(running(), 15), &[container("app", 0, "Completed", 6 + skew)]);
        let missed = observed(&end, false, true).end;
        for lists in [false, true] {
            let seen = observed(&end, lists, false).end;
            assert!(seen.earliest <= missed.latest && missed.earliest <= seen.latest, "{skew}: {seen:?} {missed:?}");
        }
    }
}

#[test]
fn a_deletion_that_arrives_late_was_not_seen() {
    for (delay, measured) in [(1.0, Seconds::new(12)), (3.0, Seconds::new(15)), (20.0, Seconds::new(15))] {
        let mut watch = Watch::new();
        watch.list(-70.0, &[&running()]);
        // This one tells the time.
        watch.apply(-60.0, &with(running(), &json!({"metadata": {"uid": "3", "creationTimestamp": time(-60)}})));
        watch.apply(delay, &deleted(running(), 15));
        // The connection was silent, and everything arrives at once.
        let end = ended(deleted(running(), 15), &[container("app", 137, "Error", 15)]);
        let stop = only(watch.apply(delay.max(12.5), &end));
        assert_eq!((stop.duration, stop.clocks_disagree), (Some(measured), measured < Seconds::new(15)), "{delay}");
    }
}

#[test]
fn an_old_time_in_a_new_event_does_not_tell_the_time() {
    let evicted = with(ended(running(), &[container("app", 0, "Completed", 60)]), &json!({"metadata": {"uid": "3"}}));
    let unready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    for old in [running(), deleted(running(), 15)] {
        let mut watch = Watch::new();
        let standing = with(running(), &json!({"metadata": {"uid": "3"}}));
        watch.list(50.0, &[&old, &standing]);
        watch.apply(55.0, &with(old, &unready));
        let stop = only(watch.apply(61.0, &evicted));
        assert_eq!(stop.end.earliest, stop.at, "otherwise it may have been counted before");
    }
}

#[test]
fn an_end_that_was_missed_is_reported_only_if_the_time_of_the_api_server_is_known() {
    let mut watch = Watch::new();
    watch.list(1.0, &[&deleted(running(), 15)]);
    // It can have ended at any time until now, however late its kubelet was.
    assert_eq!(watch.list(1000.0, &[]), []);
    assert_eq!(watch.observer.counts().missed, 1);
    let mut watch = Watch::new();
    watch.apply(-1.0, &running());
    watch.apply(0.1, &deleted(running(), 15));
    let stop = only(watch.list(1000.0, &[]));
    assert_eq!(stop.outcome, Outcome::Unknown(Unseen::End));
    assert!(stop.end.latest >= Timestamp::from_second(REQUESTED + 1000));
}
