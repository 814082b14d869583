//! From snapshots to samples.

use std::slice::from_ref;
use std::time::Duration;

use super::super::{Counters, Recorder, Sample, Snapshot, Socket, State};
use super::{connection, listener, snapshot, socket};

const NODE: &str = "10.0.0.1";

fn recorder() -> Recorder {
    Recorder::new([NODE.parse().unwrap()])
}

/// The samples of snapshots every 25 ms: what listens on port 8080 and these sockets, and the number of connections
/// since the start by the kernel.
fn samples(snapshots: impl IntoIterator<Item = (Vec<Socket>, u64)>) -> Vec<Sample> {
    let mut recorder = recorder();
    let mut all = Vec::new();
    for (index, (mut sockets, opened)) in (0_u64..).zip(snapshots) {
        sockets.push(listener("0.0.0.0:8080"));
        all.extend(recorder.take(&snapshot(index * 25, sockets, opened)));
    }
    all
}

/// What was opened in all samples: from outside, from the node, and not seen.
fn totals(samples: &[Sample]) -> (u64, u64, u64) {
    let ports = || samples.iter().flat_map(|sample| &sample.ports);
    let opened = ports().map(|port| port.opened).sum();
    (opened, ports().map(|port| port.node_opened).sum(), samples.iter().map(|sample| sample.unseen).sum())
}

/// The same sockets for more than a second, so that everything is given out.
fn rest(sockets: &[Socket], opened: u64) -> impl Iterator<Item = (Vec<Socket>, u64)> {
    std::iter::repeat_n((sockets.to_vec(), opened), 50)
}

#[test]
fn a_connection_is_new_once_and_what_was_there_before_is_not() {
    let (old, new) = (connection("10.0.0.9:1"), connection("10.0.0.9:2"));
    let first = [(vec![old.clone()], 7), (vec![old.clone(), new.clone()], 8)];
    let all = samples(first.into_iter().chain(rest(&[old, new], 8)));
    assert_eq!(totals(&all), (1, 0, 0));
    let noticed: Vec<_> = all.iter().filter_map(|sample| sample.ports[0].opened_at).collect();
    assert_eq!(noticed, [25]);
    assert_eq!(all.iter().map(|sample| sample.ports[0].open).collect::<Vec<_>>(), [1, 2, 2]);
}

#[test]
fn connections_of_the_node_are_counted_apart_also_as_ipv4_in_ipv6() {
    let probe = socket("[::ffff:10.0.0.5]:8080", "[::ffff:10.0.0.1]:40000", State::Closing);
    let all = samples([(vec![], 0), (vec![probe.clone()], 1)].into_iter().chain(rest(&[probe], 1)));
    assert_eq!(totals(&all), (0, 1, 0));
    assert_eq!(all[1].ports[0].node_opened_at, Some(25));
}

#[test]
fn the_same_connection_as_ipv4_and_in_ipv6_is_one() {
    let plain = connection("10.0.0.9:1");
    let mapped = socket("[::ffff:10.0.0.5]:8080", "[::ffff:10.0.0.9]:1", State::Closing);
    let all = samples([(vec![], 0), (vec![plain], 1), (vec![mapped.clone()], 1)].into_iter().chain(rest(&[mapped], 1)));
    assert_eq!(totals(&all), (1, 0, 0));
}

#[test]
fn connections_that_no_look_saw_are_counted_by_the_kernel() {
    let all = samples([(vec![], 0), (vec![], 3), (vec![], 3)].into_iter().chain(rest(&[], 5)));
    assert_eq!(totals(&all), (0, 0, 5));
    assert_eq!(all.iter().filter_map(|sample| sample.unseen_at).collect::<Vec<_>>(), [75]);
}

#[test]
fn a_connection_that_only_waits_for_its_end_was_opened_too() {
    let closed = socket("10.0.0.5:8080", "10.0.0.9:1", State::Closing);
    let all = samples([(vec![], 0), (vec![closed.clone()], 1)].into_iter().chain(rest(&[closed], 1)));
    assert_eq!(totals(&all), (1, 0, 0));
    assert!(all.iter().all(|sample| sample.ports[0].open == 0), "{all:?}");
}

