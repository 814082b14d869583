//! How a pod stops today and with Winddown, as bars on one scale.

use maud::{Markup, html};

use crate::render::svg::class;
use crate::render::timeline::labels;
use crate::render::timeline::layout::{Scale, times, visible_lanes};
use winddown_core::current_shutdown::CurrentShutdown;
use winddown_core::duration::Seconds;
use winddown_core::evaluation::Evaluation;
use winddown_core::plan::lanes::Role;
use winddown_core::plan::timeline::{Activity, Lane, Timeline};

/// The units of a bar, which is as wide as the screen permits.
const WIDTH: usize = 1000;
/// The minimum width of a phase.
const MIN_PHASE: usize = 14;
/// The width of a character on the narrowest screen.
const CHARACTER: usize = 26;

/// Both shutdowns, one above the other. `None` for a workload without a budget.
pub(super) fn charts(evaluation: &Evaluation, current: Option<&CurrentShutdown>) -> Option<Markup> {
    let (budget, planned) = (evaluation.budget.as_ref()?, evaluation.timeline.as_ref()?);
    let now = current.map(|current| &current.timeline);
    let all = now.into_iter().flat_map(times).chain(times(planned)).chain([budget.drain]);
    let scale = Scale::of(all, WIDTH, MIN_PHASE);
    let traffic = current.is_none_or(|current| current.takes_requests == Some(true)).then_some(budget.drain);
    let is_same = now.is_some_and(|now| now.kill_at == planned.kill_at && evaluation.changes.is_empty());
    let title = match (is_same, evaluation.changes.rolls_out()) {
        (true, _) => "Today, with this budget",
        (false, true) => "With Winddown",
        // Nothing would be injected: it does not fit, or Winddown only reports.
        (false, false) => "With this budget",
    };
    Some(html! {
        div.charts {
            @if let Some(now) = now.filter(|_| !is_same) {
                (chart("Today", now, traffic, &scale))
            }
            (chart(title, planned, traffic, &scale))
        }
    })
}

fn chart(title: &str, timeline: &Timeline, traffic: Option<Seconds>, scale: &Scale) -> Markup {
    let (lanes, more) = visible_lanes(timeline);
    // The app that stops first.
    let apps = lanes.iter().filter(|lane| lane.role == Role::App);
    let stops = apps.map(|lane| lane.signal_at).min().unwrap_or_default();
    let early = timeline.killed_early().is_some();
    html! {
        figure.chart {
            figcaption {
                b { (title) } " "
                span class={ "kill-label" @if early { " early" } } { (labels::kill(timeline)) }
            }
            div.bars role="img" aria-label=(in_words(timeline, traffic)) {
                @if let Some(drain) = traffic.filter(|drain| *drain > Seconds::ZERO) {
                    div.who { "new requests" }
                    (bar(scale, timeline.kill_at, traffic_parts(drain, stops)))
                }
                @for lane in lanes {
                    div.who { span.container { (lane.container) } " " span.signal { (labels::signal(lane, timeline)) } }
                    (bar(scale, timeline.kill_at, phase_parts(lane, timeline.kill_at)))
                }
                @if more > 0 { div.who { "and " (more) " more" } div {} }
                div {}
                svg.axis width="100%" height="16" {
                    @for (time, position, anchor) in numbers(scale, timeline.kill_at) {
                        text x=(percent(position)) y="12" text-anchor=(anchor) { (time) }
                    }
                }
            }
        }
    }
}

