//! From lines to numbers: connections that were seen, the listener, and the end.

use super::super::{EndReason, LastRequest, Line, Measurement, PortSample, Sample, Subject, TooShort};
use super::{closed, each, end, from_node, measured, opened, port, recording, resets, sample, signal, subject, unseen};
use crate::duration::Seconds;

/// 50 connections a second before, and until 150 ms after the start; the app stops listening after its hook of 5 s.
fn usual() -> Vec<Vec<Line>> {
    vec![each(20, 5_150, 20, opened), vec![signal(5_000), closed(10_050), end(11_000)]]
}

#[test]
fn the_last_new_connection_and_the_end_are_relative_to_the_signal() {
    let found = measured(&recording(usual()), &subject(5, &[]));
    assert_eq!((found.clock, found.recorded_before), (1_770_000_005_000, 4_980));
    assert_eq!((found.opened_before, found.opened, found.last_opened), (250, 7, Some(140)));
    assert_eq!((found.app_signal, found.listener_closed, found.finished), (Some(5_000), Some(5_050), Some(6_000)));
    assert_eq!((found.app_time(), found.complete, found.cut_short), (Some(1_000), true, false));
    assert_eq!((found.refused, found.resets, found.dropped, found.probes), (0, 0, 0, 0));
}

#[test]
fn what_was_noticed_before_the_signal_and_given_out_after_it_was_before() {
    let late = PortSample { opened: 3, opened_at: Some(4_990), ..port(8080) };
    let lines = recording([vec![sample(0, vec![port(8080)]), signal(5_000), sample(5_050, vec![late]), end(9_000)]]);
    let found = measured(&lines, &subject(0, &[]));
    assert_eq!((found.opened_before, found.opened, found.last_opened), (3, 0, None));
}

#[test]
fn a_recording_without_start_or_signal_measures_nothing() {
    let lines = recording(usual());
    let without = |kind: fn(&Line) -> bool| lines.iter().filter(|line| !kind(line)).cloned().collect::<Vec<_>>();
    let subject = subject(5, &[]);
    assert_eq!(Measurement::of(&without(|line| matches!(line, Line::Start(_))), &subject), None);
    assert_eq!(Measurement::of(&without(|line| matches!(line, Line::Signal { .. })), &subject), None);
    assert_eq!(Measurement::of(&[], &subject), None);
}

#[test]
fn only_an_end_without_sockets_is_the_end_of_the_app() {
    for (reason, finished) in
        [(EndReason::NoSockets, Some(6_000)), (EndReason::TooLong, None), (EndReason::NoSignal, None)]
    {
        let mut lines = recording(usual());
        *lines.last_mut().unwrap() = Line::End { at: 11_000, reason };
        let found = measured(&lines, &subject(5, &[]));
        assert_eq!((found.finished, found.complete), (finished, true), "{reason:?}");
    }
}

#[test]
fn of_a_log_without_an_end_the_end_is_unknown_and_late_traffic_may_have_gone_on() {
    for (last, cut) in [(5_140, true), (5_500, true), (5_700, false), (9_000, false)] {
        let parts = [each(20, 5_150, 20, opened), vec![signal(5_000), sample(last, vec![port(8080)])]];
        let found = measured(&recording(parts), &subject(5, &[]));
        assert_eq!((found.complete, found.finished, found.app_time()), (false, None, None));
        assert_eq!((found.listener_closed, found.cut_short), (None, cut), "{last}");
    }
}

#[test]
fn traffic_until_the_listener_closed_is_cut_short() {
    for (closed_at, cut) in [(5_150, true), (5_600, true), (5_700, false), (10_000, false)] {
        let lines =
            recording([each(20, 5_150, 20, opened), vec![signal(5_000), closed(closed_at), end(closed_at + 1_000)]]);
        let found = measured(&lines, &subject(0, &[]));
        assert_eq!(found.cut_short, cut, "{closed_at}");
    }
}

