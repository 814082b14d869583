//! The watch events of whole stops, and what an observer makes of them.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::{Duration, Instant};

use proptest::collection;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use serde_json::{Value, json};
use winddown_core::observation::{Counts, Event, History, Observer, PodView, Promise, Stop, Timestamp};

/// The watch events of one pod.
#[derive(Deserialize)]
struct Recording {
    events: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    /// Seconds after the deletion request, by the observer's clock.
    at: f64,
    #[serde(rename = "type")]
    kind: String,
    object: PodView,
}

#[derive(Deserialize)]
struct Received {
    /// Seconds, by the observer's clock.
    seen: f64,
    #[serde(rename = "type")]
    kind: String,
    object: PodView,
}

#[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant; only differences count")]
fn start() -> Instant {
    Instant::now()
}

/// The stops of a sequence with the order, times and codes of Kubernetes 1.37.2 with containerd 2.4.2.
fn stops(recording: &str) -> Vec<Stop> {
    let recording: Recording = serde_json::from_str(recording).unwrap();
    let (mut observer, start) = (Observer::default(), start());
    let mut stops = Vec::new();
    for Recorded { at, kind, object } in &recording.events {
        let now = start + Duration::from_secs_f64(60.0 + at);
        let event = if kind == "DELETED" { Event::Delete(object) } else { Event::Apply(object) };
        stops.extend(observer.see(event, now));
    }
    assert_eq!((observer.counts(), observer.tracked()), (Counts::default(), 0));
    stops
}

/// What kind with Kubernetes 1.37.2 sent for one pod of each case of `docs/observed-shutdowns.md`, in the order received, without
/// the fields that nothing reads. Names and owners are other ones.
#[test]
fn every_recorded_case_has_its_outcome_and_cause() {
    let (mut observer, start) = (Observer::default(), start());
    let mut lines = Vec::new();
    for line in include_str!("observation/recorded.jsonl").lines() {
        let Received { seen, kind, object } = serde_json::from_str(line).unwrap();
        let event = if kind == "DELETED" { Event::Delete(&object) } else { Event::Apply(&object) };
        let stops = observer.see(event, start + Duration::from_secs_f64(seen));
        lines.extend(stops.iter().map(|stop| format!("{stop}: {:?}", stop.promise())));
    }
    lines.sort_unstable();
    assert_eq!(lines.join("\n"), include_str!("observation/recorded.txt").trim_end());
    assert_eq!(observer.counts(), Counts { lost_sight: 1, ..Counts::default() });
}

#[test]
fn the_recorded_sequences_are_one_stop_each() {
    for (recording, line, promise) in [
        (
            include_str!("observation/exits-on-sigterm.json"),
            "2026-11-25T20:31:16Z polite-6d5f8c7b44-x2k9p Deletion: 6s of 15s, app 1s, exit code 0",
            Promise::Honoured,
        ),
        (
            include_str!("observation/ignores-sigterm.json"),
            "2026-11-25T20:31:26Z stubborn-6d5f8c7b44-x2k9p Deletion: Killed, 16s of 15s, app 10s, exit code 137",
            Promise::Killed,
        ),
        // The kubelet waits for the end of the sleep of 20 s before it reports anything.
        (
            include_str!("observation/exits-during-sleep.json"),
            "2026-11-25T20:31:14Z early-6d5f8c7b44-x2k9p Deletion: 4s of 30s, app 0s, exit code 0",
            Promise::Honoured,
        ),
    ] {
        let stops = stops(recording);
        let lines: Vec<_> = stops.iter().map(Stop::to_string).collect();
        assert_eq!((lines, stops[0].promise()), (vec![line.to_owned()], promise));
        assert_eq!(stops[0].budget.map(|budget| budget.margin.as_i64()), Some(5));
    }
}

/// Values that the API server never sends, and some that it does.
fn hostile_time() -> impl Strategy<Value = Value> {
    select(
        &[
            "null",
            "\"2026-01-31T21:00:03Z\"",
            "\"2026-01-31T21:00:09Z\"",
            "\"0001-01-01T00:00:00Z\"",
            "\"9999-12-30T21:59:59Z\"",
            "\"1969-12-31T23:59:59.5Z\"",
        ][..],
    )
    .prop_map(|text| serde_json::from_str(text).unwrap())
}

