//! The annotation to write, from the measurements of several pods: the worst counts.

use std::fmt;

use serde::Serialize;

use super::{LastRequest, Measurement};
use crate::duration::Seconds;

/// What the measurements suggest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// The time of the last connection, or of the last one that was refused, in milliseconds; `None` without any.
    pub measured_drain: Option<u64>,
    /// The longest time from the app's SIGTERM to its end, in milliseconds; `None` if one of them is unknown.
    pub measured_deadline: Option<u64>,
    /// For `winddown.dev/drain`; `None` without any traffic.
    pub drain: Option<Seconds>,
    /// Whether traffic may have gone on for longer than was seen, so that the drain has to be measured again.
    pub drain_is_a_guess: bool,
    /// For `winddown.dev/deadline`; `None` if the end of the app was not seen.
    pub deadline: Option<Seconds>,
}

impl Advice {
    /// From the measurements of all pods.
    ///
    /// The drain is the time of the last new connection, half as much again, and one second, because another node or
    /// balancer may be slower. If traffic was cut off, it is twice the time until then, and at least 5 s. The deadline
    /// is the longest time of the app, 15 % more, and one second, up to the next 5 s. With a shorter drain, an app that
    /// waited for its connections needs the difference, too.
    #[must_use]
    pub fn of(measurements: &[Measurement]) -> Self {
        let has_traffic =
            |measured: &&Measurement| measured.opened_before > 0 || measured.opened > 0 || measured.refused > 0;
        let drain = measurements.iter().filter(has_traffic).map(drain).max();
        let needed = measurements.iter().map(|measured| needed(measured, drain)).collect::<Option<Vec<_>>>();
        let own = measurements.iter().map(Measurement::needed_app_time).collect::<Option<Vec<_>>>();
        Self {
            measured_drain: measurements.iter().filter_map(last).max(),
            measured_deadline: own.and_then(|times| times.into_iter().max()),
            drain,
            drain_is_a_guess: measurements.iter().any(|measured| measured.cut_short),
            deadline: needed.and_then(|times| times.into_iter().max()).map(deadline),
        }
    }
}

impl fmt::Display for Advice {
    /// The annotations as arguments of `kubectl annotate`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drain = self.drain.map(|drain| format!("winddown.dev/drain={drain}"));
        let deadline = self.deadline.map(|deadline| format!("winddown.dev/deadline={deadline}"));
        f.write_str(&drain.into_iter().chain(deadline).collect::<Vec<_>>().join(" "))
    }
}

/// The last sign of traffic.
fn last(measured: &Measurement) -> Option<u64> {
    measured.last_opened.max(measured.last_refused)
}

fn drain(measured: &Measurement) -> Seconds {
    let last = last(measured).unwrap_or(0);
    if measured.cut_short {
        return whole(last.saturating_mul(2)).max(Seconds::new(5));
    }
    whole(last.saturating_mul(3) / 2 + 1_000)
}

/// The time that the app needs after its SIGTERM, if it comes after this drain.
fn needed(measured: &Measurement, drain: Option<Seconds>) -> Option<u64> {
    let own = measured.needed_app_time()?;
    let drain = drain.map_or(u64::MAX, |drain| drain.as_i64().unsigned_abs().saturating_mul(1_000));
    let earlier = measured.app_signal?.saturating_sub(drain);
    let was_used = matches!(measured.last_request, LastRequest::At(at) if at >= drain);
    let waited = measured.open_at_signal.is_some_and(|open| open > 0) || was_used;
    Some(if waited { own.saturating_add(earlier) } else { own })
}

fn deadline(needed: u64) -> Seconds {
    let more = needed.saturating_mul(115) / 100 + 1_000;
    let fives = more.div_ceil(5_000).max(1);
    whole(fives.saturating_mul(5_000))
}

/// Rounded up.
fn whole(milliseconds: u64) -> Seconds {
    let seconds = u32::try_from(milliseconds.div_ceil(1_000)).unwrap_or(u32::MAX);
    Seconds::new(seconds).min(Seconds::MAX)
}
