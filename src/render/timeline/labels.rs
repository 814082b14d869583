//! The labels of a timeline, shared by text and SVG.

use crate::render::sanitize::sanitize;
use winddown_core::plan::lanes::Role;
use winddown_core::plan::timeline::{Activity, Lane, Timeline};

/// What a container does in a phase, for the legend.
pub(crate) const fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::PreStop => "preStop",
        Activity::UnknownPreStop => "preStop (assumed)",
        Activity::Serving => "still serving",
        Activity::Stopping => "finishes and exits",
        Activity::UnknownStop => "exits (time unknown)",
        Activity::Slack => "slack",
    }
}

/// `SIGTERM 5s`, with a question mark where the time is an assumption. At the end of the grace period, the kubelet sends
/// the signal to a container that did not get it, and waits two seconds.
pub(crate) fn signal(lane: &Lane, timeline: &Timeline) -> String {
    let unknown = lane.phases.iter().any(|phase| phase.activity == Activity::UnknownPreStop);
    if lane.signal_at < timeline.kill_at {
        format!("{} {}{}", lane.signal, lane.signal_at, if unknown { "?" } else { "" })
    } else {
        format!("{} {}, 2s left", lane.signal, timeline.kill_at)
    }
}

/// `SIGKILL at 30s, 15s before the app exits`
pub(crate) fn kill(timeline: &Timeline) -> String {
    let kill = format!("SIGKILL at {}", timeline.kill_at);
    match timeline.killed_early() {
        None => kill,
        Some((lane, early)) if lane.role == Role::App => format!("{kill}, {early} before the app exits"),
        Some((lane, early)) => format!("{kill}, {early} before {} exits", sanitize(&lane.container)),
    }
}
