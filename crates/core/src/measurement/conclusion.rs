//! What the lines of a recording say about one stop.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{EndReason, Line, PortSample, Sample};
use crate::duration::Seconds;

/// Traffic that arrives this shortly before the listener closes, in milliseconds, might have gone on.
const STILL_ARRIVING: u64 = 500;
/// A probe of the kubelet opens at most one connection in this time, in milliseconds: its period is at least a second.
const PROBE_WINDOW: u64 = 300;

/// What is known of the pod besides the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The longest preStop hook, after which the app gets SIGTERM; `None` if a hook has an unknown length.
    pub hook: Option<Seconds>,
    /// The number of probes of all containers that open a connection.
    pub probes: u64,
}

/// The traffic during one stop. Times are milliseconds after the start of the termination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// The start of the termination by the clock of the node, in milliseconds since 1970.
    pub clock: u64,
    /// The time that was recorded before.
    pub recorded_before: u64,
    /// New connections in that time.
    pub opened_before: u64,
    /// New connections after the start.
    pub opened: u64,
    /// The last of them.
    pub last_opened: Option<u64>,
    /// The last request on a connection that was at least a second old.
    pub last_request: LastRequest,
    /// Open connections at the start.
    pub open_at_start: usize,
    /// When the app got SIGTERM; `None` if unknown.
    pub app_signal: Option<u64>,
    /// Open connections at that time.
    pub open_at_signal: Option<usize>,
    /// When the last port with traffic was closed.
    pub listener_closed: Option<u64>,
    /// When no process of the pod held a socket any more.
    pub finished: Option<u64>,
    /// Open connections in the last sample before that.
    pub open_at_end: usize,
    /// Segments with RST that were sent after the listener was closed.
    pub refused: u64,
    /// The last of them.
    pub last_refused: Option<u64>,
    /// All segments with RST since the start.
    pub resets: u64,
    /// Connections that the kernel dropped since the start.
    pub dropped: u64,
    /// Connections since the start that count as probes of the kubelet: from the node, or too short to be seen, and not more
    /// at a time than there are probes.
    pub probes: u64,
    /// Whether the recording has its end.
    pub complete: bool,
}

/// The last request on a kept connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "seen", content = "at")]
pub enum LastRequest {
    /// The kernel does not say when data arrived.
    Unknown,
    /// None after the start.
    None,
    /// At this time.
    At(u64),
}

impl Measurement {
    /// From all lines of a recording; `None` if it has no start or no SIGTERM.
    #[must_use]
    pub fn of(lines: &[Line], subject: Subject) -> Option<Self> {
        let start = lines.iter().find_map(|line| if let Line::Start(start) = line { Some(start) } else { None })?;
        let signal = lines.iter().find_map(|line| if let Line::Signal { at } = line { Some(*at) } else { None })?;
        let end = lines.iter().find_map(|line| match line {
            Line::End { at, reason } => Some((*at, *reason)),
            _ => None,
        });
        let samples: Vec<&Sample> =
            lines.iter().filter_map(|line| if let Line::Sample(sample) = line { Some(sample) } else { None }).collect();
        let (before, after): (Vec<&Sample>, Vec<&Sample>) = samples.iter().partition(|sample| sample.at <= signal);

        let begun = before.first().map_or(signal, |sample| sample.at);
        let anonymous = Anonymous::of(&samples, subject.probes);
        let relative = |at: u64| at.saturating_sub(signal);
        let last = |times: &mut dyn Iterator<Item = u64>| times.filter(|at| *at > signal).max().map(relative);
        let traffic_at = anonymous.traffic.iter().map(|(at, _)| *at);
        let last_opened = last(&mut ports(&after).filter_map(|port| port.opened_at).chain(traffic_at));
        let opened = |samples: &[&Sample]| ports(samples).map(|port| port.opened).sum::<u64>();
        let kept = last(&mut ports(&after).filter_map(|port| port.kept_at));
        let listener_closed = listener_closed(&samples).filter(|at| *at > signal).map(relative);
        let app_signal = subject.hook.map(|hook| hook.as_i64().unsigned_abs().saturating_mul(1_000));
        let open = |sample: Option<&&Sample>| sample.map(|sample| sample.ports.iter().map(|port| port.open).sum());
        let open_by = |at: u64| open(samples.iter().rfind(|sample| sample.at <= at));
        let refusals: Vec<_> =
            after.iter().filter(|sample| listener_closed.is_some_and(|closed| relative(sample.at) > closed)).collect();
        let mut refusing = refusals.iter().filter(|sample| sample.resets > 0);
        Some(Self {
            clock: start.clock.saturating_add(signal),
            recorded_before: signal.saturating_sub(begun),
            opened_before: opened(&before) + anonymous.traffic_in(0, signal),
            opened: opened(&after) + anonymous.traffic_in(signal, u64::MAX),
            last_opened,
            last_request: match kept {
                _ if !start.receipts => LastRequest::Unknown,
                None => LastRequest::None,
                Some(at) => LastRequest::At(at),
            },
            open_at_start: open_by(signal).unwrap_or(0),
            app_signal,
            open_at_signal: app_signal.and_then(|at| open_by(signal.saturating_add(at))),
            listener_closed,
            finished: end.filter(|(_, reason)| *reason == EndReason::NoSockets).map(|(at, _)| relative(at)),
            open_at_end: open(samples.last()).unwrap_or(0),
            refused: refusals.iter().map(|sample| sample.resets).sum(),
            last_refused: refusing.next_back().map(|sample| relative(sample.at)),
            resets: after.iter().map(|sample| sample.resets).sum(),
            dropped: after.iter().map(|sample| sample.dropped).sum(),
            probes: anonymous.probes.iter().filter(|(at, _)| *at > signal).map(|(_, count)| count).sum(),
            complete: end.is_some(),
        })
    }

