//! The text format.

use std::io::{self, Write};

use super::sanitize::sanitize;
use super::timeline::ascii;
use super::workload::{Workload, count};
use crate::cli::Program;
use crate::render::styles::Styles;
use winddown_core::annotations::{MODE, Mode, OPTING_IN};
use winddown_core::current_shutdown::{CurrentShutdown, Loss};
use winddown_core::evaluation::Evaluation;
use winddown_core::finding::Severity;

/// The budget, timeline, findings and changes of each workload, and a summary.
pub(crate) fn text(workloads: &[Workload], program: Program, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    each(workloads, styles, out)?;
    let has_findings = workloads.iter().any(|workload| !workload.evaluation.findings.is_empty());
    if workloads.len() > 1 || has_findings {
        writeln!(out, "\n{}", summary(workloads, program, styles))?;
    }
    Ok(())
}

/// The workloads without the summary.
pub(crate) fn each(workloads: &[Workload], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let mut after_details = false;
    for (at, workload) in workloads.iter().enumerate() {
        let has_details = has_details(&workload.evaluation);
        if at > 0 && (has_details || after_details) {
            writeln!(out)?;
        }
        after_details = has_details;
        let bold = styles.heading;
        write!(out, "{bold}{}{bold:#}{}", workload.title(), workload.location().in_parentheses())?;
        if let Some(assumption) = &workload.assumed {
            write!(out, ", assumed {}", sanitize(&assumption.to_string()))?;
        }
        if has_details {
            writeln!(out)?;
            details(workload, styles, out)?;
        } else {
            writeln!(out, ": {}", without_details(workload.evaluation.mode))?;
        }
    }
    Ok(())
}

fn has_details(evaluation: &Evaluation) -> bool {
    evaluation.budget.is_some() || !evaluation.findings.is_empty()
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
    let Evaluation { budget, timeline, findings, .. } = &workload.evaluation;
    if let Some(budget) = budget {
        writeln!(out, "  {}", sanitize(&budget.to_string()))?;
    }
    if let Some(timeline) = timeline {
        writeln!(out)?;
        ascii::draw(timeline, styles, out)?;
    }
    if let Some(current) = &workload.current {
        writeln!(out)?;
        as_it_is(current, styles, out)?;
    }
    if !findings.is_empty() {
        writeln!(out)?;
    }
    for finding in findings {
        let (style, dim) = (styles.severity(finding.severity), styles.dim);
        write!(out, "  {style}{}{style:#} {}: ", finding.severity.as_str(), finding.code.as_str())?;
        let (field, message) = (finding.field.to_string(), finding.message());
        let place = workload.location_of(finding).in_parentheses();
        let place = if place.is_empty() { place } else { format!(" {dim}{}{dim:#}", place.trim_start()) };
        writeln!(out, "{}: {}{place}", sanitize(&field), sanitize(&message))?;
    }
    if let Some(changes) = changes(&workload.evaluation) {
        writeln!(out, "\n  changes: {}", sanitize(&changes))?;
    }
    if let (true, Some(owner)) = (workload.is_of_cluster(), workload.owner()) {
        writeln!(out, "  owner: {owner} controls it, so the numbers belong in that object")?;
    }
    Ok(())
}

/// What a rollout does today.
fn as_it_is(current: &CurrentShutdown, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let (warning, dim) = (styles.severity(Severity::Warning), styles.dim);
    match current.takes_requests {
        Some(true) => {}
        Some(false) => {
            return writeln!(
                out,
                "  {dim}today: it takes no requests: no Service selects it, and it lists no port{dim:#}"
            );
        }
        None => {
            return writeln!(out, "  {dim}today: unknown: it lists no port, and the Services could not be read{dim:#}");
        }
    }
    if current.losses.is_empty() {
        return writeln!(out, "  today: nothing found that drops requests in a rollout");
    }
    writeln!(out, "  today: {warning}a rollout can drop requests{warning:#}")?;
    for Loss { cause, message } in &current.losses {
        writeln!(out, "    {}: {}", cause.in_words(), sanitize(message))?;
    }
    Ok(())
}

/// A summary of the changes.
pub(crate) fn changes(evaluation: &Evaluation) -> Option<String> {
    let Evaluation { changes, injected, .. } = evaluation;
    if changes.is_empty() {
        return None;
    }
    Some(match if changes.rolls_out() { changes.injected() } else { injected.clone() } {
        Some(injected) if injected.is_empty() => "only the label and the record".to_owned(),
        Some(injected) => injected.to_string(),
        None if !changes.rolls_out() => "only an annotation of the workload".to_owned(),
        None => "removes what Winddown injected".to_owned(),
    })
}

/// `3 workloads: 1 error, 2 warnings; for details run winddown explain CODE`
pub(crate) fn summary(workloads: &[Workload], program: Program, styles: &Styles) -> String {
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
        counted => {
            format!("{workloads}: {}; for details run {} explain CODE", counted.join(", "), program.command())
        }
    }
}

pub(crate) fn pluralize(number: usize, noun: &str) -> String {
    let plural = if number == 1 || noun == "info" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
