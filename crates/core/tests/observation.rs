//! The watch events of whole stops, and what an observer makes of them.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::{Duration, Instant};

use serde::Deserialize;
use winddown_core::observation::{Counts, Event, Observer, PodView, Promise, Stop};

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
            Promise::Kept,
        ),
        (
            include_str!("observation/ignores-sigterm.json"),
            "2026-11-25T20:31:26Z stubborn-6d5f8c7b44-x2k9p Deletion: Killed, 16s of 15s, app 11s, exit code 137",
            Promise::Broken,
        ),
        // The kubelet waits for the end of the sleep of 20 s before it reports anything.
        (
            include_str!("observation/exits-during-sleep.json"),
            "2026-11-25T20:31:14Z early-6d5f8c7b44-x2k9p Deletion: 4s of 30s, app 0s, exit code 0",
            Promise::Kept,
        ),
    ] {
        let stops = stops(recording);
        let lines: Vec<_> = stops.iter().map(Stop::to_string).collect();
        assert_eq!((lines, stops[0].promise()), (vec![line.to_owned()], promise));
        assert_eq!(stops[0].budget.map(|budget| budget.margin.as_i64()), Some(5));
    }
}
