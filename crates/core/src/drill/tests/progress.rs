//! The lines of the timeline, from what the watches report.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Mark, Moment, Progress, Promised};
use crate::duration::Seconds;
use crate::observation::{EndpointSliceView, PodView};

const UID: &str = "8b4d";

fn promised() -> Promised {
    Promised { hook: Some(Seconds::new(5)), deadline: Some(Seconds::new(25)), grace_period: Seconds::new(35) }
}

fn progress() -> Progress {
    Progress::new(UID, promised())
}

/// A pod with two containers, of which these have ended.
fn pod(uid: &str, deleted: bool, ended: &[(&str, i32, &str)]) -> PodView {
    let status = |(name, exit_code, reason): &(&str, i32, &str)| json!({"name": name, "state": {"terminated": {"exitCode": exit_code, "reason": reason}}});
    let mut pod = json!({
        "metadata": {"name": "web-a", "uid": uid},
        "spec": {"terminationGracePeriodSeconds": 35, "containers": [{"name": "app"}, {"name": "proxy"}]},
        "status": {"containerStatuses": ended.iter().map(status).collect::<Vec<_>>()},
    });
    if deleted {
        pod["metadata"]["deletionTimestamp"] = "2026-01-31T21:00:38Z".into();
        pod["metadata"]["deletionGracePeriodSeconds"] = 35.into();
    }
    serde_json::from_value(pod).unwrap()
}

