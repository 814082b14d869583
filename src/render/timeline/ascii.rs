//! Draws a timeline with characters.

use std::io::{self, Write};

use super::labels;
use super::layout::{Scale, visible_lanes};
use crate::render::sanitize::sanitize;
use crate::render::styles::Styles;
use winddown_core::duration::Seconds;
use winddown_core::plan::timeline::{Activity, Lane, Timeline};
use winddown_core::sanitize::truncated;

const WIDTH: usize = 56;
const MAX_NAME: usize = 24;
const KILL: char = '┃';
const TOO_LATE: char = '╳';

/// A line of times, a bar for each container, and the legend.
pub(crate) fn draw(timeline: &Timeline, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let (lanes, more) = visible_lanes(timeline);
    let scale = Scale::new(timeline, WIDTH, 1);
    let names: Vec<_> = lanes.iter().map(|lane| truncated(&sanitize(&lane.container), MAX_NAME).into_owned()).collect();
    let indent = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    writeln!(out, "  {:indent$}  {}", "", numbers(&scale, timeline))?;
    for (name, lane) in names.iter().zip(lanes) {
        write!(out, "  {name:indent$}  ")?;
        bar(lane, &scale, timeline.kill_at, styles, out)?;
        writeln!(out, "  {}", truncated(&sanitize(&labels::signal(lane, timeline)), MAX_NAME))?;
    }
    if more > 0 {
        writeln!(out, "  {:indent$}  and {more} more", "")?;
    }
    legend(timeline, lanes, indent, styles, out)
}

fn numbers(scale: &Scale, timeline: &Timeline) -> String {
    let mut line = String::new();
    for (time, position) in scale.numbers(timeline.kill_at, 1) {
        // The symbol of SIGKILL takes one column.
        let position = position + usize::from(time > timeline.kill_at);
        let gap = position.saturating_sub(line.chars().count());
        line.push_str(&" ".repeat(gap));
        line.push_str(&time.to_string());
    }
    line
}

fn bar(lane: &Lane, scale: &Scale, kill_at: Seconds, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let kill = styles.kill();
    let mut killed = false;
    for (start, from, to) in scale.intervals() {
        if start == kill_at {
            write!(out, "{kill}{KILL}{kill:#}")?;
            killed = true;
        }
        let (symbol, style) = match lane.activity(start) {
            None => (' ', styles.dim),
            Some(_) if killed => (TOO_LATE, kill),
            Some(activity) => (symbol(activity), styles.activity(activity)),
        };
        write!(out, "{style}{}{style:#}", symbol.to_string().repeat(to - from))?;
    }
    if killed { Ok(()) } else { write!(out, "{kill}{KILL}{kill:#}") }
}

fn symbol(activity: Activity) -> char {
    match activity {
        Activity::PreStop => '▒',
        Activity::UnknownPreStop => '?',
        Activity::Serving => '─',
        Activity::Stopping => '█',
        Activity::UnknownStop => '·',
        Activity::Slack => '░',
    }
}

/// Explains the symbols that are in use.
fn legend(timeline: &Timeline, lanes: &[Lane], indent: usize, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    write!(out, "  {:indent$}  ", "")?;
    // A phase that begins after SIGKILL is drawn with `TOO_LATE`.
    let drawn = |activity: Activity| {
        let mut phases = lanes.iter().flat_map(|lane| &lane.phases);
        phases.any(|phase| phase.activity == activity && phase.start < timeline.kill_at)
    };
    for activity in Activity::ALL {
        if drawn(activity) {
            let style = styles.activity(activity);
            write!(out, "{style}{}{style:#} {}  ", symbol(activity), labels::activity(activity))?;
        }
    }
    let kill = styles.kill();
    if timeline.killed_early().is_some() {
        write!(out, "{kill}{TOO_LATE}{kill:#} after SIGKILL  ")?;
    }
    writeln!(out, "{kill}{KILL}{kill:#} {}", labels::kill(timeline))
}
