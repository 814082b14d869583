//! One line for each workload, the worst first, and the numbers at the end.

use std::io::{self, Write};

use super::{Survey, text};
use crate::render::grid::Grid;
use crate::render::screen::Screen;
use crate::render::table::{Layout, described, first_finding, without_findings};
use crate::render::workload::Workload;
use winddown_core::current_shutdown::CurrentShutdown;
use winddown_core::finding::Severity;

/// The workloads in their order, and the summary.
pub(crate) fn table(survey: &Survey, workloads: &[Workload], screen: &Screen, out: &mut impl Write) -> io::Result<()> {
    if workloads.is_empty() {
        return Ok(());
    }
    let layout = Layout::of(workloads, screen);
    let [errors, warnings] = layout.counts();
    let headings = layout.headings(&["NEEDS", "GRACE", errors, warnings, "DROPS"]);
    let text_columns = layout.text_columns(&headings, &["DROPS"]);
    let rows = workloads.iter().map(|workload| layout.cells(workload, numbers(workload)));
    let rows: Vec<_> = [headings].into_iter().chain(rows).collect();
    let grid = Grid::of(&rows, text_columns, screen);
    let bold = screen.styles.heading;
    writeln!(out, "{bold}{}{bold:#}", grid.line(&rows[0], "WHY", str::to_owned))?;
    for (workload, cells) in workloads.iter().zip(&rows[1..]) {
        let worst = first_finding(workload).map(|finding| finding.severity);
        let worst = worst.max((!workload.losses().is_empty()).then_some(Severity::Warning));
        let style = worst.map_or(screen.styles.dim, |severity| screen.styles.severity(severity));
        writeln!(out, "{}", grid.line(cells, &why(workload), |text| format!("{style}{text}{style:#}")))?;
    }
    if let Some(legend) = layout.legend() {
        writeln!(out, "{legend}")?;
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
        None => match &workload.current {
            Some(CurrentShutdown { takes_requests: Some(false), .. }) => {
                "no Service and no port: takes no requests".to_owned()
            }
            Some(CurrentShutdown { takes_requests: None, .. }) => "no port; the Services could not be read".to_owned(),
            _ => without_findings(workload).to_owned(),
        },
    }
}

/// What it needs and has, the counts, and whether a rollout can drop requests.
fn numbers(workload: &Workload) -> [Option<String>; 5] {
    let current = workload.current.as_ref();
    let drops =
        current.filter(|current| current.takes_requests == Some(true)).map(|current| !current.losses.is_empty());
    let [errors, warnings] = [Severity::Error, Severity::Warning].map(|severity| workload.count(severity));
    [
        workload.evaluation.budget.as_ref().map(|budget| budget.needed().to_string()),
        current.map(|current| current.grace_period.to_string()),
        Some(errors.to_string()),
        Some(warnings.to_string()),
        drops.map(|drops| if drops { "yes" } else { "no" }.to_owned()),
    ]
}