#[test]
fn a_connection_that_is_being_opened_counts_when_it_is_open() {
    let opening = socket("10.0.0.5:8080", "10.0.0.9:1", State::Opening);
    let never = samples([(vec![], 0)].into_iter().chain(rest(from_ref(&opening), 0)));
    assert_eq!(totals(&never), (0, 0, 0));
    let open = connection("10.0.0.9:1");
    let all = samples([(vec![opening], 0), (vec![open.clone()], 1)].into_iter().chain(rest(&[open], 1)));
    assert_eq!(totals(&all), (1, 0, 0));
}

#[test]
fn a_connection_that_opens_between_counters_and_sockets_counts_once() {
    let new = connection("10.0.0.9:1");
    // The counters are read before the sockets, so the kernel counts it in the next snapshot.
    let all = samples([(vec![], 0), (vec![new.clone()], 0), (vec![new.clone()], 1)].into_iter().chain(rest(&[new], 1)));
    assert_eq!(totals(&all), (1, 0, 0));
}

#[test]
fn a_connection_that_one_list_of_the_kernel_misses_is_not_new() {
    let kept = connection("10.0.0.9:1");
    let once = [(vec![kept.clone()], 1), (vec![], 1), (vec![kept.clone()], 1)];
    assert_eq!(totals(&samples(once.into_iter().chain(rest(&[kept], 1)))), (0, 0, 0));
}

#[test]
fn a_socket_that_one_list_of_the_kernel_has_twice_counts_once() {
    let new = connection("10.0.0.9:1");
    let all = samples([(vec![], 0), (vec![new.clone(), new.clone()], 1)].into_iter().chain(rest(&[new], 1)));
    assert_eq!(totals(&all), (1, 0, 0));
    assert!(all.iter().all(|sample| sample.ports[0].open <= 1), "{all:?}");
}

#[test]
fn outgoing_connections_do_not_count() {
    let outgoing = socket("10.0.0.5:51000", "10.0.0.7:5432", State::Established);
    assert_eq!(totals(&samples([(vec![], 0)].into_iter().chain(rest(&[outgoing], 0)))), (0, 0, 0));
}

#[test]
fn what_a_proxy_opens_to_its_app_is_no_traffic() {
    // Envoy comes from 127.0.0.6, others from localhost or the address of the pod.
    for client in ["127.0.0.6:40000", "127.0.0.1:40000", "10.0.0.5:40000"] {
        let local = if client.starts_with("127.0.0.1") { "127.0.0.1:8080" } else { "10.0.0.5:8080" };
        let inner = socket(local, client, State::Established);
        let outer = connection("10.0.0.9:1");
        let both = [inner, outer];
        let all = samples([(vec![], 0), (both.to_vec(), 2)].into_iter().chain(rest(&both, 2)));
        assert_eq!(totals(&all), (1, 0, 0), "{client}");
        assert_eq!(all.last().unwrap().ports[0].open, 1, "{client}");
    }
}

#[test]
fn an_app_that_only_listens_on_localhost_has_no_traffic_of_its_own() {
    let listening = listener("127.0.0.1:9000");
    let inner = socket("127.0.0.1:9000", "127.0.0.1:40000", State::Established);
    let now = [listening.clone(), inner];
    let all = samples([(vec![listening], 0), (now.to_vec(), 1)].into_iter().chain(rest(&now, 1)));
    assert_eq!(totals(&all), (0, 0, 0));
    assert!(all.iter().all(|sample| sample.ports.len() == 1), "{all:?}");
}

#[test]
fn a_short_connection_inside_of_the_pod_is_known_by_the_end_of_its_client() {
    for app in ["127.0.0.1:9000", "127.0.0.1:8080"] {
        let listening = listener("127.0.0.1:9000");
        let client = socket("127.0.0.1:40000", app, State::Closing);
        let now = [listening.clone(), client];
        let all = samples([(vec![listening], 0), (now.to_vec(), 1)].into_iter().chain(rest(&now, 1)));
        assert_eq!(totals(&all), (0, 0, 0), "{app}");
    }
}

#[test]
fn an_outgoing_connection_from_a_port_that_is_open_on_localhost_hides_none() {
    let listening = listener("127.0.0.1:40000");
    let outgoing = socket("10.0.0.5:40000", "10.0.0.7:5432", State::Established);
    let now = [listening.clone(), outgoing];
    let all = samples([(vec![listening], 0), (now.to_vec(), 1)].into_iter().chain(rest(&now, 1)));
    assert_eq!(totals(&all), (0, 0, 1));
}

