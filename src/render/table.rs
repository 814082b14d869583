//! The table format: one line for each workload, the worst first.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::grid::Grid;
use super::sanitize::sanitize;
use super::screen::Screen;
use super::text::{pluralize, summary};
use super::workload::{Workload, qualified_name};
use crate::cli::Program;
use winddown_core::annotations::{Mode, OPTING_IN};
use winddown_core::budget::Budget;
use winddown_core::finding::{Finding, Severity};
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::sanitize::truncated;

/// Names are cut at this length, and at a quarter of a terminal.
const MAX_NAME: usize = 70;
const MIN_NAME: usize = 16;
/// Narrower terminals get shorter headings and kinds.
const WIDE: usize = 120;
/// Marks the names of workloads with assumed annotations where there is no room for a column.
const ASSUMED: char = '*';

/// A line for each workload, and the counts.
pub(crate) fn table(workloads: &[Workload], program: Program, screen: &Screen, out: &mut impl Write) -> io::Result<()> {
    if workloads.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<_> = workloads.iter().collect();
    sorted.sort_by_cached_key(|workload| {
        let counts = [Severity::Error, Severity::Warning, Severity::Info].map(|severity| workload.count(severity));
        (Reverse(counts), workload.evaluation.budget.is_none(), qualified_name(&workload.object))
    });
    let layout = Layout::of(workloads, screen);
    let [errors, warnings] = layout.counts();
    let headings = layout.headings(&["NEEDS", "GRACE", "FITS", errors, warnings]);
    let text_columns = layout.text_columns(&headings, &[]);
    let rows = sorted.iter().map(|workload| layout.cells(workload, numbers(workload)));
    let rows: Vec<_> = [headings].into_iter().chain(rows).collect();
    let grid = Grid::of(&rows, text_columns, screen);
    let bold = screen.styles.heading;
    writeln!(out, "{bold}{}{bold:#}", grid.line(&rows[0], "FIRST FINDING", str::to_owned))?;
    for (workload, cells) in sorted.iter().zip(&rows[1..]) {
        let first = first_finding(workload);
        let style = first.map_or(screen.styles.dim, |finding| screen.styles.severity(finding.severity));
        let text = first.map_or_else(|| without_findings(workload).to_owned(), described);
        writeln!(out, "{}", grid.line(cells, &text, |text| format!("{style}{text}{style:#}")))?;
    }
    writeln!(out, "\n{}{}", totals(workloads, &layout), summary(workloads, program, &screen.styles))
}

/// What it needs and has, whether that fits, and the counts.
fn numbers(workload: &Workload) -> [Option<String>; 5] {
    let budget = workload.evaluation.budget.as_ref();
    let fits = budget.map(|budget| if fits(budget) { "yes" } else { "no" }.to_owned());
    let [errors, warnings] = [Severity::Error, Severity::Warning].map(|severity| workload.count(severity));
    [
        budget.map(|budget| budget.needed().to_string()),
        budget.map(|budget| budget.grace_period.to_string()),
        fits,
        Some(errors.to_string()),
        Some(warnings.to_string()),
    ]
}

/// Whether every container has enough time, helpers included.
fn fits(budget: &Budget) -> bool {
    budget.needed() <= budget.grace_period
}

/// The first of the most severe findings.
pub(crate) fn first_finding(workload: &Workload) -> Option<&Finding> {
    let findings = &workload.evaluation.findings;
    let worst = findings.iter().map(|finding| finding.severity).max()?;
    findings.iter().find(|finding| finding.severity == worst)
}

pub(crate) fn described(finding: &Finding) -> String {
    sanitize(&format!("{}: {}", finding.code.as_str(), finding.message())).into_owned()
}

pub(crate) fn without_findings(workload: &Workload) -> &'static str {
    match workload.evaluation.mode {
        Mode::Off => "mode Off",
        _ if workload.evaluation.budget.is_none() => "not opted in",
        _ => "",
    }
}