#[test]
fn a_listener_that_closes_before_the_first_connection_after_the_start_says_nothing() {
    let lines = recording([each(20, 5_000, 20, opened), vec![signal(5_000), closed(5_100), end(5_200)]]);
    let found = measured(&lines, &subject(0, &[]));
    assert_eq!((found.last_opened, found.cut_short), (None, true));
}

#[test]
fn with_few_connections_the_quiet_time_is_longer() {
    // One in 2 s: only after 6 s it is likely that no more come.
    for (closed_at, cut) in [(10_500, true), (14_000, false)] {
        let lines = recording([
            vec![sample(0, vec![port(8080)]), opened(500), opened(2_500), opened(4_500), signal(5_000), opened(6_500)],
            vec![closed(closed_at), end(closed_at + 100)],
        ]);
        let found = measured(&lines, &subject(5, &[]));
        assert_eq!((found.last_opened, found.cut_short), (Some(1_500), cut), "{closed_at}");
    }
}

#[test]
fn connections_that_are_refused_are_cut_short() {
    let mut parts = usual();
    parts.push(vec![resets(10_300, 2), resets(10_900, 1)]);
    let found = measured(&recording(parts), &subject(5, &[]));
    assert_eq!((found.refused, found.last_refused, found.cut_short), (3, Some(5_900), true));
    // No connection had come for seconds, so it may have been something else.
    assert_eq!(found.too_short, None);
}

#[test]
fn a_drain_is_too_short_if_connections_came_until_the_listener_closed_and_after_sigterm_or_some_were_refused() {
    let refused = [resets(11_300, 2), resets(11_900, 1)];
    // The app gets SIGTERM at 10 s, and stops listening at 11.05 s, or at once.
    for (until, closed, resets, expected) in [
        (11_000, 11_050, &refused[..], Some(TooShort::Refused)),
        (10_600, 11_050, &refused[..], Some(TooShort::Refused)),
        (10_600, 11_050, &[], Some(TooShort::Late)),
        (10_400, 11_050, &refused[..], None),
        (10_400, 11_050, &[], None),
        (9_900, 10_050, &refused[..], Some(TooShort::Refused)),
        (9_900, 10_050, &[], None),
    ] {
        let rest = vec![signal(5_000), super::closed(closed), end(12_000)];
        let found = measured(&recording([each(20, until, 20, opened), rest, resets.to_vec()]), &subject(5, &[]));
        assert_eq!(found.too_short, expected, "{until} {closed}");
    }
}

#[test]
fn a_drain_is_not_too_short_if_the_port_with_the_late_connections_stays_open() {
    let busy_from_others = |at: u64, number| PortSample { opened: 1, opened_at: Some(at), ..port(number) };
    let busy_from_the_node = |at: u64, number| PortSample { node_opened: 1, node_opened_at: Some(at), ..port(number) };
    let of_both: [&dyn Fn(u64, u16) -> PortSample; 2] = [&busy_from_others, &busy_from_the_node];
    for busy in of_both {
        // Port 9000 has its last connection at 9.9 s, and is closed after SIGTERM at 10 s. Port 8080 goes on.
        let closed_first = PortSample { listening: false, ..port(9000) };
        let early = each(20, 9_900, 20, |at| sample(at, vec![busy(at, 9000), busy(at, 8080)]));
        let late = each(10_050, 12_000, 50, |at| sample(at, vec![closed_first, busy(at, 8080)]));
        let rest = vec![signal(5_000), sample(20_000, vec![closed_first, port(8080)]), end(20_010)];
        assert_eq!(measured(&recording([early, late, rest]), &subject(5, &[])).too_short, None);
    }
    // The recording ends while the app listens.
    let broken_off = [each(20, 12_000, 20, opened), vec![signal(5_000)]];
    let found = measured(&recording(broken_off), &subject(5, &[]));
    assert_eq!((found.too_short, found.complete, found.cut_short), (None, false, true));
}

