//! Connections of unknown origin: probes of the kubelet differ from traffic by their rhythm.

use super::super::{Line, Measurement};
use super::{
    Seconds, Subject, closed, each, end, from_node, measured, opened, port, recording, resets, sample, signal, subject,
    unseen,
};

/// What listens from the start on; SIGTERM after 5 s; the port is closed at this time, and the app ends a second later.
fn stop(closed_at: u64) -> Vec<Line> {
    vec![sample(0, vec![port(8080)]), signal(5_000), closed(closed_at), end(closed_at + 1_000)]
}

/// 50 connections a second until 150 ms after the start.
fn load(line: fn(u64) -> Line) -> Vec<Line> {
    each(20, 5_150, 20, line)
}

/// New connections after the start, the last of them, probes, and the last of those.
fn counts(found: &Measurement) -> (u64, Option<u64>, u64, Option<u64>) {
    (found.opened, found.last_opened, found.probes, found.last_probe)
}

#[test]
fn a_readiness_probe_of_each_second_is_no_traffic() {
    for line in [from_node, unseen] {
        let parts = [stop(10_050), load(opened), each(40, 10_050, 1_000, line)];
        let found = measured(&recording(parts), &subject(5, &[1]));
        assert_eq!(counts(&found), (7, Some(140), 6, Some(5_040)));
        assert!(!found.cut_short, "{found:?}");
    }
}

#[test]
fn a_probe_whose_times_vary_a_little_is_one() {
    let times = [40, 1_090, 2_050, 3_010, 4_130, 5_060, 6_040, 7_220, 8_040, 9_100];
    let parts = [stop(10_000), load(opened), times.map(unseen).to_vec()];
    let found = measured(&recording(parts), &subject(5, &[1]));
    assert_eq!(counts(&found), (7, Some(140), 5, Some(4_100)));
}

#[test]
fn an_app_that_answers_so_fast_that_most_connections_are_unseen_has_its_last_one() {
    let parts = [stop(10_050), load(unseen), vec![from_node(8_700)]];
    let found = measured(&recording(parts), &subject(5, &[10]));
    assert_eq!(counts(&found).1, Some(140));
    assert_eq!((found.probes, found.last_probe, found.cut_short), (1, Some(3_700), false));
}

#[test]
fn of_connections_that_are_not_in_the_rhythm_of_a_probe_the_last_counts() {
    for (period, strays, last) in [
        // Between two probes of each second.
        (1, vec![8_540], 3_540),
        // Two in less than a period: one of them is no probe.
        (10, vec![6_500, 9_000], 1_500),
        (10, vec![6_500, 9_000, 9_500], 4_000),
        // In the rhythm, but not from the beginning on.
        (2, vec![7_000, 9_000], 4_000),
    ] {
        let probes = if period == 1 { each(40, 10_050, 1_000, from_node) } else { Vec::new() };
        let strays = strays.into_iter().map(unseen).collect();
        let found = measured(&recording([stop(10_050), load(opened), probes, strays]), &subject(5, &[period]));
        assert_eq!(found.last_opened, Some(last), "{period} {found:?}");
    }
}

#[test]
fn a_probe_that_stops_although_the_port_is_open_is_none() {
    let parts = [stop(10_050), load(opened), each(40, 8_000, 1_000, unseen)];
    let found = measured(&recording(parts), &subject(5, &[1]));
    assert_eq!(found.last_opened, Some(2_040));
}

#[test]
fn several_probes_are_told_apart() {
    let parts = [
        stop(15_050),
        load(opened),
        each(300, 15_050, 5_000, from_node),
        each(700, 15_050, 5_000, unseen),
        each(40, 15_050, 1_000, from_node),
    ];
    let found = measured(&recording(parts), &subject(10, &[5, 1, 5]));
    assert_eq!((found.opened, found.last_opened), (7, Some(140)));
    assert_eq!(found.probes, 11 + 2 + 2);
    // With one declared probe less, its connections are traffic.
    let parts = [
        stop(15_050),
        load(opened),
        each(300, 15_050, 5_000, from_node),
        each(700, 15_050, 5_000, unseen),
        each(40, 15_050, 1_000, from_node),
    ];
    let found = measured(&recording(parts), &subject(10, &[5, 1]));
    assert_eq!(found.last_opened, Some(5_300));
}

