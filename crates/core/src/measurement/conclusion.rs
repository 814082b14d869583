//! What the lines of a recording say about one stop.

use std::collections::BTreeSet;

use serde::Serialize;

use super::listeners::Listeners;
use super::probes::{Anonymous, MAX_PROBES, Opened, Times, milliseconds};
use super::{EndReason, Line, PortSample, Sample};
use crate::duration::Seconds;
use crate::observation::{Outcome, Stop};

/// Without traffic for this long before the listener closes, in milliseconds, it counts as ended.
const QUIET: u64 = 500;
/// The same, as a number of the mean times between two connections: with random times, one of 20 gaps is longer.
const QUIET_GAPS: u64 = 3;
/// Between two looks, in milliseconds. A sample this shortly before the end is that of the last look.
const LOOK: u64 = 25;
/// The times of the API have whole seconds, so they count only if they are longer by this, in milliseconds.
const API_PRECISION: u64 = 2_000;

/// What is known of the pod besides the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The preStop hook of the app, after which it gets SIGTERM; `None` if its length is unknown.
    pub hook: Option<Seconds>,
    /// The periods of the readiness probes of all containers that open a connection.
    pub readiness: Vec<Seconds>,
    /// Those of the liveness probes.
    pub liveness: Vec<Seconds>,
    /// The ports that are only for monitoring: connections to them are scrapes, and no traffic.
    pub monitoring: BTreeSet<u16>,
}

impl Subject {
    /// The most connections that the probes can open in this time, in milliseconds.
    pub(super) fn most_probes(&self, span: u64) -> u64 {
        let periods = self.readiness.iter().chain(&self.liveness).take(2 * MAX_PROBES);
        sum(periods.map(|period| span / milliseconds(*period) + 1))
    }

    pub(super) fn monitors(&self, port: u16) -> bool {
        self.monitoring.contains(&port)
    }
}

/// The traffic during one stop. Times are milliseconds after the start of the termination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// The start of the termination by the clock of the node, in milliseconds since 1970.
    pub clock: u64,
    /// The time that was recorded before.
    pub recorded_before: u64,
    /// New connections in that time, without those that can be probes.
    pub opened_before: u64,
    /// New connections after the start, without probes.
    pub opened: u64,
    /// The last of them.
    pub last_opened: Option<u64>,
    /// The port of the pod to which it came; `None` if it was too short to be looked at.
    pub last_opened_port: Option<u16>,
    /// Connections after the start that are no longer established, without probes.
    pub closed: u64,
    /// The last request on a connection that was at least a second old.
    pub last_request: LastRequest,
    /// Open connections at the start.
    pub open_at_start: usize,
    /// When the app got SIGTERM; `None` if unknown.
    pub app_signal: Option<u64>,
    /// Open connections at that time.
    pub open_at_signal: Option<usize>,
    /// When the first port with traffic was closed.
    pub listener_closed: Option<u64>,
    /// When no process of the pod held a socket any more.
    pub finished: Option<u64>,
    /// Open connections in the last sample before that.
    pub open_at_end: usize,
    /// The most open connections at the start, or in a sample after it.
    pub open_at_most: usize,
    /// Segments with RST that were sent after the listener was closed, without those for probes.
    pub refused: u64,
    /// The last of them.
    pub last_refused: Option<u64>,
    /// Why the drain was too short, if something shows that it was.
    pub too_short: Option<TooShort>,
    /// Whether traffic may have gone on for longer: some was refused, or the listener was closed, or the recording ended,
    /// too soon after the last new connection.
    pub cut_short: bool,
    /// All segments with RST since the start.
    pub resets: u64,
    /// Connections that the kernel dropped since the start.
    pub dropped: u64,
    /// Those of them for which the queue of the app was full.
    pub overflows: u64,
    /// Bytes that arrived over the network since the start: of all protocols and connections, with all headers.
    pub received_bytes: u64,
    /// The same, of what was sent.
    pub sent_bytes: u64,
    /// Connections since the start that count as readiness probes: from the node, or too short to be seen, and in the
    /// rhythm of a probe from the start of the recording on.
    pub probes: u64,
    /// The last of them.
    pub last_probe: Option<u64>,
    /// The ports that are only for monitoring.
    pub monitoring_ports: Vec<u16>,
    /// Connections to them since the start.
    pub scrapes: u64,
    /// The last of them, or the last request on one that was at least a second old.
    pub last_scrape: Option<u64>,
    /// Whether the recording has its end.
    pub complete: bool,
    /// Whether the app was killed, so that the time that it needs is unknown.
    pub killed: bool,
    /// The time from the app's SIGTERM to its end, as the API shows it.
    pub reported_app_time: Option<Seconds>,
}

