//! The details of each workload, and the numbers in words.

use std::io::{self, Write};

use super::Survey;
use super::overview::{Count, Overview};
use crate::render::sanitize::sanitize;
use crate::render::styles::Styles;
use crate::render::text;
use crate::render::text::pluralize;
use crate::render::workload::Workload;

/// The workloads in their order, and the summary.
pub(crate) fn text(survey: &Survey, workloads: &[Workload], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    if workloads.is_empty() {
        return Ok(());
    }
    text::each(workloads, styles, out)?;
    writeln!(out)?;
    numbers(survey, workloads, styles, out)
}

/// How many workloads can drop requests and why, how many errors and warnings there are, and the next step.
pub(crate) fn numbers(
    survey: &Survey,
    workloads: &[Workload],
    styles: &Styles,
    out: &mut impl Write,
) -> io::Result<()> {
    let overview = Overview::of(workloads);
    let Overview { namespaces, assumed, owned, .. } = overview;
    let bold = styles.heading;
    let place = match &survey.namespace {
        Some(_) => survey.place(),
        None => format!("{} of {}", pluralize(namespaces, "namespace"), survey.place()),
    };
    let version = sanitize(&survey.kubernetes);
    writeln!(out, "{} in {} ({version})", pluralize(overview.workloads, "workload"), sanitize(&place))?;
    if let (Some(assumption), 1..) = (&survey.assumed, assumed) {
        let have = if assumed == 1 { "has" } else { "have" };
        writeln!(out, "{} {have} no annotations; assumed: {}", pluralize(assumed, "workload"), sanitize(assumption))?;
    }
    if owned > 0 {
        let are = if owned == 1 { "is" } else { "are" };
        writeln!(
            out,
            "{} {are} controlled by another object, which would revert changes",
            pluralize(owned, "workload")
        )?;
    }
    if overview.evaluated > 0 {
        writeln!(out, "{bold}{}{bold:#}", requests(&overview))?;
    }
    for (cause, count) in &overview.causes {
        writeln!(out, "  {count:>5}  {}", cause.in_words())?;
    }
    writeln!(out, "{bold}{}{bold:#}", findings(&overview))?;
    let longest = overview.codes.iter().map(|count| count.code.as_str().len()).max().unwrap_or_default();
    for Count { code, severity, workloads } in &overview.codes {
        let style = styles.severity(*severity);
        let (severity, code, title) = (severity.as_str(), code.as_str(), code.title());
        writeln!(out, "  {workloads:>5}  {style}{severity:<7}{style:#}  {code:<longest$}  {title}")?;
    }
    if overview.would_change > 0 {
        writeln!(out, "Winddown would change the pods of {}", pluralize(overview.would_change, "workload"))?;
    }
    if let Some(Count { code, .. }) = overview.codes.first() {
        writeln!(out, "Next: {} explain {}", survey.program, code.as_str())?;
    }
    Ok(())
}

/// `1 error in 1 workload, 8 warnings in 6 workloads`
pub(crate) fn findings(overview: &Overview) -> String {
    let of = |number: usize, noun: &str, workloads: usize| match number {
        0 => pluralize(0, noun),
        _ => format!("{} in {}", pluralize(number, noun), pluralize(workloads, "workload")),
    };
    let Overview { errors, workloads_with_errors, warnings, workloads_with_warnings, .. } = *overview;
    format!("{}, {}", of(errors, "error", workloads_with_errors), of(warnings, "warning", workloads_with_warnings))
}

/// `12 of 30 workloads with requests can drop requests during a rollout today`
fn requests(overview: &Overview) -> String {
    let Overview { take_requests, can_drop_requests, .. } = *overview;
    match take_requests {
        0 => "no workload takes requests".to_owned(),
        all => {
            let workloads = pluralize(all, "workload");
            format!("{can_drop_requests} of {workloads} with requests can drop requests during a rollout today")
        }
    }
}
