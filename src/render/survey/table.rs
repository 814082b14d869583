//! One line for each workload, the worst first, and the numbers at the end.

use std::io::{self, Write};

use super::{Survey, text};
use crate::render::grid::Grid;
use crate::render::screen::Screen;
use crate::render::table::{ASSUMED, WIDE, described, first_finding, longest_name, short, without_findings};
use crate::render::workload::{Workload, qualified_name};
use winddown_core::finding::Severity;
use winddown_core::sanitize::truncated;
use winddown_core::today::Today;

/// The workloads in their order, and the summary.
pub(crate) fn table(survey: &Survey, workloads: &[Workload], screen: &Screen, out: &mut impl Write) -> io::Result<()> {
    if workloads.is_empty() {
        return Ok(());
    }
    let columns = Columns {
        wide: screen.width.is_none_or(|width| width >= WIDE),
        assumes: workloads.iter().any(|workload| workload.assumed.is_some()),
        longest_name: longest_name(screen),
    };
    let rows = workloads.iter().map(|workload| columns.cells(workload));
    let rows: Vec<_> = [columns.headings()].into_iter().chain(rows).collect();
    let grid = Grid::of(&rows, columns.are_text(), screen);
    let bold = screen.styles.heading;
    writeln!(out, "{bold}{}{bold:#}", grid.line(&rows[0], "WHY", str::to_owned))?;
    for (workload, cells) in workloads.iter().zip(&rows[1..]) {
        let worst = first_finding(workload).map(|finding| finding.severity);
        let worst = worst.max((!workload.losses().is_empty()).then_some(Severity::Warning));
        let style = worst.map_or(screen.styles.dim, |severity| screen.styles.severity(severity));
        writeln!(out, "{}", grid.line(cells, &why(workload), |text| format!("{style}{text}{style:#}")))?;
    }
    writeln!(out)?;
    text::numbers(survey, workloads, &screen.styles, out)
}

/// An error, then why requests are dropped, then the first finding.
fn why(workload: &Workload) -> String {
    let first = first_finding(workload);
    let causes: Vec<_> = workload.losses().iter().map(|loss| loss.cause.in_words()).collect();
    match first {
        Some(error) if error.is_error() => described(error),
        _ if !causes.is_empty() => causes.join(", "),
        Some(finding) => described(finding),
        None => match &workload.today {
            Some(Today { takes_requests: Some(false), .. }) => "no Service and no port: takes no requests".to_owned(),
            Some(Today { takes_requests: None, .. }) => "no port; the Services could not be read".to_owned(),
            _ => without_findings(workload).to_owned(),
        },
    }
}

/// Which columns there are.
struct Columns {
    wide: bool,
    /// Whether some budgets are assumed, and the table has to say which.
    assumes: bool,
    longest_name: usize,
}

impl Columns {
    /// Whether a column says where the budget is from.
    fn have_origins(&self) -> bool {
        self.assumes && self.wide
    }

    fn headings(&self) -> Vec<String> {
        let wide = ["NAMESPACE/NAME", "KIND", "NEEDS", "GRACE", "ERRORS", "WARNINGS", "DROPS"];
        let narrow = ["NAME", "KIND", "NEEDS", "GRACE", "ERR", "WARN", "DROPS"];
        let mut headings: Vec<_> = if self.wide { wide } else { narrow }.map(str::to_owned).into();
        if self.have_origins() {
            headings.insert(2, "BUDGET".to_owned());
        }
        headings
    }

    fn are_text(&self) -> Vec<bool> {
        let last = self.headings().len() - 1;
        (0..=last).map(|at| at < 2 || at == last || (self.have_origins() && at == 2)).collect()
    }

    fn cells(&self, workload: &Workload) -> Vec<String> {
        let dash = || "-".to_owned();
        let budget = workload.evaluation.budget.as_ref();
        let today = workload.today.as_ref();
        let mut name = truncated(&qualified_name(&workload.object), self.longest_name).into_owned();
        if !self.wide && workload.assumed.is_some() {
            name.push(ASSUMED);
        }
        let drops = today.filter(|today| today.takes_requests == Some(true)).map(|today| !today.losses.is_empty());
        let mut cells = vec![
            name,
            if self.wide { workload.kind.as_str() } else { short(workload.kind) }.to_owned(),
            budget.map_or_else(dash, |budget| budget.needed().to_string()),
            today.map_or_else(dash, |today| today.grace_period.to_string()),
            workload.count(Severity::Error).to_string(),
            workload.count(Severity::Warning).to_string(),
            drops.map_or_else(dash, |drops| if drops { "yes" } else { "no" }.to_owned()),
        ];
        if self.have_origins() {
            let origin = if workload.assumed.is_some() { "assumed" } else { "declared" };
            cells.insert(2, budget.map_or_else(dash, |_| origin.to_owned()));
        }
        cells
    }
}
