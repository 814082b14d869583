//! The table format: one line for each workload, the worst first.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::grid::Grid;
use super::sanitize::sanitize;
use super::screen::Screen;
use super::text::{pluralize, summary};
use super::workload::{Workload, qualified_name};
use winddown_core::annotations::Mode;
use winddown_core::budget::Budget;
use winddown_core::finding::{Finding, Severity};
use winddown_core::kind::Kind;
use winddown_core::sanitize::truncated;

/// Names are cut at this length, and at a quarter of a terminal.
const MAX_NAME: usize = 70;
const MIN_NAME: usize = 16;
/// Narrower terminals get shorter headings and kinds.
pub(crate) const WIDE: usize = 120;
/// Marks the names of workloads with assumed annotations where there is no room for a column.
pub(crate) const ASSUMED: char = '*';

/// A line for each workload, and the counts.
pub(crate) fn table(workloads: &[Workload], screen: &Screen, out: &mut impl Write) -> io::Result<()> {
    if workloads.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<_> = workloads.iter().collect();
    sorted.sort_by_cached_key(|workload| {
        let counts = [Severity::Error, Severity::Warning, Severity::Info].map(|severity| workload.count(severity));
        (Reverse(counts), workload.evaluation.budget.is_none(), qualified_name(&workload.object))
    });
    let layout = Layout::of(&sorted, screen);
    let rows: Vec<_> =
        [layout.headings()].into_iter().chain(sorted.iter().map(|workload| layout.cells(workload))).collect();
    let grid = Grid::of(&rows, layout.text_columns(), screen);
    let bold = screen.styles.heading;
    writeln!(out, "{bold}{}{bold:#}", grid.line(&rows[0], "FIRST FINDING", str::to_owned))?;
    for (workload, cells) in sorted.iter().zip(&rows[1..]) {
        let first = first_finding(workload);
        let style = first.map_or(screen.styles.dim, |finding| screen.styles.severity(finding.severity));
        let text = first.map_or_else(|| without_findings(workload).to_owned(), described);
        writeln!(out, "{}", grid.line(cells, &text, |text| format!("{style}{text}{style:#}")))?;
    }
    writeln!(out, "\n{}{}", totals(workloads, &layout), summary(workloads, &screen.styles))
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

/// `2 budgets do not fit` and `280 workloads with assumed deadline=25s,drain=5s`, one line each.
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

/// Which columns there are before the finding.
struct Layout {
    wide: bool,
    /// Whether some budgets are assumed, and the table has to say which.
    assumes: bool,
    longest_name: usize,
}

impl Layout {
    fn of(workloads: &[&Workload], screen: &Screen) -> Self {
        Self {
            wide: screen.width.is_none_or(|width| width >= WIDE),
            assumes: workloads.iter().any(|workload| workload.assumed.is_some()),
            longest_name: longest_name(screen),
        }
    }

    /// Whether a column says where the budget is from.
    fn has_origins(&self) -> bool {
        self.assumes && self.wide
    }

    fn headings(&self) -> Vec<String> {
        let wide = ["NAMESPACE/NAME", "KIND", "NEEDS", "GRACE", "FITS", "ERRORS", "WARNINGS"];
        let narrow = ["NAME", "KIND", "NEEDS", "GRACE", "FITS", "ERR", "WARN"];
        let mut headings: Vec<_> = if self.wide { wide } else { narrow }.map(str::to_owned).into();
        if self.has_origins() {
            headings.insert(2, "BUDGET".to_owned());
        }
        headings
    }

    fn cells(&self, workload: &Workload) -> Vec<String> {
        let budget = workload.evaluation.budget.as_ref();
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let fits = budget.map(|budget| if fits(budget) { "yes" } else { "no" }.to_owned());
        let mut name = truncated(&qualified_name(&workload.object), self.longest_name).into_owned();
        if !self.wide && workload.assumed.is_some() {
            name.push(ASSUMED);
        }
        let mut cells = vec![
            name,
            if self.wide { workload.kind.as_str() } else { short(workload.kind) }.to_owned(),
            or_dash(budget.map(|budget| budget.needed().to_string())),
            or_dash(budget.map(|budget| budget.grace_period.to_string())),
            or_dash(fits),
            workload.count(Severity::Error).to_string(),
            workload.count(Severity::Warning).to_string(),
        ];
        if self.has_origins() {
            let declared = budget.map(|_| "declared".to_owned());
            cells.insert(2, or_dash(workload.assumed.as_ref().map(|_| "assumed".to_owned()).or(declared)));
        }
        cells
    }

    fn text_columns(&self) -> Vec<bool> {
        (0..self.headings().len()).map(|at| at < 2 || (self.has_origins() && at == 2)).collect()
    }
}

/// How much of a name a table shows.
pub(crate) fn longest_name(screen: &Screen) -> usize {
    screen.width.map_or(MAX_NAME, |width| (width / 4).clamp(MIN_NAME, MAX_NAME))
}

/// The short name of the resource, as in kubectl.
pub(crate) fn short(kind: Kind) -> &'static str {
    match kind {
        Kind::Deployment => "deploy",
        Kind::StatefulSet => "sts",
        Kind::DaemonSet => "ds",
    }
}
