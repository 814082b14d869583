//! The text format.

use std::io::{self, Write};

use serde_json::Value;

use super::sanitize::sanitize;
use super::timeline::ascii;
use super::workload::{Workload, count};
use crate::render::styles::Styles;
use winddown_core::annotations::{MODE, Mode, OPTING_IN};
use winddown_core::evaluation::Settlement;
use winddown_core::finding::{Finding, Severity};
use winddown_core::injection::Record;

/// The budget, timeline, findings and changes of each workload, and a summary.
pub(crate) fn text(workloads: &[Workload], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let mut after_details = false;
    for (at, workload) in workloads.iter().enumerate() {
        let has_details = has_details(&workload.settlement);
        if at > 0 && (has_details || after_details) {
            writeln!(out)?;
        }
        after_details = has_details;
        let bold = styles.heading;
        write!(out, "{bold}{}{bold:#} ({})", workload.title(), workload.location())?;
        if has_details {
            writeln!(out)?;
            details(workload, styles, out)?;
        } else {
            writeln!(out, ": {}", without_details(workload.settlement.mode))?;
        }
    }
    let has_findings = workloads.iter().any(|workload| !workload.settlement.findings.is_empty());
    if workloads.len() > 1 || has_findings {
        writeln!(out, "\n{}", summary(workloads, styles))?;
    }
    Ok(())
}

fn has_details(settlement: &Settlement) -> bool {
    settlement.budget.is_some() || !settlement.findings.is_empty()
}

fn without_details(mode: Mode) -> String {
    match mode {
        Mode::Off => format!("{MODE} is Off"),
        Mode::Enforce | Mode::Audit => {
            let [first @ .., last] = OPTING_IN;
            format!("not opted in; set {} or {last}", first.join(", "))
        }
    }
}

fn details(workload: &Workload, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let Settlement { budget, timeline, findings, desired, .. } = &workload.settlement;
    if let Some(budget) = budget {
        writeln!(out, "  {}", sanitize(&budget.to_string()))?;
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
        writeln!(out, "{}: {} {dim}({}){dim:#}", sanitize(field), sanitize(message), workload.location_of(finding))?;
    }
    if let Some(changes) = changes(&workload.object, desired) {
        writeln!(out, "\n  changes: {}", sanitize(&changes))?;
    }
    Ok(())
}

/// A summary of the changes.
fn changes(object: &Value, desired: &Value) -> Option<String> {
    if object == desired {
        return None;
    }
    let record = desired.pointer("/spec/template").and_then(|template| Record::of(template).ok().flatten());
    match record.map(|record| record.in_words()) {
        Some(words) if !words.is_empty() => Some(words),
        Some(_) => Some("only the label and the record".to_owned()),
        None => Some("removes what Winddown injected".to_owned()),
    }
}

/// `3 workloads: 1 error, 2 warnings; for details run winddown explain CODE`
fn summary(workloads: &[Workload], styles: &Styles) -> String {
    let counted = [Severity::Error, Severity::Warning, Severity::Info].into_iter().filter_map(|severity| {
        let style = styles.severity(severity);
        match count(workloads, severity) {
            0 => None,
            number => Some(format!("{style}{}{style:#}", pluralize(number, severity.as_str()))),
        }
    });
    let counted: Vec<_> = counted.collect();
    let workloads = pluralize(workloads.len(), "workload");
    match counted.as_slice() {
        [] => format!("{workloads}: no findings"),
        counted => format!("{workloads}: {}; for details run winddown explain CODE", counted.join(", ")),
    }
}

fn pluralize(number: usize, noun: &str) -> String {
    let plural = if number == 1 || noun == "info" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