    /// Whether traffic still arrived when the app stopped listening: it might have gone on for longer.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        let arrives = |closed: u64| self.last_opened.is_some_and(|last| last.saturating_add(STILL_ARRIVING) >= closed);
        self.listener_closed.is_some_and(|closed| self.refused > 0 || arrives(closed))
    }

    /// The time from the app's SIGTERM to its end; `None` if one of them is unknown.
    #[must_use]
    pub fn app_time(&self) -> Option<u64> {
        Some(self.finished?.saturating_sub(self.app_signal?))
    }
}

fn ports<'a>(samples: &'a [&Sample]) -> impl Iterator<Item = &'a PortSample> {
    samples.iter().flat_map(|sample| &sample.ports)
}

/// Connections of which it is not known who opened them: from an address of the node, which also forwards traffic, or so
/// short that no look saw them. The probes of the kubelet are among them. As the kubelet opens at most one connection for each
/// probe in [`PROBE_WINDOW`], more than that is traffic.
struct Anonymous {
    /// Times and numbers.
    traffic: Vec<(u64, u64)>,
    probes: Vec<(u64, u64)>,
}

impl Anonymous {
    fn of(samples: &[&Sample], probes: u64) -> Self {
        let mut all: Vec<(u64, u64)> = Vec::new();
        for sample in samples {
            all.extend(sample.ports.iter().filter_map(|port| Some((port.node_opened_at?, port.node_opened))));
            all.extend(sample.unseen_at.map(|at| (at, sample.unseen)));
        }
        all.sort_unstable();
        let mut first = 0;
        let mut within = 0_u64;
        let mut dense = Vec::with_capacity(all.len());
        for (index, (at, count)) in all.iter().enumerate() {
            within += count;
            while first < index && all[first].0.saturating_add(PROBE_WINDOW) <= *at {
                within -= all[first].1;
                first += 1;
            }
            dense.push(within > probes);
        }
        let (traffic, probes): (Vec<_>, Vec<_>) = all.into_iter().zip(dense).partition(|(_, dense)| *dense);
        let events = |events: Vec<((u64, u64), bool)>| events.into_iter().map(|(event, _)| event).collect();
        Self { traffic: events(traffic), probes: events(probes) }
    }

    /// The number of connections after one time and not after another one.
    fn traffic_in(&self, after: u64, until: u64) -> u64 {
        self.traffic.iter().filter(|(at, _)| *at > after && *at <= until).map(|(_, count)| count).sum()
    }
}

/// When the last port with traffic was closed; if no port had any, the last of all. `None` if one of them was not.
fn listener_closed(samples: &[&Sample]) -> Option<u64> {
    let (mut closed, mut with_traffic): (BTreeMap<u16, Option<u64>>, Vec<u16>) = Default::default();
    for sample in samples {
        for port in &sample.ports {
            let at = closed.entry(port.port).or_default();
            *at = if port.listening { None } else { at.or(Some(sample.at)) };
            if port.opened > 0 || port.open > 0 {
                with_traffic.push(port.port);
            }
        }
    }
    let of_interest = |port: &u16| with_traffic.is_empty() || with_traffic.contains(port);
    let times: Option<Vec<u64>> = closed.into_iter().filter(|(port, _)| of_interest(port)).map(|(_, at)| at).collect();
    times?.into_iter().max()
}