#[test]
fn a_connection_of_the_node_counts_as_open_when_it_is_too_old_for_a_probe() {
    let kept = connection("10.0.0.1:40000");
    let mut all = samples([(vec![], 0)].into_iter().chain(rest(&[kept], 1)));
    let last = all.pop().unwrap();
    assert!(all.iter().all(|sample| sample.ports[0].open == 0), "{all:?}");
    assert_eq!((last.at, last.ports[0].open), (1025, 1));
}

#[test]
fn samples_come_each_second_or_with_news_after_100_ms_or_with_a_port_at_once() {
    let mut recorder = recorder();
    let mut times = Vec::new();
    for at in (0..=3_000).step_by(25) {
        let mut sockets = vec![listener("0.0.0.0:8080")];
        // From 1,100 ms on there is a new connection at each look, until 1,300 ms.
        let opened = u64::try_from((at - 1_075_i64).clamp(0, 225) / 25).unwrap();
        sockets.extend((0..opened).map(|client| connection(&format!("10.0.0.9:{}", client + 1))));
        // Another port is open for one look.
        if at == 2_050 {
            sockets.push(listener("[::]:9090"));
        }
        let at = u64::try_from(at).unwrap();
        times.extend(recorder.take(&snapshot(at, sockets, opened)).map(|sample| sample.at));
    }
    assert_eq!(times, [0, 1_000, 1_100, 1_200, 1_300, 2_050, 2_075]);
}

#[test]
fn requests_on_a_kept_connection_have_their_time_and_first_requests_do_not() {
    let used =
        |client: &str, ago: Option<u64>| Socket { received: ago.map(Duration::from_millis), ..connection(client) };
    let mut recorder = recorder();
    let mut kept = Vec::new();
    for at in (0..=4_000_u64).step_by(25) {
        // There from the start, and used at 500 and at 2,000 ms.
        let last = [2_000, 500].into_iter().find_map(|time| at.checked_sub(time));
        let mut sockets = vec![listener("0.0.0.0:8080"), used("10.0.0.9:1", last)];
        // Opened at 1,000 ms, with its only request at 1,010 ms, and seen for as long as it stays open.
        sockets.extend((at >= 1_025).then(|| used("10.0.0.9:2", Some(at - 1_010))));
        let sample = recorder.take(&snapshot(at, sockets, u64::from(at >= 1_025)));
        kept.extend(sample.and_then(|sample| Some((sample.at, sample.ports[0].kept_at?))));
    }
    assert_eq!(kept, [(500, 500), (2_000, 2_000)]);
}

#[test]
fn a_connection_that_is_no_longer_used_causes_one_sample() {
    let mut recorder = recorder();
    let idle = |at: u64| Socket {
        received: Some(Duration::from_millis((at + at % 3).saturating_sub(50))),
        ..connection("10.0.0.9:1")
    };
    let given = (0..10_000).step_by(25).filter(|at| {
        let at = *at;
        // It was last used after 50 ms; the kernel's answers differ by a few milliseconds.
        recorder.take(&snapshot(at, vec![listener("0.0.0.0:8080"), idle(at)], 0)).is_some()
    });
    assert_eq!(given.count(), 11);
}

#[test]
fn resets_dropped_connections_and_bytes_are_differences() {
    let mut recorder = recorder();
    let mut take = |at, resets, dropped| {
        let (overflows, received, sent) = (dropped / 2, resets * 1_000, resets * 2_000);
        let counters = Counters { opened: 0, resets, dropped, overflows, received, sent };
        recorder.take(&Snapshot { at: Duration::from_millis(at), sockets: Vec::new(), counters })
    };
    let first = take(0, 100, 50).unwrap();
    assert_eq!((first.resets, first.dropped), (0, 0));
    assert_eq!(take(25, 101, 50), None);
    let second = take(100, 103, 51).unwrap();
    assert_eq!((second.at, second.resets, second.dropped), (100, 3, 1));
    assert_eq!((second.overflows, second.received, second.sent), (0, 3_000, 6_000));
    // A counter never goes back; if one does, nothing is known.
    let third = take(1_100, 0, 0).unwrap();
    assert_eq!((third.resets, third.dropped, third.received), (0, 0, 0));
}

