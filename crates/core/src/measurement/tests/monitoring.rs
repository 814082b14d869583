//! Connections to ports that are only for monitoring are scrapes, and no traffic.

use super::super::{Advice, LastRequest, Line, PortSample, Sample};
use super::{Subject, each, end, measured, opened, port, recording, sample, signal, subject, unseen};

const METRICS: u16 = 9_090;

/// Port 9090 is only for monitoring.
fn scraped(hook: u32, readiness: &[u32]) -> Subject {
    Subject { monitoring: [METRICS].into(), ..subject(hook, readiness) }
}

/// Both ports, of which the second one has this.
fn metrics(at: u64, of_metrics: PortSample) -> Line {
    sample(at, vec![port(8080), PortSample { port: METRICS, ..of_metrics }])
}

/// One new connection of Prometheus.
fn scrape(at: u64) -> Line {
    metrics(at, PortSample { opened: 1, closed: 1, opened_at: Some(at), ..port(METRICS) })
}

/// One from the node: a probe, or an agent in the network of the node.
fn from_node(at: u64) -> Line {
    metrics(at, PortSample { node_opened: 1, node_closed: 1, node_opened_at: Some(at), ..port(METRICS) })
}

/// 50 connections a second before, and until 150 ms after the start; both ports are closed after 5 s.
fn usual() -> Vec<Vec<Line>> {
    let closed = |number| PortSample { listening: false, ..port(number) };
    let none = Line::Sample(Sample { at: 10_050, ports: vec![closed(8_080), closed(METRICS)], ..Sample::default() });
    vec![each(20, 5_150, 20, opened), vec![signal(5_000), none, end(11_000)]]
}

#[test]
fn a_scrape_is_not_the_last_connection() {
    let scrapes = || vec![vec![scrape(2_000), scrape(7_000), scrape(9_900)]];
    let lines = recording([usual(), scrapes()].concat());
    let found = measured(&lines, &scraped(5, &[]));
    assert_eq!((found.opened_before, found.opened, found.last_opened), (250, 7, Some(140)));
    assert_eq!((found.scrapes, found.last_scrape, found.closed, found.cut_short), (2, Some(4_900), 0, false));
    // The control: a port that may also serve requests.
    let found = measured(&lines, &subject(5, &[]));
    assert_eq!((found.opened, found.last_opened, found.last_opened_port), (9, Some(4_900), Some(METRICS)));
    assert_eq!((found.scrapes, found.last_scrape, found.closed, found.cut_short), (0, None, 2, true));
}

#[test]
fn a_scrape_on_a_kept_connection_is_not_the_last_request_and_its_connection_is_not_open() {
    let used = |at: u64| metrics(at, PortSample { open: 1, kept_at: Some(at), ..port(METRICS) });
    let lines = recording([usual(), vec![each(3_000, 10_000, 1_000, used)]].concat());
    let found = measured(&lines, &scraped(5, &[]));
    assert_eq!((found.last_request, found.last_scrape), (LastRequest::None, Some(4_000)));
    assert_eq!((found.open_at_start, found.open_at_signal, found.open_at_most), (0, Some(0), 0));
    let found = measured(&lines, &subject(5, &[]));
    assert_eq!((found.last_request, found.last_scrape), (LastRequest::At(4_000), None));
    assert_eq!((found.open_at_signal, found.open_at_most), (Some(1), 1));
}

#[test]
fn a_pod_with_scrapes_alone_has_no_traffic() {
    let lines = recording([vec![signal(5_000), end(11_000)], each(500, 10_000, 1_500, scrape)]);
    let found = measured(&lines, &scraped(5, &[]));
    assert_eq!((found.opened_before, found.opened, found.last_opened, found.cut_short), (0, 0, None, false));
    assert_eq!(Advice::of(&[found]).drain, None);
    let found = measured(&lines, &subject(5, &[]));
    assert_eq!((found.opened_before, found.opened), (4, 3));
}

#[test]
fn a_scrape_that_no_look_saw_is_traffic() {
    let found = measured(&recording([usual(), vec![vec![unseen(7_000)]]].concat()), &scraped(5, &[]));
    assert_eq!((found.last_opened, found.scrapes), (Some(2_000), 0));
}

#[test]
fn scrapes_from_the_node_hide_no_probe_and_no_traffic() {
    // An agent of the node scrapes at times without a rhythm, also after the last probe.
    let agent = || vec![from_node(1_300), from_node(6_650), from_node(8_480), from_node(9_950)];
    let probes = |line: fn(u64) -> Line| each(40, 10_050, 1_000, line);
    let parts = [usual(), vec![agent(), probes(unseen)]].concat();
    let found = measured(&recording(parts), &scraped(5, &[1]));
    assert_eq!((found.opened, found.last_opened, found.probes, found.scrapes), (7, Some(140), 6, 3));
    assert_eq!((found.last_scrape, found.closed), (Some(4_950), 0));
    // The same beside a late connection that is no probe.
    let parts = [usual(), vec![agent(), probes(unseen), vec![unseen(8_700)]]].concat();
    let found = measured(&recording(parts), &scraped(5, &[1]));
    assert_eq!((found.last_opened, found.scrapes), (Some(3_700), 3));
}

#[test]
fn a_readiness_probe_of_a_port_for_monitoring_is_a_probe() {
    // Some of its connections are too short to be looked at.
    let probe = |at: u64| if at % 3_000 < 1_000 { unseen(at) } else { from_node(at) };
    let parts = [usual(), vec![each(40, 10_050, 1_000, probe)]].concat();
    let found = measured(&recording(parts), &scraped(5, &[1]));
    assert_eq!((found.last_opened, found.probes, found.last_probe, found.scrapes), (Some(140), 6, Some(5_040), 0));
    // Two of them were counted as closed, without a look, and the others belong to the port.
    assert_eq!(found.closed, 0);
}

#[test]
fn a_port_for_monitoring_that_closes_is_not_the_listener() {
    let none = |at: u64| metrics(at, PortSample { listening: false, ..port(METRICS) });
    let lines = recording([usual(), vec![vec![scrape(4_000), none(5_100), none(10_000)]]].concat());
    assert_eq!(measured(&lines, &scraped(5, &[])).listener_closed, Some(5_050));
    assert_eq!(measured(&lines, &subject(5, &[])).listener_closed, Some(100));
}