#[test]
fn after_the_start_a_liveness_probe_is_no_explanation() {
    // The kubelet ends it before it sends SIGTERM, so what comes later is traffic.
    let subject = Subject { liveness: vec![Seconds::new(1)], ..subject(5, &[]) };
    let parts = [stop(10_050), load(opened), each(40, 5_000, 1_000, from_node)];
    let found = measured(&recording(parts), &subject);
    assert_eq!((found.opened_before, counts(&found)), (250, (7, Some(140), 0, None)));
    let parts = [stop(10_050), load(opened), each(40, 10_050, 1_000, from_node)];
    let found = measured(&recording(parts), &subject);
    assert_eq!(found.last_opened, Some(5_040));
}

#[test]
fn probes_alone_are_no_traffic_also_before_the_start() {
    let subject = Subject { liveness: vec![Seconds::new(1)], ..subject(5, &[2]) };
    let probes = || each(40, 5_000, 1_000, from_node);
    let parts = [stop(10_050), probes(), each(90, 10_050, 2_000, unseen)];
    let found = measured(&recording(parts), &subject);
    assert_eq!((found.opened_before, counts(&found)), (0, (0, None, 2, Some(3_090))));
    assert!(!found.cut_short);
}

#[test]
fn traffic_of_less_than_one_request_in_a_second_is_seen_beside_a_probe() {
    let parts =
        [stop(12_000), each(70, 12_000, 1_000, from_node), [300, 1_900, 3_300, 4_700, 6_200].map(unseen).to_vec()];
    let found = measured(&recording(parts), &subject(5, &[1]));
    assert_eq!((found.opened, found.last_opened, found.probes), (1, Some(1_200), 7));
}

#[test]
fn a_readiness_probe_that_is_refused_is_no_refused_traffic() {
    // The app closes its port at once, and takes six seconds for the requests that it has.
    let listening = each(300, 5_000, 1_000, from_node);
    let refused = (5_300..11_000).step_by(1_000).map(|at| resets(at, 1)).collect::<Vec<_>>();
    let parts = [vec![sample(0, vec![port(8080)]), signal(5_000), closed(5_100), end(11_000)], listening, refused];
    let found = measured(&recording(parts), &subject(0, &[1]));
    assert_eq!((found.resets, found.refused, found.last_refused, found.cut_short), (6, 0, None, false));
    assert_eq!((found.probes, found.last_probe), (6, Some(5_300)));
}

#[test]
fn refused_traffic_is_seen_beside_a_refused_probe() {
    let refused = vec![resets(8_000, 1), resets(9_400, 3)];
    let parts = [vec![sample(0, vec![port(8080)]), signal(5_000), closed(5_700), end(15_000)], load(opened), refused];
    let found = measured(&recording(parts), &subject(0, &[10]));
    // The first one may be a probe; it changes nothing.
    assert_eq!((found.refused, found.last_refused, found.cut_short), (4, Some(4_400), true));
}

#[test]
fn masqueraded_traffic_goes_on_beside_a_probe() {
    let parts = [stop(10_050), each(15, 8_000, 50, from_node), each(40, 10_050, 1_000, from_node)];
    let found = measured(&recording(parts), &subject(5, &[1]));
    assert_eq!((found.last_opened, found.cut_short), (Some(2_965), false));
}

#[test]
fn the_last_connections_of_dense_traffic_are_not_taken_for_probes() {
    let parts = [stop(15_050), load(unseen), each(5_200, 9_000, 100, unseen)];
    let found = measured(&recording(parts), &subject(10, &[10, 10]));
    assert_eq!(counts(&found), (7 + 38, Some(3_900), 0, None));
}

#[test]
fn the_end_of_traffic_is_found_in_a_long_recording() {
    // Ten connections a second for five hours, and then an hour of probes.
    let hour = 3_600_000;
    let lines = recording([
        each(0, 5 * hour, 100, unseen),
        vec![signal(5_050)],
        each(5 * hour, 6 * hour, 1_000, unseen),
        each(5 * hour + 350, 6 * hour, 10_000, from_node),
    ]);
    let found = measured(&lines, &subject(5, &[1, 10]));
    assert_eq!(found.last_opened, Some(5 * hour - 100 - 5_050));
}