/// Connections that were closed in all samples: from outside, and from the node.
fn closed(samples: &[Sample]) -> (u64, u64) {
    let ports = || samples.iter().flat_map(|sample| &sample.ports);
    (ports().map(|port| port.closed).sum(), ports().map(|port| port.node_closed).sum())
}

#[test]
fn a_connection_is_closed_once_when_one_end_closes_it_or_when_it_is_gone() {
    let (client, node) = (connection("10.0.0.9:1"), connection("10.0.0.1:40000"));
    let closing = Socket { state: State::Closing, ..client.clone() };
    let open = || [(vec![client.clone(), node.clone()], 0)];
    for (name, later, expected) in [
        ("open", vec![client.clone(), node.clone()], (0, 0)),
        ("one end has closed it", vec![closing.clone(), node.clone()], (1, 0)),
        ("gone", vec![client.clone()], (0, 1)),
        ("both are gone", vec![], (1, 1)),
    ] {
        assert_eq!(closed(&samples(open().into_iter().chain(rest(&later, 0)))), expected, "{name}");
    }
    // It waits for its end, and then it is gone.
    let all = open().into_iter().chain(rest(from_ref(&closing), 0)).chain(rest(&[], 0));
    assert_eq!(closed(&samples(all)), (1, 1));
    // No look saw it open.
    let all = [(vec![], 0), (vec![closing.clone()], 1)].into_iter().chain(rest(from_ref(&closing), 1));
    assert_eq!(closed(&samples(all)), (1, 0));
}

#[test]
fn a_connection_that_one_list_of_the_kernel_misses_was_not_closed() {
    let kept = connection("10.0.0.9:1");
    let once = [(vec![kept.clone()], 1), (vec![], 1), (vec![kept.clone()], 1)];
    assert_eq!(closed(&samples(once.into_iter().chain(rest(&[kept], 1)))), (0, 0));
}

#[test]
fn what_the_last_look_does_not_have_is_closed_at_the_end() {
    let mut recorder = recorder();
    let _first = recorder.take(&snapshot(0, vec![listener("0.0.0.0:8080"), connection("10.0.0.9:1")], 0));
    let last = recorder.take(&snapshot(25, Vec::new(), 0)).unwrap();
    let rest = recorder.rest(Duration::from_millis(25));
    assert_eq!((closed(&[last]), closed(&[rest])), ((0, 0), (1, 0)));
}

#[test]
fn what_was_seen_before_a_signal_is_not_in_the_next_sample() {
    let mut recorder = recorder();
    let sockets =
        |open: bool| [vec![listener("0.0.0.0:8080")], vec![connection("10.0.0.9:1"); usize::from(open)]].concat();
    let _first = recorder.take(&snapshot(0, sockets(false), 0));
    assert_eq!(recorder.take(&snapshot(25, sockets(true), 2)), None);
    let before = recorder.so_far(Duration::from_millis(30));
    assert_eq!((totals(from_ref(&before)), before.ports[0].open), ((1, 0, 1), 1));
    let after: Vec<_> =
        (2..60).filter_map(|look: u64| recorder.take(&snapshot(look * 25, sockets(false), 2))).collect();
    assert_eq!((totals(&after), closed(&after)), ((0, 0, 0), (1, 0)));
}

#[test]
fn connections_inside_of_the_pod_and_to_others_are_not_closed_ones() {
    let inner = socket("10.0.0.5:8080", "10.0.0.5:40000", State::Established);
    let outgoing = socket("10.0.0.5:51000", "10.0.0.7:5432", State::Established);
    assert_eq!(closed(&samples([(vec![inner, outgoing], 0)].into_iter().chain(rest(&[], 0)))), (0, 0));
}

#[test]
fn no_more_ports_are_followed_than_the_limit() {
    let many: Vec<_> = (1..=1_000).map(|port| listener(&format!("0.0.0.0:{port}"))).collect();
    let sample = recorder().take(&snapshot(0, many, 0)).unwrap();
    assert_eq!(sample.ports.len(), 64);
}

#[test]
fn a_pod_is_held_while_a_process_has_a_socket() {
    let of_kernel = socket("10.0.0.5:8080", "10.0.0.9:1", State::Closing);
    assert!(!snapshot(0, vec![of_kernel.clone()], 0).is_held());
    assert!(snapshot(0, vec![of_kernel, listener("127.0.0.1:9000")], 0).is_held());
    assert!(!snapshot(0, Vec::new(), 0).is_held());
}