/// A slice with an endpoint of another pod, and one of this.
fn slice(uid: &str, ready: &Value) -> EndpointSliceView {
    let endpoint = |uid: &str, ready: &Value| json!({"conditions": {"ready": ready}, "targetRef": {"uid": uid}});
    let endpoints = json!([endpoint("another", &json!(false)), {"conditions": {"ready": false}}, endpoint(uid, ready)]);
    serde_json::from_value(json!({"metadata": {"name": "web-x"}, "endpoints": endpoints})).unwrap()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lines(marks: impl IntoIterator<Item = Mark>) -> Vec<String> {
    marks.into_iter().map(|mark| mark.to_string()).collect()
}

#[test]
fn the_timeline_of_a_stop_is_in_order_and_has_each_line_once() {
    let mut progress = progress();
    let mut all = Vec::new();
    all.extend(progress.see(&pod(UID, false, &[]), at(0)));
    assert!(!progress.is_deleted());
    all.extend(progress.see(&pod(UID, true, &[]), at(1)));
    assert!(progress.is_deleted());
    all.extend(progress.see_slice(&slice(UID, &json!(false)), at(2)));
    all.extend(progress.see_slice(&slice(UID, &json!(false)), at(3)));
    all.extend(progress.see_event("killing", 1, "Killing", "Stopping container app", at(3)));
    all.extend(progress.see(&pod(UID, true, &[("proxy", 0, "Completed")]), at(6)));
    let both = [("app", 143, ""), ("proxy", 0, "Completed")];
    all.extend(progress.see(&pod(UID, true, &both), at(7)));
    all.extend(progress.see(&pod(UID, true, &both), at(8)));
    all.push(Progress::removed(at(9)));
    let expected = [
        "   1.0 s             the pod is stopping, with a grace period of 35s",
        "   2.0 s             its endpoint is no longer ready",
        "   3.0 s             Killing: Stopping container app",
        "   6.0 s  <= 30s     proxy ended with exit code 0 (Completed)",
        "   7.0 s  <= 30s     app ended with exit code 143",
        "   9.0 s             the pod is removed",
    ];
    assert_eq!(lines(all), expected);
}

#[test]
fn an_end_of_the_app_is_late_after_its_promised_end() {
    let ended = |milliseconds| {
        let mut progress = progress();
        progress.see(&pod(UID, true, &[]), at(0));
        progress.see(&pod(UID, true, &[("app", 0, "")]), Duration::from_millis(milliseconds))
    };
    // The hook of 5 s and the deadline of 25 s, and a second for the precision of the API.
    for (milliseconds, late) in [(29_900, false), (31_000, false), (31_100, true)] {
        let marks = ended(milliseconds);
        assert_eq!(marks[0].is_late(), late, "{milliseconds}");
        assert_eq!(marks[0].to_string().ends_with("exit code 0, later than promised"), late, "{marks:?}");
    }
}

#[test]
fn a_helper_that_ends_after_the_app_is_not_late() {
    let mut progress = progress();
    let mut pod = json!({
        "metadata": {"name": "web-a", "uid": UID, "deletionTimestamp": "2026-01-31T21:00:38Z",
            "annotations": {"winddown.dev/injected": json!({"v": 2, "template": "4d3875ae84dc27e1",
                "declared": "containers=app", "resolved": "drain=5s deadline=25s margin=5s"}).to_string()}},
        "spec": {"terminationGracePeriodSeconds": 35, "containers": [{"name": "app"}, {"name": "logs"}]},
    });
    let ended = |name: &str| json!({"name": name, "state": {"terminated": {"exitCode": 0}}});
    pod["status"] = json!({"containerStatuses": [ended("app"), ended("logs")]});
    let marks = progress.see(&serde_json::from_value(pod).unwrap(), at(34));
    let late: Vec<_> = marks.iter().map(|mark| (mark.promised.is_some(), mark.is_late())).collect();
    assert_eq!(late[1..], [(true, true), (false, false)], "{marks:?}");
}

#[test]
fn another_pod_of_the_same_name_is_ignored() {
    let mut progress = progress();
    assert_eq!(progress.see(&pod("another", true, &[("app", 1, "Error")]), at(1)), []);
    assert!(!progress.is_deleted());
    progress.see(&pod(UID, true, &[]), at(2));
    assert_eq!(progress.see(&pod("another", true, &[("app", 1, "Error")]), at(3)), []);
    assert_eq!(progress.see_slice(&slice("another", &json!(false)), at(3)), None);
    assert_eq!(progress.see(&pod(UID, true, &[("app", 1, "Error")]), at(4)).len(), 1);
}

#[test]
fn what_has_ended_before_the_pod_stops_is_shown_with_its_deletion() {
    let mut progress = progress();
    assert_eq!(progress.see(&pod(UID, false, &[("proxy", 1, "Error")]), at(1)), []);
    let found = lines(progress.see(&pod(UID, true, &[("proxy", 1, "Error")]), at(2)));
    assert_eq!(found.len(), 2);
    assert!(found[1].ends_with("proxy ended with exit code 1 (Error)"), "{found:?}");
}

#[test]
fn an_endpoint_that_is_withdrawn_before_the_pod_is_seen_to_stop_is_shown_after_that() {
    let mut progress = progress();
    assert_eq!(progress.see_slice(&slice(UID, &json!(false)), at(1)), None);
    let moments: Vec<_> = progress.see(&pod(UID, true, &[]), at(2)).into_iter().map(|mark| mark.moment).collect();
    assert_eq!(moments, [Moment::Deleted { grace_period: Seconds::new(35) }, Moment::Withdrawn]);
    assert_eq!(progress.see_slice(&slice(UID, &json!(false)), at(3)), None);
}

#[test]
fn an_endpoint_that_is_ready_again_is_not_withdrawn() {
    for ready in [json!(true), json!(null)] {
        let mut progress = progress();
        assert_eq!(progress.see_slice(&slice(UID, &json!(false)), at(1)), None);
        assert_eq!(progress.see_slice(&slice(UID, &ready), at(1)), None);
        assert_eq!(progress.see(&pod(UID, true, &[]), at(2)).len(), 1);
        assert_eq!(progress.see_slice(&slice(UID, &ready), at(2)), None);
        assert_eq!(progress.see_slice(&slice(UID, &json!(false)), at(3)).unwrap().at, at(3));
    }
}

#[test]
fn each_count_of_an_event_is_shown_once_and_none_from_before() {
    let mut progress = progress();
    assert_eq!(progress.see_event("killing", 1, "Killing", "", at(0)), None);
    progress.see(&pod(UID, true, &[]), at(1));
    assert_eq!(progress.see_event("started", 1, "Started", "", at(2)), None, "an Event of the start, listed late");
    let mut see = |name: &str, count: i64| progress.see_event(name, count, "FailedPreStopHook", "x", at(2)).is_some();
    assert!(!see("killing", 1));
    assert!(see("failed", 1));
    assert!(!see("failed", 1));
    assert!(see("failed", 3));
    assert!(!see("failed", 3));
    assert!(see("other", 1));
}

#[test]
fn no_more_events_are_told_apart_than_the_limit() {
    let mut progress = progress();
    progress.see(&pod(UID, true, &[]), at(1));
    let shown = (0..3_000).filter(|number| progress.see_event(&number.to_string(), 1, "Killing", "m", at(2)).is_some());
    assert_eq!(shown.count(), 1_000);
    assert!(progress.see_event("7", 2, "Killing", "m", at(3)).is_some());
}

#[test]
fn texts_of_others_are_one_short_line() {
    let long = format!("first\nsecond\u{1b}[31m{}", "x".repeat(10_000));
    let moments = [
        Moment::Event { reason: long.clone(), message: long.clone() },
        Moment::Ended { container: long.clone(), exit_code: 1, reason: long },
    ];
    for moment in moments {
        let text = Mark { at: at(1), promised: None, moment }.to_string();
        assert!(text.chars().all(|c| !c.is_control()) && text.chars().count() < 400, "{text}");
    }
}

#[test]
fn a_promise_is_one_line_with_its_end() {
    let seconds = |number| Some(Seconds::new(number));
    for (hook, deadline, grace, text, end) in [
        (seconds(5), seconds(25), 35, "preStop hook 5s, then at most 25s for the app, SIGKILL after 35s", seconds(30)),
        (seconds(0), seconds(25), 30, "no preStop hook, then at most 25s for the app, SIGKILL after 30s", seconds(25)),
        (seconds(5), None, 30, "preStop hook 5s, SIGKILL after 30s", seconds(30)),
        (None, None, 30, "a preStop hook of unknown length, SIGKILL after 30s", seconds(30)),
        (
            None,
            seconds(25),
            35,
            "a preStop hook of unknown length, then at most 25s for the app, SIGKILL after 35s",
            None,
        ),
        // A hook that the owner wrote leaves less than the deadline.
        (
            seconds(20),
            seconds(25),
            35,
            "preStop hook 20s, then at most 25s for the app, SIGKILL after 35s",
            seconds(35),
        ),
    ] {
        let promised = Promised { hook, deadline, grace_period: Seconds::new(grace) };
        assert_eq!((promised.to_string().as_str(), promised.end()), (text, end));
    }
}