/// What shows that a drain was too short. In both cases new connections came until the app stopped listening: a late segment
/// of a closed connection also causes a reset, and an app that goes on listening for long enough refuses none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TooShort {
    /// Some were refused then.
    Refused,
    /// The last of them came after the app's SIGTERM.
    Late,
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
    pub fn of(lines: &[Line], subject: &Subject) -> Option<Self> {
        let start = lines.iter().find_map(|line| if let Line::Start(start) = line { Some(start) } else { None })?;
        let signal = lines.iter().find_map(|line| if let Line::Signal { at } = line { Some(*at) } else { None })?;
        let end = lines.iter().find_map(|line| match line {
            Line::End { at, reason } => Some((*at, *reason)),
            _ => None,
        });
        let samples: Vec<&Sample> =
            lines.iter().filter_map(|line| if let Line::Sample(sample) = line { Some(sample) } else { None }).collect();
        let after: Vec<&Sample> = samples.iter().copied().filter(|sample| sample.at > signal).collect();
        let listeners = Listeners::of(&samples, signal, subject);
        let times = Times {
            begun: samples.first().map_or(signal, |sample| sample.at.min(signal)),
            signal,
            any_closed: listeners.any_closed(),
            closed: listeners.closed(),
        };
        let anonymous = Anonymous::of(&samples, subject, times);

        let relative = |at: u64| at.saturating_sub(signal);
        let is_after = |at: &u64| *at > signal;
        let seen = |monitoring: bool| ports(&samples).filter(move |port| subject.monitors(port.port) == monitoring);
        let opened = |monitoring: bool| seen(monitoring).filter(|port| port.opened > 0).filter_map(Opened::seen);
        let kept = |monitoring: bool| seen(monitoring).filter_map(|port| port.kept_at).filter(is_after).max();
        let opened_after = |opened: &Opened| opened.at > signal;
        let traffic: Vec<_> = opened(false).filter(opened_after).chain(anonymous.traffic(times)).collect();
        let scrapes: Vec<_> = opened(true).filter(opened_after).chain(anonymous.scrapes(times)).collect();
        let newest = traffic.iter().max_by_key(|opened| opened.at);
        let last_scrape = scrapes.iter().map(|opened| opened.at).chain(kept(true)).max();

        let open = |sample: &Sample| open(sample, subject);
        let app_signal = subject.hook.map(|hook| hook.as_i64().unsigned_abs().saturating_mul(1_000));
        let open_by = |at: u64| samples.iter().rfind(|sample| sample.at <= at).map(|sample| open(sample));
        let finished = end.filter(|(_, reason)| *reason == EndReason::NoSockets).map(|(at, _)| at);
        let recorded_before = signal.saturating_sub(times.begun);
        let earlier = opened(false).filter(|opened| !opened_after(opened)).map(|opened| opened.count);
        let opened_before = sum(earlier).saturating_add(anonymous.opened_before);
        let opened_after = sum(traffic.iter().map(|opened| opened.count));
        let refused = sum(anonymous.refused(times).map(|(_, count)| count));
        let last = samples.last().map_or(0, |sample| sample.at).max(end.map_or(0, |(at, _)| at));
        let quiet = quiet(recorded_before, opened_before);
        let anonymous_traffic: Vec<Opened> = anonymous.traffic(times).collect();
        let has_traffic = opened_before > 0 || opened_after > 0;
        let is_cut = has_traffic && listeners.are_cut(&anonymous_traffic, quiet, last);
        let cut_at = listeners.last_before_closed(&anonymous_traffic, quiet).filter(|_| has_traffic);
        let too_short = |cut_at| match app_signal {
            _ if refused > 0 => Some(TooShort::Refused),
            Some(at) if relative(cut_at) > at => Some(TooShort::Late),
            _ => None,
        };
        let of_all = |count: fn(&Sample) -> u64| sum(after.iter().map(|sample| count(sample)));
        Some(Self {
            clock: start.clock.saturating_add(signal),
            recorded_before,
            opened_before,
            opened: opened_after,
            last_opened: newest.map(|opened| relative(opened.at)),
            last_opened_port: newest.and_then(|opened| opened.port),
            closed: closed(&after, subject).saturating_sub(anonymous.probe_connections),
            last_request: match kept(false) {
                _ if !start.receipts => LastRequest::Unknown,
                None => LastRequest::None,
                Some(at) => LastRequest::At(relative(at)),
            },
            open_at_start: open_by(signal).unwrap_or(0),
            app_signal,
            open_at_signal: app_signal.and_then(|at| open_by(signal.saturating_add(at))),
            listener_closed: times.closed.map(relative),
            finished: finished.map(relative),
            open_at_end: open_at_end(&samples, finished, subject),
            open_at_most: after.iter().map(|sample| open(sample)).chain(open_by(signal)).max().unwrap_or(0),
            refused,
            last_refused: anonymous.refused(times).map(|(at, _)| relative(at)).max(),
            too_short: cut_at.and_then(too_short),
            cut_short: refused > 0 || is_cut,
            resets: of_all(|sample| sample.resets),
            dropped: of_all(|sample| sample.dropped),
            overflows: of_all(|sample| sample.overflows),
            received_bytes: of_all(|sample| sample.received),
            sent_bytes: of_all(|sample| sample.sent),
            probes: anonymous.probes,
            last_probe: anonymous.last_probe.map(relative),
            monitoring_ports: subject.monitoring.iter().copied().collect(),
            scrapes: sum(scrapes.iter().map(|opened| opened.count)),
            last_scrape: last_scrape.map(relative),
            complete: end.is_some(),
            killed: false,
            reported_app_time: None,
        })
    }

    /// Adds what the API shows of the end: an app may go on for a while without a socket, and one that was killed would
    /// have needed more.
    #[must_use]
    pub fn with_stop(mut self, stop: &Stop) -> Self {
        self.killed = matches!(
            stop.outcome,
            Outcome::Killed | Outcome::CutShort | Outcome::KilledOtherwise | Outcome::OutOfMemory
        );
        self.reported_app_time = stop.app_time;
        self
    }

    /// The time from the app's SIGTERM until it held no socket; `None` if one of them is unknown.
    #[must_use]
    pub fn app_time(&self) -> Option<u64> {
        Some(self.finished?.saturating_sub(self.app_signal?))
    }

    /// The time from the app's SIGTERM to its end, if it ended by itself.
    pub(super) fn needed_app_time(&self) -> Option<u64> {
        let seen = self.app_time().filter(|_| !self.killed)?;
        let reported = self.reported_app_time.map_or(0, |time| time.as_i64().unsigned_abs().saturating_mul(1_000));
        Some(if reported > seen.saturating_add(API_PRECISION) { reported } else { seen })
    }
}

