//! A simulated kernel: what was opened is what the samples say, whatever the looks miss.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{Counters, Recorder, Sample, Snapshot, Socket, State};
use super::{listener, socket};

/// What one connection does: where from, and at which looks it is open, waits for its end, and is gone.
#[derive(Clone, Debug)]
struct Life {
    client: &'static str,
    opened: usize,
    open: usize,
    waiting: usize,
    /// Whether it is opened after the counters are read, and before the sockets.
    late: bool,
    /// A look at which the list of the kernel does not have it.
    missed: Option<usize>,
}

const CLIENTS: [&str; 4] = ["10.0.0.9", "10.0.0.1", "127.0.0.1", "10.0.0.5"];
const LOOKS: usize = 60;

fn life() -> impl Strategy<Value = Life> {
    let missed = proptest::option::of(2..10_usize);
    (0..CLIENTS.len(), 1..LOOKS - 5, 0..10_usize, 0..10_usize, any::<bool>(), missed).prop_map(
        |(client, opened, open, waiting, late, missed)| Life {
            client: CLIENTS[client],
            opened,
            open,
            waiting,
            // One that is gone at the next look has no look at which it could be late.
            late: late && open > 0,
            missed: missed.map(|after| opened + after),
        },
    )
}

/// The sockets and the counter at one look.
fn look(lives: &[Life], look: usize) -> Snapshot {
    let mut sockets = vec![listener("[::]:8080")];
    let mut opened = 0;
    for (number, life) in (1..).zip(lives) {
        opened += u64::from(life.opened + usize::from(life.late) <= look);
        let (closing, gone) = (life.opened + life.open, life.opened + life.open + life.waiting);
        if look < life.opened || look >= gone || life.missed == Some(look) {
            continue;
        }
        let local = if life.client == "127.0.0.1" { "127.0.0.1:8080" } else { "10.0.0.5:8080" };
        let client = format!("{}:{number}", life.client);
        let state = if look < closing { State::Established } else { State::Closing };
        sockets.push(socket(local, &client, state));
        // The other end, where both are in the pod.
        if life.client == "127.0.0.1" || life.client == "10.0.0.5" {
            sockets.push(socket(&client, local, state));
        }
    }
    let at = Duration::from_millis(25 * look as u64);
    Snapshot { at, sockets, counters: Counters { opened, ..Counters::default() } }
}

fn record(snapshots: impl Iterator<Item = Snapshot>) -> Vec<Sample> {
    let mut recorder = Recorder::new(["10.0.0.1".parse().unwrap()]);
    snapshots.filter_map(|snapshot| recorder.take(&snapshot)).collect()
}

fn any_socket() -> impl Strategy<Value = Socket> {
    let port = || 1..4_u16;
    let received = proptest::option::of(prop_oneof![0..5_000_u64, any::<u64>()]);
    (0..CLIENTS.len(), port(), 0..CLIENTS.len(), port(), 0..13_u8, received).prop_map(
        |(local, port, remote, client, state, received)| Socket {
            received: received.map(Duration::from_millis),
            ..socket(
                &format!("{}:{port}", CLIENTS[local]),
                &format!("{}:{client}", CLIENTS[remote]),
                State::from_kernel(state),
            )
        },
    )
}

proptest! {
    #[test]
    fn every_connection_is_counted_once(lives in proptest::collection::vec(life(), 0..12)) {
        // The last two seconds are quiet, so that everything is given out.
        let samples = record((0..LOOKS + 80).map(|number| look(&lives, number)));
        let count = |of: fn(&Sample) -> u64| samples.iter().map(of).sum::<u64>();
        let opened = count(|sample| sample.ports.iter().map(|port| port.opened).sum());
        let of_node = count(|sample| sample.ports.iter().map(|port| port.node_opened).sum());
        let unseen = count(|sample| sample.unseen);
        let is_seen = |life: &&Life| life.open + life.waiting > 0;
        let from = |client: &str| lives.iter().filter(is_seen).filter(|life| life.client == client).count() as u64;
        prop_assert_eq!((opened, of_node), (from("10.0.0.9"), from("10.0.0.1")));
        let closed = count(|sample| sample.ports.iter().map(|port| port.closed).sum());
        let closed_of_node = count(|sample| sample.ports.iter().map(|port| port.node_closed).sum());
        prop_assert_eq!((closed, closed_of_node), (opened, of_node));
        prop_assert_eq!(unseen, lives.iter().filter(|life| !is_seen(life)).count() as u64);
    }

    #[test]
    fn no_snapshots_cause_a_panic(
        snapshots in proptest::collection::vec(
            (
                prop_oneof![(0..5_000_u64).prop_map(Duration::from_millis), Just(Duration::MAX), Just(Duration::ZERO)],
                proptest::collection::vec(any_socket(), 0..8),
                [prop_oneof![0..9_u64, Just(u64::MAX)], prop_oneof![0..9_u64, Just(u64::MAX)], prop_oneof![0..9_u64, Just(u64::MAX)]],
            ),
            0..30,
        ),
    ) {
        let mut recorder = Recorder::new(["10.0.0.1".parse().unwrap()]);
        for (at, sockets, [opened, resets, dropped]) in snapshots {
            let sample = recorder.take(&Snapshot { at, sockets, counters: Counters { opened, resets, dropped, overflows: dropped, received: opened, sent: resets } });
            prop_assert!(sample.is_none_or(|sample| sample.ports.len() <= 64));
        }
    }
}
