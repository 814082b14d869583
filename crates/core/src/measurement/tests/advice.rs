//! The annotations that follow from measurements.

use std::slice::from_ref;

use super::super::{Advice, LastRequest, Measurement};
use super::{Seconds, each, measured, recording, signal, subject};
use crate::observation::Outcome;
use crate::observation::example::stop;

/// A stop with traffic until 140 ms, a hook of 5 s, and an app that took one second.
fn usual() -> Measurement {
    let lines =
        recording([each(20, 5_150, 20, super::opened), vec![signal(5_000), super::closed(10_050), super::end(11_000)]]);
    measured(&lines, &subject(5, &[]))
}

fn seconds(drain: u32, deadline: u32) -> (Option<Seconds>, Option<Seconds>) {
    (Some(Seconds::new(drain)), Some(Seconds::new(deadline)))
}

fn numbers(measurements: &[Measurement]) -> (Option<Seconds>, Option<Seconds>) {
    let advice = Advice::of(measurements);
    assert!(!advice.drain_is_a_guess, "{advice:?}");
    (advice.drain, advice.deadline)
}

#[test]
fn the_drain_is_half_as_much_again_and_a_second() {
    for (last, drain) in
        [(None, 1), (Some(1), 2), (Some(140), 2), (Some(2_000), 4), (Some(4_001), 8), (Some(60_000), 91)]
    {
        let found = numbers(&[Measurement { last_opened: last, ..usual() }]);
        assert_eq!(found.0, Some(Seconds::new(drain)), "{last:?}");
    }
}

#[test]
fn the_deadline_is_the_time_of_the_app_and_some_up_to_the_next_five_seconds() {
    for (time, deadline) in [(0, 5), (1_000, 5), (3_400, 5), (3_500, 10), (7_800, 10), (20_000, 25), (60_000, 70)] {
        let found = numbers(&[Measurement { finished: Some(5_000 + time), ..usual() }]);
        assert_eq!(found.1, Some(Seconds::new(deadline)), "{time}");
    }
}

#[test]
fn of_several_pods_the_worst_counts() {
    let slow = Measurement { finished: Some(25_000), ..usual() };
    let late = Measurement { last_opened: Some(3_000), ..usual() };
    assert_eq!(numbers(&[usual(), slow, late, usual()]), seconds(6, 25));
}

#[test]
fn what_was_measured_is_beside_the_advice_as_it_is() {
    let measured = |measurements: &[Measurement]| {
        let advice = Advice::of(measurements);
        (advice.measured_drain, advice.measured_deadline)
    };
    assert_eq!(measured(&[usual()]), (Some(140), Some(1_000)));
    let slow = Measurement { finished: Some(25_000), ..usual() };
    let late = Measurement { last_opened: Some(3_000), last_refused: Some(3_500), ..usual() };
    assert_eq!(measured(&[usual(), slow, late]), (Some(3_500), Some(20_000)));
    let idle = Measurement { last_opened: None, finished: None, ..usual() };
    assert_eq!(measured(&[idle]), (None, None));
}

#[test]
fn a_pod_whose_end_is_unknown_leaves_no_deadline() {
    let unknown = Measurement { finished: None, ..usual() };
    assert_eq!(numbers(&[usual(), unknown]), (Some(Seconds::new(2)), None));
    let hook = Measurement { app_signal: None, ..usual() };
    assert_eq!(numbers(&[hook]), (Some(Seconds::new(2)), None));
}

#[test]
fn a_pod_without_traffic_leaves_the_drain_to_the_others() {
    let idle = Measurement { opened_before: 0, opened: 0, last_opened: None, ..usual() };
    assert_eq!(numbers(from_ref(&idle)), (None, Some(Seconds::new(5))));
    assert_eq!(numbers(&[idle, usual()]), seconds(2, 5));
    assert_eq!(numbers(&[]), (None, None));
}

