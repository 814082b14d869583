//! The timelines as one SVG that loads nothing from elsewhere.

mod lines;

use std::fmt::{self, Display, Write as _};
use std::io;

use self::lines::{INDENT, shortened, wrapped};
use super::sanitize::sanitize;
use super::timeline::labels;
use super::timeline::layout::{Scale, visible_lanes};
use super::workload::Workload;
use winddown_core::duration::Seconds;
use winddown_core::finding::Finding;
use winddown_core::plan::timeline::{Activity, Lane, Timeline};
use winddown_core::sanitize::{is_control, truncated};

const WIDTH: usize = 960;
const MARGIN: usize = 16;
/// Where the bars begin, and their maximum width.
const BARS: (usize, usize) = (190, 560);
/// The minimum width of a phase.
const MIN_PHASE: usize = 3;
/// The approximate width of a character in a monospaced font of 12 pixels.
const CHARACTER: usize = 8;
/// The maximum columns of a name beside a bar.
const MAX_NAME: usize = 21;
/// The maximum characters of a title: names in a file have no limit.
const MAX_TITLE: usize = 500;
const LINE: usize = 20;
const BAR: usize = 14;
const KILL: usize = 2;

/// Dark text on its own light background, so that it is readable on a dark page.
const STYLE: &str = "\
.winddown text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; white-space: pre }
.winddown .name { font-weight: bold } .winddown .dim { fill: #59636e } .winddown .error { fill: #b3131b }
.winddown .warning { fill: #8a5a00 } .winddown .info { fill: #0b5a9d } .winddown .pre-stop { fill: #6ea8dc }
.winddown .unknown { fill: url(#winddown-unknown) } .winddown .serving { fill: #b8c0c8 } .winddown .stopping { fill: #3f9d5a }
.winddown .unknown-stop { fill: url(#winddown-unknown-stop) } \
.winddown .slack { fill: #e4e8ec } .winddown .late { fill: url(#winddown-late) } .winddown .kill { fill: #b3131b }";

const PATTERNS: &str = "\
<pattern id=\"winddown-unknown\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"8\" height=\"8\" fill=\"#d6e6f5\"/><rect width=\"4\" height=\"8\" fill=\"#6ea8dc\"/></pattern>
<pattern id=\"winddown-unknown-stop\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"8\" height=\"8\" fill=\"#e4e8ec\"/><rect width=\"2\" height=\"8\" fill=\"#3f9d5a\"/></pattern>
<pattern id=\"winddown-late\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(-45)\">\
<rect width=\"6\" height=\"6\" fill=\"#fbd5d5\"/><rect width=\"2\" height=\"6\" fill=\"#b3131b\"/></pattern>";

/// One image of all workloads.
pub(crate) fn svg(workloads: &[Workload], out: &mut impl io::Write) -> io::Result<()> {
    let mut image = Image { body: String::new(), y: MARGIN };
    for workload in workloads {
        // Writing to a string cannot fail.
        image.workload(workload).map_err(io::Error::other)?;
    }
    image.legend().map_err(io::Error::other)?;
    let height = image.y + MARGIN;
    let title = format!("Shutdown of {}", truncated(&titles(workloads), MAX_TITLE));
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         class=\"winddown\" role=\"img\" aria-labelledby=\"winddown-title\">\n<title id=\"winddown-title\">{}</title>\n<style>\n{STYLE}\n</style>\n<defs>\n{PATTERNS}\n\
         </defs>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>",
        Escaped(&title)
    )?;
    out.write_all(image.body.as_bytes())?;
    writeln!(out, "</svg>")
}

fn titles(workloads: &[Workload]) -> String {
    match workloads {
        [] => "no workloads".to_owned(),
        [only] => only.title(),
        _ => format!("{} workloads", workloads.len()),
    }
}

/// The elements so far, and the position of the next line.
struct Image {
    body: String,
    y: usize,
}

impl Image {
    fn workload(&mut self, workload: &Workload) -> fmt::Result {
        let evaluation = &workload.evaluation;
        let assumed = if workload.assumed.is_some() { ", assumed" } else { "" };
        let title = format!("{} ({}){assumed}", workload.title(), workload.location());
        self.paragraph(MARGIN, "name", &truncated(&title, MAX_TITLE))?;
        match &evaluation.budget {
            Some(budget) => self.paragraph(MARGIN, "sum", &budget.to_string())?,
            None if evaluation.findings.is_empty() => self.line(MARGIN, "dim", "not opted in")?,
            None => {}
        }
        if let Some(timeline) = &evaluation.timeline {
            self.timeline(timeline)?;
        }
        evaluation.findings.iter().try_for_each(|finding| self.finding(finding))?;
        self.y += LINE / 2;
        Ok(())
    }

    fn timeline(&mut self, timeline: &Timeline) -> fmt::Result {
        let (lanes, more) = visible_lanes(timeline);
        let (left, width) = BARS;
        let scale = Scale::new(timeline, width, MIN_PHASE);
        for (time, position) in scale.numbers(timeline.kill_at, CHARACTER) {
            self.text(left + position, "dim", &time.to_string())?;
        }
        self.y += LINE;
        let top = self.y;
        for lane in lanes {
            self.text(MARGIN, "lane", &shortened(&sanitize(&lane.container), MAX_NAME))?;
            self.bar(lane, &scale, timeline.kill_at)?;
            let signal = labels::signal(lane, timeline);
            self.line(left + scale.end() + CHARACTER, "dim", &shortened(&sanitize(&signal), MAX_NAME))?;
        }
        let kill = left + scale.position(timeline.kill_at) - KILL / 2;
        self.block("kill", (kill, top), (KILL, self.y - top), &labels::kill(timeline))?;
        if more > 0 {
            self.line(MARGIN, "dim", &format!("and {more} more"))?;
        }
        if timeline.killed_early().is_some() {
            self.paragraph(left, "error", &labels::kill(timeline))?;
        }
        Ok(())
    }

    fn bar(&mut self, lane: &Lane, scale: &Scale, kill_at: Seconds) -> fmt::Result {
        for phase in &lane.phases {
            let title = format!("{} {} – {}", labels::activity(phase.activity), phase.start, phase.end);
            let in_time = phase.start.min(kill_at)..phase.end.min(kill_at);
            let after_kill = phase.start.max(kill_at)..phase.end;
            for (class, time) in [(class(phase.activity), in_time), ("late", after_kill)] {
                if time.start < time.end {
                    let (from, to) = (scale.position(time.start), scale.position(time.end));
                    self.block(class, (BARS.0 + from, self.bar_top()), (to - from, BAR), &title)?;
                }
            }
        }
        Ok(())
    }

    fn bar_top(&self) -> usize {
        self.y + (LINE - BAR) / 2
    }

    fn block(
        &mut self,
        class: &str,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        title: &str,
    ) -> fmt::Result {
        write!(self.body, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\">")?;
        writeln!(self.body, "<title>{}</title></rect>", Escaped(title))
    }

    fn finding(&mut self, finding: &Finding) -> fmt::Result {
        self.paragraph(MARGIN, finding.severity.as_str(), &finding.to_string())
    }

    fn legend(&mut self) -> fmt::Result {
        let entries = Activity::ALL.map(|activity| (class(activity), labels::activity(activity)));
        let mut x = MARGIN;
        for (class, label) in entries.into_iter().chain([("late", "after SIGKILL"), ("kill", "SIGKILL")]) {
            let entry = BAR + (label.len() + 3) * CHARACTER;
            if x + entry > WIDTH {
                x = MARGIN;
                self.y += LINE;
            }
            let width = if class == "kill" { KILL } else { BAR };
            self.block(class, (x, self.bar_top()), (width, BAR), label)?;
            self.text(x + BAR + CHARACTER, "dim", label)?;
            x += entry;
        }
        self.y += LINE;
        Ok(())
    }

    /// Writes all of a text in as many lines as it needs.
    fn paragraph(&mut self, x: usize, class: &str, text: &str) -> fmt::Result {
        let columns = (WIDTH - MARGIN - x) / CHARACTER;
        wrapped(&sanitize(text), columns).iter().enumerate().try_for_each(|(at, line)| {
            let indent = if at == 0 { 0 } else { INDENT * CHARACTER };
            self.line(x + indent, class, line)
        })
    }

    /// Writes a line of text and moves to the next line.
    fn line(&mut self, x: usize, class: &str, text: &str) -> fmt::Result {
        self.text(x, class, text)?;
        self.y += LINE;
        Ok(())
    }

    fn text(&mut self, x: usize, class: &str, text: &str) -> fmt::Result {
        let baseline = self.y + BAR;
        writeln!(self.body, "<text class=\"{class}\" x=\"{x}\" y=\"{baseline}\">{}</text>", Escaped(text))
    }
}

/// The class of a phase in the stylesheet.
pub(crate) fn class(activity: Activity) -> &'static str {
    match activity {
        Activity::PreStop => "pre-stop",
        Activity::UnknownPreStop => "unknown",
        Activity::Serving => "serving",
        Activity::Stopping => "stopping",
        Activity::UnknownStop => "unknown-stop",
        Activity::Slack => "slack",
    }
}

/// Text with the special characters of XML escaped, and those that XML does not allow replaced.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                char if is_control(char) => f.write_char(char::REPLACEMENT_CHARACTER)?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}