fn hostile_number() -> impl Strategy<Value = i64> {
    select(vec![i64::MIN, -1, 0, 1, 2, 30, i64::from(u32::MAX), i64::MAX])
}

fn hostile_pod() -> impl Strategy<Value = Value> {
    let container = (
        select(&["app", "", "é"][..]),
        hostile_time(),
        hostile_time(),
        select(&[0, 137, 255, i32::MIN][..]),
        any::<bool>(),
    );
    let containers = collection::vec(container, 0..3);
    let times = [hostile_time(), hostile_time(), hostile_time()];
    let numbers = [hostile_number(), hostile_number(), hostile_number(), hostile_number(), hostile_number()];
    let words = (select(&["1", "2", "", "é"][..]), select(&["7d9f", ""][..]), select(&["Running", "Failed", ""][..]));
    (containers, times, numbers, words).prop_map(|(containers, times, numbers, (uid, hash, phase))| {
        let sleep = json!({"preStop": {"sleep": {"seconds": numbers[4]}}});
        let spec = containers.iter().map(|(name, ..)| json!({"name": name, "lifecycle": sleep})).collect::<Vec<_>>();
        let statuses = containers.iter().map(|(name, started, finished, exit_code, runs)| {
            let end = json!({"exitCode": exit_code, "startedAt": started, "finishedAt": finished});
            json!({"name": name, "state": if *runs { json!({"running": {}}) } else { json!({"terminated": end}) }})
        });
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("web-{hash}"), "uid": "2",
            "controller": true});
        json!({
            "metadata": {
                "uid": uid, "name": "web", "creationTimestamp": times[0], "deletionTimestamp": times[1],
                "deletionGracePeriodSeconds": numbers[0], "generation": numbers[1], "ownerReferences": [owner],
                "labels": {"pod-template-hash": hash},
            },
            "spec": {"terminationGracePeriodSeconds": numbers[2], "containers": spec},
            "status": {
                "phase": phase, "observedGeneration": numbers[3], "containerStatuses": statuses.collect::<Vec<_>>(),
                "conditions": [{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": times[2]}],
            },
        })
    })
}

proptest! {
    #[test]
    fn no_sequence_of_events_panics(events in collection::vec((0..6_u8, hostile_pod(), 0..u64::from(u32::MAX)), 0..40), now in any::<i64>()) {
        let (mut observer, start) = (Observer::default(), start());
        let now = Timestamp::from_second(now);
        let mut history = History::new(now);
        for (kind, pod, offset) in events {
            let pod: PodView = serde_json::from_value(pod).unwrap();
            let event = match kind {
                0 => Event::Init,
                1 => Event::InitDone,
                2 => Event::InitApply(&pod),
                3 => Event::Delete(&pod),
                _ => Event::Apply(&pod),
            };
            for stop in observer.see(event, start + Duration::from_millis(offset)) {
                prop_assert!(stop.end.earliest <= stop.end.latest, "{:?}", stop.end);
                prop_assert!(stop.to_string().chars().count() <= 400);
                let _ = history.admit(&stop, now);
                let _ = history.due_event(now);
            }
        }
        let summary = history.summary();
        let restored = History::restore(&history.checkpoint(), &summary.recent, &summary.not_honoured, now);
        prop_assert_eq!(restored, Ok(history));
    }

    #[test]
    fn no_checkpoint_panics(text in any::<String>(), position in any::<usize>(), inserted in "[ -~]{0,3}") {
        let now = Timestamp::from_second(1_770_000_000);
        let _ = History::restore(&text, std::slice::from_ref(&text), &[], now);
        let mut history = History::new(now);
        for stop in stops(include_str!("observation/ignores-sigterm.json")) {
            prop_assert!(history.admit(&stop, stop.at));
        }
        let mut checkpoint = history.checkpoint();
        let position = position % checkpoint.len();
        checkpoint.replace_range(position..=position, &inserted);
        if let Ok(mut restored) = History::restore(&checkpoint, &[], &[], now) {
            let _ = (restored.summary(), restored.due_event(now), restored.checkpoint());
        }
    }
}