#[test]
fn traffic_that_was_cut_short_makes_the_drain_a_guess() {
    for (last, refused, drain) in
        [(Some(140), None, 5), (None, None, 5), (Some(4_900), None, 10), (Some(140), Some(9_001), 19)]
    {
        let cut = Measurement { cut_short: true, last_opened: last, last_refused: refused, ..usual() };
        let advice = Advice::of(&[usual(), cut]);
        assert!(advice.drain_is_a_guess);
        assert_eq!(advice.drain, Some(Seconds::new(drain)), "{last:?} {refused:?}");
    }
}

#[test]
fn with_a_shorter_drain_an_app_that_waits_for_its_connections_gets_the_difference() {
    // A hook of 20 s; the app ends 2 s later, and 2 s are enough for the traffic.
    let long = Measurement { app_signal: Some(20_000), finished: Some(22_000), ..usual() };
    assert_eq!(numbers(&[Measurement { open_at_signal: Some(0), ..long.clone() }]), seconds(2, 5));
    assert_eq!(numbers(&[Measurement { open_at_signal: Some(3), ..long.clone() }]), seconds(2, 25));
    let used = Measurement { open_at_signal: Some(0), last_request: LastRequest::At(19_000), ..long.clone() };
    assert_eq!(numbers(&[used]), seconds(2, 25));
    let early = Measurement { open_at_signal: Some(0), last_request: LastRequest::At(1_000), ..long };
    assert_eq!(numbers(&[early]), seconds(2, 5));
}

#[test]
fn kept_connections_that_are_used_until_the_end_of_the_app_are_within_the_deadline() {
    let used = Measurement {
        open_at_signal: Some(4),
        last_request: LastRequest::At(16_900),
        finished: Some(17_000),
        ..usual()
    };
    let advice = Advice::of(from_ref(&used));
    let stops = |drain: Seconds, deadline: Seconds| drain.plus(deadline).as_i64() * 1_000;
    assert_eq!((advice.drain, advice.deadline), seconds(2, 20));
    assert!(stops(advice.drain.unwrap(), advice.deadline.unwrap()) > 17_000, "{used:?}");
}

#[test]
fn an_app_that_was_killed_or_goes_on_without_sockets_needs_more_than_was_seen() {
    for (outcome, app_time, deadline) in [
        (Outcome::Clean, 1, Some(5)),
        // Whole seconds of the API are not exact, so a little more is the same.
        (Outcome::Clean, 3, Some(5)),
        (Outcome::Clean, 20, Some(25)),
        (Outcome::Failed, 20, Some(25)),
        (Outcome::Killed, 30, None),
        (Outcome::CutShort, 30, None),
        (Outcome::KilledOtherwise, 1, None),
        (Outcome::OutOfMemory, 1, None),
    ] {
        let advice = Advice::of(&[usual().with_stop(&stop(0, outcome, app_time))]);
        assert_eq!(advice.deadline, deadline.map(Seconds::new), "{outcome} {app_time}");
    }
}

#[test]
fn the_text_is_what_kubectl_annotate_takes() {
    let advice = Advice::of(&[usual()]);
    assert_eq!(advice.to_string(), "winddown.dev/drain=2s winddown.dev/deadline=5s");
    assert_eq!(Advice { drain: None, ..advice.clone() }.to_string(), "winddown.dev/deadline=5s");
    assert_eq!(Advice { deadline: None, ..advice.clone() }.to_string(), "winddown.dev/drain=2s");
    assert_eq!(Advice { drain: None, deadline: None, ..advice }.to_string(), "");
}

#[test]
fn no_number_is_too_large() {
    let all = Measurement {
        last_opened: Some(u64::MAX),
        opened: u64::MAX,
        opened_before: u64::MAX,
        finished: Some(u64::MAX),
        app_signal: Some(0),
        ..usual()
    };
    for cut_short in [true, false] {
        let advice = Advice::of(&[Measurement { cut_short, ..all.clone() }]);
        assert_eq!((advice.drain, advice.deadline), (Some(Seconds::MAX), Some(Seconds::MAX)));
    }
}