/// How long no connection has to come until traffic counts as ended.
fn quiet(recorded: u64, opened: u64) -> u64 {
    recorded.saturating_mul(QUIET_GAPS).checked_div(opened).unwrap_or_default().max(QUIET)
}

/// A last look that shows no socket says nothing about the time before.
fn open_at_end(samples: &[&Sample], finished: Option<u64>, subject: &Subject) -> usize {
    let is_last_look = |sample: &Sample| {
        finished.is_some_and(|end| end.saturating_sub(sample.at) < LOOK)
            && sample.ports.iter().all(|port| !port.listening && port.open == 0)
    };
    let mut newest = samples.iter().rev();
    newest.find(|sample| !is_last_look(sample)).map_or(0, |sample| open(sample, subject))
}

fn ports<'a>(samples: &'a [&Sample]) -> impl Iterator<Item = &'a PortSample> {
    samples.iter().flat_map(|sample| &sample.ports)
}

fn open(sample: &Sample, subject: &Subject) -> usize {
    let serving = sample.ports.iter().filter(|port| !subject.monitors(port.port));
    serving.fold(0, |sum, port| sum.saturating_add(port.open))
}

/// Connections that were closed, with those of probes. One that no look saw was closed, too.
fn closed(samples: &[&Sample], subject: &Subject) -> u64 {
    let serving = ports(samples).filter(|port| !subject.monitors(port.port));
    let seen = serving.map(|port| port.closed.saturating_add(port.node_closed));
    sum(seen.chain(samples.iter().map(|sample| sample.unseen)))
}

impl Opened {
    /// Those that a look saw, from other addresses than those of the node.
    fn seen(port: &PortSample) -> Option<Self> {
        Some(Self { at: port.opened_at?, port: Some(port.port), count: port.opened })
    }
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}
