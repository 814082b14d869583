//! The labels of a timeline, shared by text and SVG.

use winddown_core::duration::Seconds;
use winddown_core::plan::timeline::{Activity, Lane, Timeline};

/// What a container does in a phase, for the legend.
pub(crate) const fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::PreStop => "preStop",
        Activity::UnknownPreStop => "preStop (assumed)",
        Activity::Serving => "still serving",
        Activity::Stopping => "finishes and exits",
        Activity::Slack => "slack",
    }
}

/// `SIGTERM 5s`, with a question mark where the time is an assumption.
pub(crate) fn signal(lane: &Lane, timeline: &Timeline) -> String {
    let unknown = lane.phases.iter().any(|phase| phase.activity == Activity::UnknownPreStop);
    match lane.signal_at().filter(|at| *at < timeline.kill_at) {
        Some(at) => format!("{} {at}{}", lane.signal, if unknown { "?" } else { "" }),
        None => format!("no {}", lane.signal),
    }
}

/// `SIGKILL at 30s, 15s before the app exits`
pub(crate) fn kill(timeline: &Timeline) -> String {
    let Timeline { kill_at, .. } = timeline;
    match timeline.killed_early() {
        Seconds::ZERO => format!("SIGKILL at {kill_at}"),
        early => format!("SIGKILL at {kill_at}, {early} before the app exits"),
    }
}
