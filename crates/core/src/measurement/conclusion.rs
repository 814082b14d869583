//! What the lines of a recording say about one stop.

use serde::Serialize;

use super::listeners::Listeners;
use super::probes::{Anonymous, Times};
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The preStop hook of the app, after which it gets SIGTERM; `None` if its length is unknown.
    pub hook: Option<Seconds>,
    /// The periods of the readiness probes of all containers that open a connection.
    pub readiness: Vec<Seconds>,
    /// Those of the liveness probes.
    pub liveness: Vec<Seconds>,
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
    /// Segments with RST that were sent after the listener was closed, without those for probes.
    pub refused: u64,
    /// The last of them.
    pub last_refused: Option<u64>,
    /// Whether traffic may have gone on for longer: some was refused, or the listener was closed, or the recording ended,
    /// too soon after the last new connection.
    pub cut_short: bool,
    /// All segments with RST since the start.
    pub resets: u64,
    /// Connections that the kernel dropped since the start.
    pub dropped: u64,
    /// Connections since the start that count as readiness probes: from the node, or too short to be seen, and in the
    /// rhythm of a probe from the start of the recording on.
    pub probes: u64,
    /// The last of them.
    pub last_probe: Option<u64>,
    /// Whether the recording has its end.
    pub complete: bool,
    /// Whether the app was killed, so that the time that it needs is unknown.
    pub killed: bool,
    /// The time from the app's SIGTERM to its end, as the API shows it.
    pub reported_app_time: Option<Seconds>,
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
        let listeners = Listeners::of(&samples, signal);
        let times = Times {
            begun: samples.first().map_or(signal, |sample| sample.at.min(signal)),
            signal,
            any_closed: listeners.any_closed(),
            closed: listeners.closed(),
        };
        let anonymous = Anonymous::of(&samples, subject, times);

        let relative = |at: u64| at.saturating_sub(signal);
        let is_after = |at: &u64| *at > signal;
        let opened = |port: &PortSample| Some((port.opened_at?, port.opened));
        let seen: Vec<(u64, u64)> = ports(&samples).filter_map(opened).filter(|(_, count)| *count > 0).collect();
        let (later, earlier): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(at, _)| is_after(at));
        let kept = ports(&after).filter_map(|port| port.kept_at).filter(is_after).max();
        let app_signal = subject.hook.map(|hook| hook.as_i64().unsigned_abs().saturating_mul(1_000));
        let open_by = |at: u64| samples.iter().rfind(|sample| sample.at <= at).map(|sample| open(sample));
        let finished = end.filter(|(_, reason)| *reason == EndReason::NoSockets).map(|(at, _)| at);
        let recorded_before = signal.saturating_sub(times.begun);
        let opened_before = sum(earlier.iter().copied()).saturating_add(anonymous.opened_before);
        let opened_after = sum(later.iter().copied()).saturating_add(sum(anonymous.traffic(times)));
        let refused = sum(anonymous.refused(times));
        let last = samples.last().map_or(0, |sample| sample.at).max(end.map_or(0, |(at, _)| at));
        let quiet = quiet(recorded_before, opened_before);
        let is_cut = listeners.are_cut(&anonymous.traffic(times).map(|(at, _)| at).collect::<Vec<_>>(), quiet, last);
        Some(Self {
            clock: start.clock.saturating_add(signal),
            recorded_before,
            opened_before,
            opened: opened_after,
            last_opened: later.iter().copied().chain(anonymous.traffic(times)).map(|(at, _)| relative(at)).max(),
            last_request: match kept {
                _ if !start.receipts => LastRequest::Unknown,
                None => LastRequest::None,
                Some(at) => LastRequest::At(relative(at)),
            },
            open_at_start: open_by(signal).unwrap_or(0),
            app_signal,
            open_at_signal: app_signal.and_then(|at| open_by(signal.saturating_add(at))),
            listener_closed: times.closed.map(relative),
            finished: finished.map(relative),
            open_at_end: open_at_end(&samples, finished),
            refused,
            last_refused: anonymous.refused(times).map(|(at, _)| relative(at)).max(),
            cut_short: refused > 0 || ((opened_before > 0 || opened_after > 0) && is_cut),
            resets: sum(after.iter().map(|sample| (sample.at, sample.resets))),
            dropped: sum(after.iter().map(|sample| (sample.at, sample.dropped))),
            probes: anonymous.probes,
            last_probe: anonymous.last_probe.map(relative),
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
fn open_at_end(samples: &[&Sample], finished: Option<u64>) -> usize {
    let is_last_look = |sample: &Sample| {
        finished.is_some_and(|end| end.saturating_sub(sample.at) < LOOK)
            && sample.ports.iter().all(|port| !port.listening && port.open == 0)
    };
    let mut newest = samples.iter().rev();
    newest.find(|sample| !is_last_look(sample)).map_or(0, |sample| open(sample))
}

fn ports<'a>(samples: &'a [&Sample]) -> impl Iterator<Item = &'a PortSample> {
    samples.iter().flat_map(|sample| &sample.ports)
}

fn open(sample: &Sample) -> usize {
    sample.ports.iter().fold(0, |sum, port| sum.saturating_add(port.open))
}

/// Of numbers with their times.
fn sum(counts: impl Iterator<Item = (u64, u64)>) -> u64 {
    counts.fold(0, |sum, (_, count)| sum.saturating_add(count))
}
