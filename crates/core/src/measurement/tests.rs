//! Texts of the kernel, snapshots and lines, and the numbers that follow from them.

mod advice;
mod conclusion;
mod lines;
mod monitoring;
mod parsers;
mod probes;
mod recorder;
mod simulated;

use std::time::Duration;

use super::{Counters, EndReason, Line, Measurement, PortSample, Sample, Snapshot, Socket, Start, State, Subject};
use crate::duration::Seconds;

/// A socket of the pod, without anything received.
fn socket(local: &str, remote: &str, state: State) -> Socket {
    let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
    Socket { local, remote, state, held: state != State::Closing, received: None }
}

fn listener(local: &str) -> Socket {
    let unspecified = if local.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    socket(local, unspecified, State::Listen)
}

/// A connection of this client to port 8080 of the pod.
fn connection(client: &str) -> Socket {
    socket("10.0.0.5:8080", client, State::Established)
}

fn snapshot(at: u64, sockets: Vec<Socket>, opened: u64) -> Snapshot {
    Snapshot { at: Duration::from_millis(at), sockets, counters: Counters { opened, ..Counters::default() } }
}

/// Seconds of a pod without traffic, with one port that listens, and nothing else.
fn port(number: u16) -> PortSample {
    PortSample { port: number, listening: true, ..PortSample::default() }
}

/// One new connection in the last 100 ms.
fn opened(at: u64) -> Line {
    sample(at, vec![PortSample { opened: 1, opened_at: Some(at), ..port(8080) }])
}

/// One connection that no look saw.
fn unseen(at: u64) -> Line {
    Line::Sample(Sample { at, ports: vec![port(8080)], unseen: 1, unseen_at: Some(at), ..Sample::default() })
}

/// One connection from an address of the node.
fn from_node(at: u64) -> Line {
    sample(at, vec![PortSample { node_opened: 1, node_opened_at: Some(at), ..port(8080) }])
}

/// Resets that were sent, and nothing listens.
fn resets(at: u64, resets: u64) -> Line {
    let port = PortSample { listening: false, ..port(8080) };
    Line::Sample(Sample { at, ports: vec![port], resets, ..Sample::default() })
}

fn sample(at: u64, ports: Vec<PortSample>) -> Line {
    Line::Sample(Sample { at, ports, ..Sample::default() })
}

/// Port 8080 was closed.
fn closed(at: u64) -> Line {
    sample(at, vec![PortSample { listening: false, ..port(8080) }])
}

/// SIGTERM to the container, in most tests five seconds after its start.
fn signal(at: u64) -> Line {
    Line::Signal { at }
}

fn end(at: u64) -> Line {
    Line::End { at, reason: EndReason::NoSockets }
}

/// A recording of these lines in the order of their times, with its start.
fn recording(parts: impl IntoIterator<Item = Vec<Line>>) -> Vec<Line> {
    let start = Start { clock: 1_770_000_000_000, version: "0.1.0".to_owned(), node: Vec::new(), receipts: true };
    let mut lines: Vec<Line> = parts.into_iter().flatten().collect();
    lines.sort_by_key(|line| match line {
        Line::Start(_) => (0, 0),
        Line::Sample(sample) => (sample.at, 0),
        Line::Signal { at } => (*at, 1),
        Line::End { at, .. } => (*at, 2),
    });
    lines.insert(0, Line::Start(start));
    lines
}

/// One line for each time: from, before, and in steps of these milliseconds.
fn each(from: u64, until: u64, step: usize, line: impl Fn(u64) -> Line) -> Vec<Line> {
    (from..until).step_by(step).map(line).collect()
}

/// A pod with this hook, and readiness probes of these periods, in seconds.
fn subject(hook: u32, readiness: &[u32]) -> Subject {
    let readiness = readiness.iter().copied().map(Seconds::new).collect();
    Subject { hook: Some(Seconds::new(hook)), readiness, ..Subject::default() }
}

fn measured(lines: &[Line], subject: &Subject) -> Measurement {
    Measurement::of(lines, subject).unwrap()
}