#[test]
fn traffic_that_the_node_forwards_is_refused_when_its_port_closes() {
    // Port 9102 has one kept connection, and stays open.
    let kept = PortSample { open: 1, ..port(9102) };
    let busy = |at: u64| sample(at, vec![PortSample { node_opened: 1, node_opened_at: Some(at), ..port(8080) }, kept]);
    let closed =
        |at: u64| Sample { at, ports: vec![PortSample { listening: false, ..port(8080) }, kept], ..Sample::default() };
    let refusing = each(10_050, 11_000, 50, |at| Line::Sample(Sample { resets: 1, ..closed(at) }));
    let rest = vec![signal(5_000), Line::Sample(closed(20_000)), end(20_010)];
    let lines = recording([each(20, 9_980, 20, busy), refusing, rest]);
    let found = measured(&lines, &subject(5, &[10]));
    assert_eq!((found.too_short, found.cut_short, found.listener_closed), (Some(TooShort::Refused), true, Some(5_050)));
    assert_eq!(found.refused, 18);
}

#[test]
fn traffic_that_the_node_forwards_counts_also_if_probes_open_more_connections() {
    // Two connections per second to port 8080, probes of port 8081 in each second, and a kept connection to port 9102.
    let sampled = |at: u64| {
        let from_node = |number, is_due: bool| PortSample {
            node_opened: u64::from(is_due),
            node_opened_at: is_due.then_some(at),
            ..port(number)
        };
        let kept = PortSample { open: 1, ..port(9102) };
        sample(at, vec![from_node(8080, at % 500 == 20), from_node(8081, at % 1_000 == 260), kept])
    };
    let all_closed = [8080, 8081, 9102].map(|number| PortSample { listening: false, ..port(number) });
    let rest = vec![signal(5_000), sample(11_000, all_closed.to_vec()), end(11_010)];
    let subject = Subject { liveness: vec![Seconds::new(1)], ..subject(5, &[1]) };
    let found = measured(&recording([each(20, 10_990, 10, sampled), rest]), &subject);
    assert_eq!((found.too_short, found.cut_short), (Some(TooShort::Late), true));
}

#[test]
fn resets_before_the_listener_closed_refuse_no_connection() {
    let mut parts = usual();
    let reset = Sample { at: 7_000, ports: vec![port(8080)], resets: 4, dropped: 2, ..Sample::default() };
    parts.push(vec![Line::Sample(reset)]);
    let found = measured(&recording(parts), &subject(5, &[]));
    assert_eq!((found.resets, found.dropped, found.refused, found.cut_short), (4, 2, 0, false));
}

#[test]
fn a_hook_of_unknown_length_leaves_the_signal_of_the_app_unknown() {
    let subject = Subject { hook: None, ..subject(0, &[]) };
    let found = measured(&recording(usual()), &subject);
    assert_eq!((found.app_signal, found.open_at_signal, found.app_time()), (None, None, None));
    assert_eq!((found.finished, found.last_opened), (Some(6_000), Some(140)));
}

#[test]
fn a_pod_without_traffic_has_none_and_nothing_is_cut_short() {
    let lines = recording([vec![sample(0, vec![port(8080)]), signal(5_000), closed(5_020), end(5_030)]]);
    let found = measured(&lines, &subject(0, &[10]));
    assert_eq!((found.opened_before, found.opened, found.last_opened), (0, 0, None));
    assert_eq!((found.last_request, found.cut_short, found.listener_closed), (LastRequest::None, false, Some(20)));
}

#[test]
fn a_pod_without_ports_is_measured_too() {
    let found = measured(&recording([vec![signal(5_000), end(6_000)]]), &subject(0, &[]));
    assert_eq!((found.recorded_before, found.listener_closed, found.finished), (0, None, Some(1_000)));
    assert!(!found.cut_short);
}

