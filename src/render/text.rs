//! The plan for people.

use std::io::{self, Write};

use serde_json::Value;

use super::planned::{Planned, count};
use super::sanitize::plain;
use super::timeline::ascii;
use crate::render::styles::Styles;
use winddown_core::annotations::{MODE, Mode, OPTING_IN};
use winddown_core::evaluation::Settlement;
use winddown_core::finding::{Finding, Severity};
use winddown_core::injection::Record;

/// Sum, timeline, findings and changes of each workload, and what it comes to.
pub(crate) fn text(planned: &[Planned], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let mut previous_was_long = false;
    for (at, planned) in planned.iter().enumerate() {
        let long = !says_nothing(&planned.settlement);
        if at > 0 && (long || previous_was_long) {
            writeln!(out)?;
        }
        previous_was_long = long;
        let bold = styles.heading;
        write!(out, "{bold}{}{bold:#} ({})", planned.title(), planned.place())?;
        if long {
            writeln!(out)?;
            workload(planned, styles, out)?;
        } else {
            writeln!(out, ": {}", nothing(planned.settlement.mode))?;
        }
    }
    let findings = planned.iter().any(|planned| !planned.settlement.findings.is_empty());
    if planned.len() > 1 || findings {
        writeln!(out, "\n{}", summary(planned, styles))?;
    }
    Ok(())
}

fn says_nothing(settlement: &Settlement) -> bool {
    settlement.budget.is_none() && settlement.findings.is_empty()
}

fn nothing(mode: Mode) -> String {
    match mode {
        Mode::Off => format!("{MODE} is Off"),
        Mode::Enforce | Mode::Audit => {
            let [first @ .., last] = OPTING_IN;
            format!("nothing declared; {} or {last} opts in", first.join(", "))
        }
    }
}

fn workload(planned: &Planned, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let Settlement { budget, timeline, findings, desired, .. } = &planned.settlement;
    if let Some(budget) = budget {
        writeln!(out, "  {}", plain(&budget.to_string()))?;
    }
    if let Some(timeline) = timeline {
        writeln!(out)?;
        ascii::draw(timeline, styles, out)?;
    }
    if !findings.is_empty() {
        writeln!(out)?;
    }
    for finding in findings {
        let (style, dim) = (styles.severity(finding.severity), styles.dim);
        let Finding { code, severity, field, message } = finding;
        write!(out, "  {style}{}{style:#} {}: ", severity.as_str(), code.as_str())?;
        writeln!(out, "{}: {} {dim}({}){dim:#}", plain(field), plain(message), planned.place_of(finding))?;
    }
    if let Some(changes) = changes(&planned.object, desired) {
        writeln!(out, "\n  changes: {}", plain(&changes))?;
    }
    Ok(())
}

/// What would be changed, in words.
fn changes(object: &Value, desired: &Value) -> Option<String> {
    if object == desired {
        return None;
    }
    let record = desired.pointer("/spec/template").and_then(|template| Record::of(template).ok().flatten());
    match record.map(|record| record.in_words()) {
        Some(words) if !words.is_empty() => Some(words),
        Some(_) => Some("label and record only".to_owned()),
        None => Some("what Winddown had injected is taken out".to_owned()),
    }
}

/// `3 workloads: 1 error, 2 warnings; winddown explain CODE tells more`
fn summary(planned: &[Planned], styles: &Styles) -> String {
    let counted = [Severity::Error, Severity::Warning, Severity::Info].into_iter().filter_map(|severity| {
        let style = styles.severity(severity);
        match count(planned, severity) {
            0 => None,
            number => Some(format!("{style}{}{style:#}", several(number, severity.as_str()))),
        }
    });
    let counted: Vec<_> = counted.collect();
    let workloads = several(planned.len(), "workload");
    match counted.as_slice() {
        [] => format!("{workloads}: no findings"),
        counted => format!("{workloads}: {}; winddown explain CODE tells more", counted.join(", ")),
    }
}

fn several(number: usize, what: &str) -> String {
    let plural = if number == 1 || what == "info" { "" } else { "s" };
    format!("{number} {what}{plural}")
}
