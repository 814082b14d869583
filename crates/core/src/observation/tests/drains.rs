//! How long a drain of a node can wait.

use serde_json::json;

use super::super::Observer;
use super::{Event, Value, Watch, container, deleted, ended, removed, running, view, with};

/// A pod that runs on the node a.
fn pod(uid: &str, grace_period: i64) -> Value {
    let spec = json!({"nodeName": "a", "terminationGracePeriodSeconds": grace_period});
    with(running(), &json!({"metadata": {"uid": uid}, "spec": spec}))
}

/// What changed: `a 15` or `a -`.
fn changes(observer: &mut Observer) -> Vec<String> {
    let drains = observer.take_drains().into_iter();
    let seconds =
        |seconds: Option<crate::duration::Seconds>| seconds.map_or("-".to_owned(), |s| s.as_i64().to_string());
    let mut changes: Vec<_> = drains.map(|(node, longest)| format!("{node} {}", seconds(longest))).collect();
    changes.sort();
    changes
}

#[test]
fn a_drain_waits_for_the_pod_with_the_longest_grace_period_until_that_has_ended() {
    let mut watch = Watch::new();
    let mut elsewhere = pod("4", 7);
    elsewhere["spec"]["nodeName"] = json!("b");
    watch.list(-100.0, &[&pod("1", 15), &pod("2", 60), &pod("3", 60), &elsewhere]);
    assert_eq!(changes(&mut watch.observer), ["a 60", "b 7"]);
    watch.apply(-90.0, &pod("5", 40));
    assert_eq!(changes(&mut watch.observer), [""; 0], "shorter");
    // One that stops is waited for, too.
    let stopping = deleted(pod("2", 60), 60);
    watch.apply(0.1, &stopping);
    watch.delete(0.2, &pod("3", 60));
    assert_eq!(changes(&mut watch.observer), [""; 0]);
    let end = ended(stopping, &[container("app", 0, "Completed", 6)]);
    watch.apply(7.0, &end);
    assert_eq!(changes(&mut watch.observer), ["a 40"]);
    watch.delete(8.0, &removed(end, 8));
    assert_eq!(changes(&mut watch.observer), [""; 0], "it left already");
    // The others are gone after a list.
    watch.list(20.0, &[&elsewhere]);
    assert_eq!(changes(&mut watch.observer), ["a -"]);
    watch.delete(21.0, &removed(elsewhere, 21));
    assert_eq!(changes(&mut watch.observer), ["b -"]);
}

#[test]
fn a_drain_waits_for_no_pod_that_does_not_run_and_for_none_of_a_daemon_set() {
    let owner = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "log", "uid": "2", "controller": true}]);
    let mut unscheduled = pod("1", 15);
    unscheduled["spec"].as_object_mut().unwrap().remove("nodeName");
    let starting = json!({"status": {"containerStatuses": [{"name": "app", "state": {"waiting": {}}}]}});
    for idle in [
        with(pod("1", 15), &json!({"metadata": {"ownerReferences": owner}})),
        with(pod("1", 15), &starting),
        with(unscheduled, &starting),
        ended(pod("1", 15), &[container("app", 0, "Completed", -60)]),
    ] {
        let mut watch = Watch::new();
        watch.list(-10.0, &[&idle]);
        assert_eq!(changes(&mut watch.observer), [""; 0], "{idle}");
    }
    // It starts.
    let mut watch = Watch::new();
    watch.list(-10.0, &[&with(pod("1", 15), &starting)]);
    watch.apply(-5.0, &pod("1", 15));
    assert_eq!(changes(&mut watch.observer), ["a 15"]);
}

#[test]
fn nothing_is_said_of_drains_until_the_list_is_complete() {
    let mut watch = Watch::new();
    watch.see(0.0, Event::Init);
    watch.see(0.0, Event::InitApply(&view(&pod("1", 15))));
    assert_eq!(changes(&mut watch.observer), [""; 0]);
    watch.see(0.0, Event::InitDone);
    assert_eq!(changes(&mut watch.observer), ["a 15"]);
}