/// `2 budgets do not fit` and `280 workloads with assumed drain=5s,deadline=25s`, one line each.
fn totals(workloads: &[Workload], layout: &Layout) -> String {
    let number = |matches: fn(&Workload) -> bool| workloads.iter().filter(|workload| matches(workload)).count();
    let mut parts = Vec::new();
    match number(|workload| workload.evaluation.budget.as_ref().is_some_and(|budget| !fits(budget))) {
        0 => {}
        1 => parts.push("1 budget does not fit".to_owned()),
        misfits => parts.push(format!("{misfits} budgets do not fit")),
    }
    if let Some(assumption) = workloads.iter().find_map(|workload| workload.assumed.as_ref()) {
        let assumed = pluralize(number(|workload| workload.assumed.is_some()), "workload");
        let mark = if layout.wide { String::new() } else { format!("{ASSUMED} ") };
        parts.push(format!("{mark}{assumed} with assumed {}", sanitize(&assumption.to_string())));
    }
    parts.into_iter().map(|part| part + "\n").collect()
}

/// The columns that all tables of workloads have.
pub(crate) struct Layout {
    pub(crate) wide: bool,
    /// Whether some budgets are assumed, and the table has to say which.
    assumes: bool,
    longest_name: usize,
}

impl Layout {
    pub(crate) fn of<'a>(workloads: impl IntoIterator<Item = &'a Workload>, screen: &Screen) -> Self {
        Self {
            wide: screen.width.is_none_or(|width| width >= WIDE),
            assumes: workloads.into_iter().any(|workload| workload.assumed.is_some()),
            longest_name: longest_name(screen),
        }
    }

    /// Whether a column says where the budget is from.
    fn has_origins(&self) -> bool {
        self.assumes && self.wide
    }

    /// The headings of name, kind and origin, and these others.
    pub(crate) fn headings(&self, others: &[&str]) -> Vec<String> {
        let first = if self.wide { ["NAMESPACE/NAME", "KIND"] } else { ["NAME", "KIND"] };
        let origin = self.has_origins().then_some("FROM");
        first.iter().copied().chain(origin).chain(others.iter().copied()).map(str::to_owned).collect()
    }

    /// What the mark of assumed annotations means, if a name has it.
    #[cfg(feature = "cluster")]
    pub(crate) fn legend(&self) -> Option<String> {
        (self.assumes && !self.wide).then(|| format!("{ASSUMED} assumed"))
    }

    /// The headings of errors and warnings.
    pub(crate) fn counts(&self) -> [&'static str; 2] {
        if self.wide { ["ERRORS", "WARNINGS"] } else { ["ERR", "WARN"] }
    }

    /// The cells of name, kind and origin, and these others; of an absent value, a dash.
    pub(crate) fn cells(&self, workload: &Workload, others: [Option<String>; 5]) -> Vec<String> {
        let mut name = truncated(&qualified_name(&workload.object), self.longest_name).into_owned();
        if !self.wide && workload.assumed.is_some() {
            name.push(ASSUMED);
        }
        let kind = if self.wide { workload.kind.as_str() } else { short(workload.kind) }.to_owned();
        let origin = origin(workload).map(str::to_owned);
        let origin = self.has_origins().then_some(origin);
        let others = origin.into_iter().chain(others).map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
        [name, kind].into_iter().chain(others).collect()
    }

    /// Which columns have text: name, kind and origin, and those with these headings.
    pub(crate) fn text_columns(&self, headings: &[String], others: &[&str]) -> Vec<bool> {
        let first = if self.has_origins() { 3 } else { 2 };
        headings.iter().enumerate().map(|(at, heading)| at < first || others.contains(&heading.as_str())).collect()
    }
}

/// Where a budget is from: the annotations of the workload, a policy that opts it in, or `--assume`.
fn origin(workload: &Workload) -> Option<&'static str> {
    let object = Object::new(&workload.object);
    match &workload.evaluation.budget {
        None => None,
        Some(_) if workload.assumed.is_some() => Some("assumed"),
        Some(_) if OPTING_IN.iter().any(|key| object.has_annotation(key)) => Some("annotation"),
        Some(_) => Some("policy"),
    }
}

/// How much of a name a table shows.
fn longest_name(screen: &Screen) -> usize {
    screen.width.map_or(MAX_NAME, |width| (width / 4).clamp(MIN_NAME, MAX_NAME))
}

/// The short name of the resource, as in kubectl.
fn short(kind: Kind) -> &'static str {
    match kind {
        Kind::Deployment => "deploy",
        Kind::StatefulSet => "sts",
        Kind::DaemonSet => "ds",
    }
}
