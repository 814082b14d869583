//! Which containers decide, and how long the app took.

use serde_json::{Value, json};

use super::super::{History, Promise, Recommendation, Stop};
use super::{Outcome, Watch, container, deleted, only, running, with};
use crate::annotations::INJECTED;
use crate::duration::Seconds;
use crate::plan::lanes::Role;

/// A pod with these containers, all of them running.
fn pod(containers: &Value) -> Value {
    let names = containers.as_array().unwrap().iter().map(|container| &container["name"]);
    let statuses: Vec<_> = names.map(|name| json!({"name": name, "state": {"running": {}}})).collect();
    with(running(), &json!({"spec": {"containers": containers}, "status": {"containerStatuses": statuses}}))
}

fn record(declared: &str) -> Value {
    let record = json!({"v": 1, "template": "0", "declared": declared, "resolved": "drain=5s deadline=4s margin=5s"});
    json!({"metadata": {"annotations": {INJECTED: record.to_string()}}})
}

#[test]
fn the_app_decides_and_its_helpers_are_named() {
    let app = json!({"name": "app", "ports": [{"containerPort": 80}]});
    let pod = pod(&json!([app, {"name": "istio-proxy", "image": "istio/proxyv2:1.29"}]));
    let statuses = [container("app", 0, "Completed", 6), container("istio-proxy", 137, "Error", 15)];
    let stop = only(Watch::new().whole(&pod, 15, &statuses, 15));
    assert_eq!((stop.outcome, stop.promise()), (Outcome::Clean, Promise::Honoured));
    assert_eq!(stop.containers.iter().map(|container| container.role).collect::<Vec<_>>(), [Role::App, Role::Helper]);
    let line = "15s of 15s, app 6s, exit code 0, helper istio-proxy killed";
    assert!(stop.to_string().ends_with(line), "{stop}");
}

#[test]
fn the_worst_app_decides() {
    let pod = pod(&json!([{"name": "web"}, {"name": "worker"}]));
    for (statuses, outcome, decisive) in [
        ([container("web", 0, "Completed", 6), container("worker", 1, "Error", 7)], Outcome::Failed, "worker"),
        ([container("web", 137, "Error", 15), container("worker", 1, "Error", 7)], Outcome::Killed, "web"),
    ] {
        let stop = only(Watch::new().whole(&pod, 15, &statuses, 15));
        assert_eq!((stop.outcome, stop.decisive().map(|app| app.name.as_str())), (outcome, Some(decisive)));
    }
}

#[test]
fn the_record_names_the_containers_of_the_app_and_the_numbers_of_its_budget() {
    let pod = pod(&json!([{"name": "web"}, {"name": "worker"}]));
    let statuses = [container("web", 137, "Error", 15), container("worker", 0, "Completed", 9)];
    let stop = only(Watch::new().whole(&with(pod, &record("drain=5s containers=worker")), 15, &statuses, 15));
    let roles: Vec<_> = stop.containers.iter().map(|container| container.role).collect();
    assert_eq!((stop.outcome, roles), (Outcome::Clean, vec![Role::Helper, Role::App]));
    assert_eq!(stop.budget.map(|budget| budget.deadline.as_i64()), Some(4));
    let unreadable = with(running(), &json!({"metadata": {"annotations": {INJECTED: "{}"}}}));
    assert_eq!(only(Watch::new().whole(&unreadable, 15, &statuses[1..], 9)).budget, None);
}

#[test]
fn an_app_that_exits_after_its_deadline_overran() {
    let pod = with(running(), &record("drain=5s"));
    for (end, promise) in
        [(9, Promise::Honoured), (10, Promise::Honoured), (11, Promise::Overran), (13, Promise::Overran)]
    {
        let stop = only(Watch::new().whole(&pod, 15, &[container("app", 0, "Completed", end)], end));
        assert_eq!((stop.outcome, stop.promise()), (Outcome::Clean, promise), "{end}");
    }
}

fn hook(hook: &Value) -> Value {
    pod(&json!([{"name": "app", "lifecycle": {"preStop": hook}}]))
}

/// A stop with a grace period of 15 s whose kubelet started after `acknowledged`, and whose app ended after `end`.
fn ended_after(pod: &Value, acknowledged: f64, exit_code: i32, end: i32) -> Stop {
    let mut watch = Watch::new();
    watch.apply(-1.0, pod);
    watch.apply(0.1, &deleted(pod.clone(), 15));
    let pod = with(deleted(pod.clone(), 15), &json!({"status": {"observedGeneration": 2}}));
    watch.apply(0.1 + acknowledged, &pod);
    only(watch.apply(f64::from(end) + 4.0, &super::ended(pod, &[container("app", exit_code, "Error", end)])))
}

#[test]
fn the_time_of_the_app_is_without_the_hook_and_the_start_of_the_kubelet() {
    let sleep = json!({"sleep": {"seconds": 5}});
    for (pod, acknowledged, end, expected) in [
        (hook(&sleep), 0.4, 11, Some(6)),
        (hook(&sleep), 2.3, 11, Some(4)),
        // It exited during its sleep.
        (hook(&sleep), 0.4, 3, Some(0)),
        (pod(&json!([{"name": "app"}])), 0.4, 11, Some(11)),
        (hook(&json!({"exec": {"command": ["stop"]}})), 0.4, 11, None),
    ] {
        let stop = ended_after(&pod, acknowledged, 0, end);
        assert_eq!(stop.app_time.map(Seconds::as_i64), expected, "{pod}");
    }
}