/// The times below the bars. One that would be cut off at the right ends at its position; it takes the place of others.
fn numbers(scale: &Scale, kill_at: Seconds) -> Vec<(Seconds, usize, &'static str)> {
    let width = |time: Seconds| time.to_string().len() * CHARACTER;
    let mut numbers: Vec<(Seconds, usize, &'static str)> = Vec::new();
    for (time, position) in scale.numbers(kill_at, CHARACTER).into_iter().rev() {
        let is_cut = position + width(time) > WIDTH;
        let end = if is_cut { position } else { position + width(time) };
        let next =
            numbers.last().map(|&(next, at, anchor)| if anchor == "end" { at - width(next).min(at) } else { at });
        if next.is_none_or(|next| end + CHARACTER / 2 <= next) {
            numbers.push((time, position, if is_cut { "end" } else { "start" }));
        }
    }
    numbers.reverse();
    numbers
}

/// A part of a bar: its class, its time and its label.
type Part = (&'static str, Seconds, Seconds, String);

/// Requests that arrive after the signal meet an app that is stopping.
fn traffic_parts(drain: Seconds, stops: Seconds) -> Vec<Part> {
    let served = ("traffic", Seconds::ZERO, drain.min(stops), format!("new requests until {}", drain.min(stops)));
    let late = ("lost", stops, drain, format!("new requests after the stop signal, until {drain}"));
    [served, late].into_iter().filter(|(_, start, end, _)| start < end).collect()
}

fn phase_parts(lane: &Lane, kill_at: Seconds) -> Vec<Part> {
    let mut parts = Vec::new();
    for phase in &lane.phases {
        let label = |end: Seconds| format!("{} {} – {end}", labels::activity(phase.activity), phase.start);
        let (in_time, after) = (phase.end.min(kill_at), phase.start.max(kill_at));
        if phase.start < in_time {
            parts.push((class(phase.activity), phase.start, in_time, label(phase.end)));
        }
        if after < phase.end {
            parts.push(("late", after, phase.end, format!("after SIGKILL {after} – {}", phase.end)));
        }
    }
    parts
}

fn bar(scale: &Scale, kill_at: Seconds, parts: Vec<Part>) -> Markup {
    html! {
        svg.bar width="100%" height="16" {
            @for (class, start, end, label) in parts {
                @let (from, to) = (scale.position(start), scale.position(end));
                rect class=(class) x=(percent(from)) width=(percent(to - from)) height="16" { title { (label) } }
            }
            @let kill = scale.position(kill_at);
            line.kill x1=(percent(kill)) x2=(percent(kill)) y1="0" y2="16" {}
        }
    }
}

/// Thousandths of the width.
fn percent(position: usize) -> String {
    format!("{}.{}%", position / 10, position % 10)
}

/// The picture for those who do not see it.
fn in_words(timeline: &Timeline, traffic: Option<Seconds>) -> String {
    let mut words: Vec<_> = traffic.iter().map(|drain| format!("new requests arrive until {drain}")).collect();
    for lane in visible_lanes(timeline).0 {
        let phases = lane.phases.iter().filter(|phase| phase.activity != Activity::Slack);
        let phases =
            phases.map(|phase| format!("{} from {} to {}", labels::activity(phase.activity), phase.start, phase.end));
        words.push(format!("{}: {}", lane.container, phases.collect::<Vec<_>>().join(", ")));
    }
    words.push(labels::kill(timeline));
    words.join("; ")
}

/// What the colours mean, and the patterns that all bars use.
pub(super) fn legend() -> Markup {
    let phases = Activity::ALL.map(|activity| (class(activity), labels::activity(activity)));
    let others =
        [("traffic", "new requests"), ("lost", "new requests after the stop signal"), ("late", "after SIGKILL")];
    html! {
        ul.legend aria-label="Legend of the timelines" {
            @for (class, label) in others.into_iter().chain(phases) {
                li { svg width="14" height="14" aria-hidden="true" { rect class=(class) width="14" height="14" {} } (label) }
            }
            li { svg width="3" height="14" aria-hidden="true" { line.kill x1="1" x2="1" y1="0" y2="14" {} } "SIGKILL" }
        }
        svg.patterns width="0" height="0" aria-hidden="true" {
            defs {
                (stripes("winddown-unknown", "pre-stop"))
                (stripes("winddown-unknown-stop", "stopping"))
                (stripes("winddown-late", "kill-stripe"))
            }
        }
    }
}

fn stripes(id: &str, class: &str) -> Markup {
    html! {
        pattern id=(id) width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
            rect.stripe-ground width="6" height="6" {}
            rect class=(class) width="3" height="6" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHARACTER, Scale, Seconds, WIDTH, numbers};

    #[test]
    fn no_number_covers_another_or_leaves_the_chart() {
        for ends in [vec![0, 5, 15, 30, 40, 45], vec![0, 5, 30, 35], vec![0, 1, 2, 3], vec![0, 10, 86_400]] {
            let scale = Scale::of(ends.iter().map(|end| Seconds::new(*end)), WIDTH, 14);
            let kill_at = Seconds::new(*ends.last().unwrap());
            let numbers = numbers(&scale, kill_at);
            assert!(numbers.iter().any(|(time, ..)| *time == kill_at), "{numbers:?}");
            let mut end = 0;
            for (time, position, anchor) in numbers {
                let width = time.to_string().len() * CHARACTER;
                let start = if anchor == "end" { position - width } else { position };
                assert!(start >= end, "{time} begins at {start}, before {end}");
                end = start + width;
            }
            assert!(end <= WIDTH, "{end}");
        }
    }
}