#[test]
fn the_last_request_on_a_kept_connection_is_known_if_the_kernel_says_so() {
    let used = |at: u64, kept_at: u64| sample(at, vec![PortSample { kept_at: Some(kept_at), open: 1, ..port(8080) }]);
    let lines =
        recording([vec![used(4_900, 4_890), signal(5_000), used(5_050, 4_990), used(9_000, 8_990), end(9_500)]]);
    assert_eq!(measured(&lines, &subject(0, &[])).last_request, LastRequest::At(3_990));
    let early = recording([vec![used(4_900, 4_890), signal(5_000), used(5_050, 4_990), end(9_500)]]);
    assert_eq!(measured(&early, &subject(0, &[])).last_request, LastRequest::None);
    let mut blind = lines;
    let Line::Start(start) = &mut blind[0] else { panic!("{blind:?}") };
    start.receipts = false;
    assert_eq!(measured(&blind, &subject(0, &[])).last_request, LastRequest::Unknown);
}

#[test]
fn open_connections_are_those_at_the_start_at_the_signal_and_before_the_end() {
    let open = |at: u64, listening: bool, open: usize| sample(at, vec![PortSample { listening, open, ..port(8080) }]);
    let before = [open(4_000, true, 9), signal(5_000), open(5_100, true, 8), open(9_900, true, 7)];
    for (rest, at_end) in [
        // It exits with three: the last look shows none.
        (vec![open(10_050, false, 5), open(11_000, false, 3), open(11_990, false, 0), end(11_992)], 3),
        // They have ended before.
        (vec![open(10_050, false, 5), open(11_000, false, 0), end(11_992)], 0),
        // The log has no end.
        (vec![open(10_050, true, 5)], 5),
    ] {
        let found = measured(&recording([before.to_vec(), rest]), &subject(5, &[]));
        assert_eq!((found.open_at_start, found.open_at_signal, found.open_at_end), (9, Some(7), at_end));
    }
}

#[test]
fn the_first_port_with_traffic_that_closes_is_the_listener() {
    let both = |at: u64, first: PortSample, second: PortSample| sample(at, vec![first, second]);
    let busy = |at: u64| both(at, PortSample { opened: 1, opened_at: Some(at), ..port(8080) }, port(9090));
    let half = |at: u64| both(at, PortSample { listening: false, ..port(8080) }, port(9090));
    let none = |at: u64| {
        both(at, PortSample { listening: false, ..port(8080) }, PortSample { listening: false, ..port(9090) })
    };
    let lines = recording([
        each(20, 5_150, 20, busy),
        vec![signal(5_000), half(10_000), resets(10_500, 3), none(14_000), end(14_010)],
    ]);
    let found = measured(&lines, &subject(5, &[]));
    assert_eq!((found.listener_closed, found.refused, found.cut_short), (Some(5_000), 3, true));
    assert_eq!(found.too_short, None, "the last connection came 4.8 s before");
    // A port for metrics that is asked once, and stays open, does not hide it.
    let scraped = both(6_000, port(8080), PortSample { opened: 1, opened_at: Some(6_000), ..port(9090) });
    let lines =
        recording([each(20, 5_150, 20, busy), vec![signal(5_000), scraped, half(10_000), none(14_000), end(14_010)]]);
    let found = measured(&lines, &subject(5, &[]));
    assert_eq!((found.listener_closed, found.last_opened, found.cut_short), (Some(5_000), Some(1_000), false));
}

#[test]
fn the_port_of_a_sidecar_that_stays_open_does_not_hide_that_the_app_stopped_listening() {
    let app = |listening| PortSample { listening, ..port(8080) };
    let proxy = PortSample { opened: 1, ..port(15_006) };
    let ports = |at: u64, listening: bool, proxied: bool| {
        let opened_at = proxied.then_some(at);
        sample(at, vec![app(listening), PortSample { opened: u64::from(proxied), opened_at, ..proxy }])
    };
    let lines = recording([
        (20..5_150).step_by(20).map(|at| ports(at, true, true)).collect(),
        vec![signal(5_000), ports(6_000, false, false), ports(9_000, false, false)],
    ]);
    let found = measured(&lines, &subject(5, &[]));
    // Traffic comes through the proxy, and its port is still open.
    assert_eq!((found.listener_closed, found.last_opened, found.cut_short), (None, Some(140), false));
}