#[test]
fn a_start_of_the_kubelet_that_was_not_seen_in_time_takes_nothing_from_the_time_of_the_app() {
    enum Acknowledged {
        Never,
        InAList,
        WithTheEnd,
        /// The connection was silent, and everything arrives at once.
        Late,
    }
    use Acknowledged::{InAList, Late, Never, WithTheEnd};
    for acknowledged in [Never, InAList, WithTheEnd, Late] {
        let mut watch = Watch::new();
        let pod = with(running(), &record("drain=5s"));
        watch.apply(-1.0, &pod);
        let pod = deleted(pod, 15);
        watch.apply(0.1, &pod);
        let started = with(pod.clone(), &json!({"status": {"observedGeneration": 2}}));
        let pod = match &acknowledged {
            Never => pod,
            InAList => {
                watch.list(12.0, &[&started]);
                started
            }
            WithTheEnd => started,
            Late => {
                watch.apply(17.0, &started);
                started
            }
        };
        let seen = if matches!(acknowledged, Late) { 17.0 } else { 13.4 };
        let stop = only(watch.apply(seen, &super::ended(pod, &[container("app", 0, "Completed", 13)])));
        // The node may have been busy, so it is not known whether the app needed more than its deadline of 4 s.
        assert_eq!((stop.app_time, stop.promise()), (Some(Seconds::new(8)), Promise::Honoured));
    }
}

#[test]
fn a_kill_says_only_what_the_grace_period_left_for_the_app() {
    let sleep = |seconds: i64| hook(&json!({"sleep": {"seconds": seconds}}));
    for (pod, acknowledged, end, not_enough, deadline) in [
        (sleep(5), 0.4, 15, 10, 20),
        // The kubelet started late.
        (sleep(5), 8.0, 23, 10, 20),
        (sleep(5), 8.0, 25, 10, 20),
        // The kubelet was restarted and granted the whole grace period again.
        (sleep(5), 0.4, 31, 10, 20),
        // After the hook, a container has at least 2 s.
        (sleep(15), 0.4, 17, 2, 5),
    ] {
        let stop = ended_after(&pod, acknowledged, 137, end);
        assert_eq!((stop.outcome, stop.app_time), (Outcome::Killed, Some(Seconds::new(not_enough))), "{end}");
        let mut history = History::new(stop.at);
        assert!(history.admit(&stop, stop.at));
        let (killed_after, deadline) = (Seconds::new(not_enough), Seconds::new(deadline));
        assert_eq!(history.recommendation(), Recommendation::MoreThan { killed_after, deadline }, "{end}");
    }
}

#[test]
fn a_container_that_had_ended_before_the_request_is_not_judged() {
    let crashed = json!({"name": "app", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": container("app", 1, "Error", -60)["state"]});
    let alone = with(running(), &json!({"status": {"containerStatuses": [crashed]}}));
    assert_eq!(Watch::new().whole(&alone, 15, &[container("app", 1, "Error", -60)], 3), []);
    let both = pod(&json!([{"name": "web"}, {"name": "worker"}]));
    let statuses = json!([{"name": "web", "state": {"running": {}}}, with(crashed, &json!({"name": "worker"}))]);
    let both = with(both, &json!({"status": {"containerStatuses": statuses}}));
    let statuses = [container("web", 0, "Completed", 6), container("worker", 1, "Error", -60)];
    let stop = only(Watch::new().whole(&both, 15, &statuses, 6));
    assert_eq!((stop.outcome, stop.containers[1].outcome), (Outcome::Clean, None));
}

#[test]
fn memory_is_not_the_fault_of_the_app() {
    for (exit_code, end, outcome) in
        [(137, 7, Outcome::OutOfMemory), (0, 7, Outcome::Clean), (137, 15, Outcome::Killed)]
    {
        let stop = only(Watch::new().whole(&running(), 15, &[container("app", exit_code, "OOMKilled", end)], end));
        assert_eq!(stop.outcome, outcome);
        assert_eq!(stop.to_string().ends_with("or out of memory"), outcome == Outcome::Killed, "{stop}");
        assert_eq!(stop.promise() == Promise::NotJudged, outcome == Outcome::OutOfMemory);
    }
}

#[test]
fn a_pod_with_too_many_containers_is_still_a_stop_and_a_line_stays_short() {
    let name = "n".repeat(10_000);
    let containers: Vec<_> = (0..1000).map(|number| json!({"name": format!("{number}{name}")})).collect();
    let pod = with(pod(&json!(containers)), &json!({"metadata": {"name": name}}));
    let ends: Vec<_> = containers.iter().map(|it| container(it["name"].as_str().unwrap(), 1, "Error", 9)).collect();
    let stop = only(Watch::new().whole(&pod, 15, &ends, 9));
    assert_eq!((stop.outcome, stop.containers.len()), (Outcome::Failed, 64));
    assert!(stop.to_string().chars().count() <= 400);
}
