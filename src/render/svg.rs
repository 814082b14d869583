//! The plan as a picture: one SVG that needs nothing from elsewhere, for a page or a pull request.

use std::fmt::{self, Display, Write as _};
use std::io;

use super::planned::Planned;
use super::sanitize::cut;
use super::timeline::labels;
use super::timeline::layout::{Scale, shown};
use winddown_core::duration::Seconds;
use winddown_core::finding::Finding;
use winddown_core::timeline::{Activity, Lane, Timeline};

const WIDTH: usize = 960;
const MARGIN: usize = 16;
/// Where bars begin, and how long the longest is.
const BARS: (usize, usize) = (190, 560);
/// No phase is narrower than this.
const LEAST: usize = 3;
/// About what a character takes in a monospaced font of 12 pixels.
const CHARACTER: usize = 8;
const LONGEST_NAME: usize = 22;
const LONGEST_LINE: usize = 124;
const LINE: usize = 20;
const BAR: usize = 14;
const KILL: usize = 2;

/// Dark on light, on a ground of its own: readable where the page is dark, too.
const STYLE: &str = "\
.winddown text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; white-space: pre }
.winddown .name { font-weight: bold } .winddown .dim { fill: #59636e } .winddown .error { fill: #b3131b }
.winddown .warning { fill: #8a5a00 } .winddown .info { fill: #0b5a9d } .winddown .pre-stop { fill: #6ea8dc }
.winddown .unknown { fill: url(#winddown-unknown) } .winddown .serving { fill: #b8c0c8 } .winddown .stopping { fill: #3f9d5a }
.winddown .slack { fill: #e4e8ec } .winddown .late { fill: url(#winddown-late) } .winddown .kill { fill: #b3131b }";

const PATTERNS: &str = "\
<pattern id=\"winddown-unknown\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"8\" height=\"8\" fill=\"#d6e6f5\"/><rect width=\"4\" height=\"8\" fill=\"#6ea8dc\"/></pattern>
<pattern id=\"winddown-late\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(-45)\">\
<rect width=\"6\" height=\"6\" fill=\"#fbd5d5\"/><rect width=\"2\" height=\"6\" fill=\"#b3131b\"/></pattern>";

/// One picture of all workloads.
pub(crate) fn svg(planned: &[Planned], out: &mut impl io::Write) -> io::Result<()> {
    let mut picture = Picture { body: String::new(), y: MARGIN };
    for planned in planned {
        // Writing to a string cannot fail.
        picture.workload(planned).map_err(io::Error::other)?;
    }
    picture.legend().map_err(io::Error::other)?;
    let (height, title) = (picture.y + MARGIN, format!("Shutdown of {}", titles(planned)));
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         class=\"winddown\" role=\"img\" aria-labelledby=\"winddown-title\">\n<title id=\"winddown-title\">{}</title>\n<style>\n{STYLE}\n</style>\n<defs>\n{PATTERNS}\n\
         </defs>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>",
        Escaped(&title)
    )?;
    out.write_all(picture.body.as_bytes())?;
    writeln!(out, "</svg>")
}

fn titles(planned: &[Planned]) -> String {
    match planned {
        [] => "nothing".to_owned(),
        [only] => only.title(),
        several => format!("{} workloads", several.len()),
    }
}

/// What is drawn so far, and where the next line goes.
struct Picture {
    body: String,
    y: usize,
}

impl Picture {
    fn workload(&mut self, planned: &Planned) -> fmt::Result {
        let settlement = &planned.settlement;
        let title = cut(&format!("{} ({})", planned.title(), planned.place()), LONGEST_LINE);
        self.line(MARGIN, "name", &title)?;
        match &settlement.budget {
            Some(budget) => self.line(MARGIN, "sum", &cut(&budget.to_string(), LONGEST_LINE))?,
            None if settlement.findings.is_empty() => self.line(MARGIN, "dim", "nothing declared")?,
            None => {}
        }
        if let Some(timeline) = &settlement.timeline {
            self.timeline(timeline)?;
        }
        settlement.findings.iter().try_for_each(|finding| self.finding(finding))?;
        self.y += LINE / 2;
        Ok(())
    }

    fn timeline(&mut self, timeline: &Timeline) -> fmt::Result {
        let (lanes, more) = shown(timeline);
        let (left, width) = BARS;
        let scale = Scale::new(timeline, width, LEAST);
        for (time, place) in scale.numbers(timeline.kill_at, CHARACTER) {
            self.text(left + place, "dim", &time.to_string())?;
        }
        self.y += LINE;
        let top = self.y;
        for lane in lanes {
            self.text(MARGIN, "lane", &cut(&lane.container, LONGEST_NAME))?;
            self.bar(lane, &scale, timeline.kill_at)?;
            let end = scale.place(timeline.kill_at.max(timeline.done));
            self.line(left + end + CHARACTER, "dim", &cut(&labels::signal(lane, timeline), LONGEST_NAME))?;
        }
        let kill = left + scale.place(timeline.kill_at) - KILL / 2;
        self.block("kill", (kill, top), (KILL, self.y - top), &labels::kill(timeline))?;
        if more > 0 {
            self.line(MARGIN, "dim", &format!("and {more} more"))?;
        }
        if timeline.killed_early() > Seconds::ZERO {
            self.line(left, "error", &labels::kill(timeline))?;
        }
        Ok(())
    }

    fn bar(&mut self, lane: &Lane, scale: &Scale, kill_at: Seconds) -> fmt::Result {
        for phase in &lane.phases {
            let what = format!("{} {} – {}", labels::meaning(phase.activity), phase.start, phase.end);
            let in_time = phase.start.min(kill_at)..phase.end.min(kill_at);
            let too_late = phase.start.max(kill_at)..phase.end;
            for (class, time) in [(class(phase.activity), in_time), ("late", too_late)] {
                if time.start < time.end {
                    let (from, to) = (scale.place(time.start), scale.place(time.end));
                    self.block(class, (BARS.0 + from, self.bar_top()), (to - from, BAR), &what)?;
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
        what: &str,
    ) -> fmt::Result {
        write!(self.body, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\">")?;
        writeln!(self.body, "<title>{}</title></rect>", Escaped(what))
    }

    fn finding(&mut self, finding: &Finding) -> fmt::Result {
        self.line(MARGIN, finding.severity.as_str(), &cut(&finding.to_string(), LONGEST_LINE))
    }

    fn legend(&mut self) -> fmt::Result {
        let signs = Activity::ALL.map(|activity| (class(activity), labels::meaning(activity)));
        let mut x = MARGIN;
        for (class, meaning) in signs.into_iter().chain([("late", "too late"), ("kill", "SIGKILL")]) {
            let width = if class == "kill" { KILL } else { BAR };
            self.block(class, (x, self.bar_top()), (width, BAR), meaning)?;
            self.text(x + BAR + CHARACTER, "dim", meaning)?;
            x += BAR + (meaning.len() + 3) * CHARACTER;
        }
        self.y += LINE;
        Ok(())
    }

    /// A line of text, and on to the next.
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

fn class(activity: Activity) -> &'static str {
    match activity {
        Activity::PreStop => "pre-stop",
        Activity::UnknownPreStop => "unknown",
        Activity::Serving => "serving",
        Activity::Stopping => "stopping",
        Activity::Slack => "slack",
    }
}

/// Text as it may stand in XML, which also knows characters that may not stand there at all.
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
                char if char.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}