#[test]
fn a_port_that_was_closed_before_the_start_is_not_the_listener() {
    let lines = recording([vec![
        opened(1_000),
        sample(2_000, vec![PortSample { listening: false, ..port(8080) }, port(9090)]),
        signal(5_000),
        sample(
            6_000,
            vec![PortSample { listening: false, ..port(8080) }, PortSample { listening: false, ..port(9090) }],
        ),
        end(6_010),
    ]]);
    assert_eq!(measured(&lines, &subject(0, &[])).listener_closed, Some(1_000));
}

#[test]
fn a_port_that_is_opened_again_was_not_closed() {
    let lines =
        recording([vec![opened(1_000), signal(5_000), closed(5_500), opened(5_600), closed(8_000), end(8_010)]]);
    assert_eq!(measured(&lines, &subject(0, &[])).listener_closed, Some(3_000));
}

#[test]
fn traffic_that_the_node_forwards_with_its_own_address_is_traffic() {
    for (name, line) in [("node", from_node as fn(u64) -> Line), ("unseen", unseen)] {
        let lines = recording([each(20, 5_150, 20, line), vec![signal(5_000), closed(10_050), end(11_000)]]);
        let found = measured(&lines, &subject(5, &[]));
        assert_eq!((found.opened_before, found.opened, found.last_opened), (250, 7, Some(140)), "{name}");
        assert_eq!((found.listener_closed, found.cut_short, found.probes), (Some(5_050), false, 0), "{name}");
    }
}

#[test]
fn the_last_new_connection_has_the_port_to_which_it_came() {
    let at_port =
        |at: u64, number: u16| sample(at, vec![PortSample { opened: 1, opened_at: Some(at), ..port(number) }]);
    let mut parts = usual();
    parts.push(vec![at_port(6_000, 8443)]);
    let found = measured(&recording(parts.clone()), &subject(5, &[]));
    assert_eq!((found.last_opened, found.last_opened_port), (Some(1_000), Some(8_443)));
    parts.push(vec![unseen(6_500)]);
    let found = measured(&recording(parts), &subject(5, &[]));
    assert_eq!((found.last_opened, found.last_opened_port), (Some(1_500), None));
}

#[test]
fn what_was_opened_and_closed_after_the_start_is_counted_and_so_are_bytes_and_overflows() {
    let port = |open: usize, opened: u64, closed: u64| PortSample { open, opened, closed, ..port(8080) };
    let at = |at: u64, port: PortSample, bytes: u64| {
        let opened_at = (port.opened > 0).then_some(at);
        let ports = vec![PortSample { opened_at, ..port }];
        let (received, sent) = (bytes, 2 * bytes);
        Line::Sample(Sample { at, ports, received, sent, dropped: 3, overflows: 2, ..Sample::default() })
    };
    let lines = recording([vec![
        at(1_000, port(4, 4, 9), 10_000),
        signal(5_000),
        at(5_100, port(6, 3, 1), 300),
        unseen(5_200),
        at(6_000, port(1, 0, 5), 40),
        end(9_000),
    ]]);
    let found = measured(&lines, &subject(0, &[]));
    assert_eq!((found.open_at_start, found.open_at_most, found.open_at_end), (4, 6, 1));
    let fewer = recording([vec![at(1_000, port(4, 4, 0), 0), signal(5_000), at(6_000, port(1, 0, 3), 0), end(9_000)]]);
    assert_eq!(measured(&fewer, &subject(0, &[])).open_at_most, 4);
    // The one that no look saw is closed, too.
    assert_eq!((found.opened, found.closed), (4, 7));
    assert_eq!((found.received_bytes, found.sent_bytes), (340, 680));
    assert_eq!((found.dropped, found.overflows), (6, 4));
}
