//! `winddown status`: the workloads that Winddown manages, from their `ShutdownBudget`s.

mod changes;
mod details;
#[cfg(test)]
mod golden;
mod read;
mod row;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use self::read::{Listed, Query};
use self::row::{Row, Width};
use crate::cluster::connection::ClusterArguments;
use crate::cluster::lists::Scope;
use crate::cluster::scope::ScopeArguments;
use crate::cluster::workloads::WorkloadName;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use crate::message::message;
use crate::render::age::now;
use crate::render::grid::Grid;
use winddown_core::observation::Timestamp;

const EXAMPLES: &str = "\
Examples:
  # Show the workloads of the current namespace, or of all namespaces
  winddown status
  winddown status -A

  # Show everything about one workload, and what to do
  winddown status deploy/web -n shop

  # Show the rows that change
  winddown status -n shop -w

Exit codes:
  0  no listed workload has the condition Fits=False, or Honoured=False with the reason Killed
  1  a listed workload has one of them: its budget does not fit, or a pod was killed at the end of its grace period. Only the pod template whose pods stopped last counts: kills before a fix do not
  2  the cluster could not be read, ShutdownBudget is not installed, or a named workload is not there. 2 takes precedence over 1";

/// Flags of `winddown status`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Workloads to show; a single one is described
    #[arg(value_name = "TYPE/NAME", conflicts_with_all = ["all_namespaces", "selector"])]
    workloads: Vec<WorkloadName>,
    #[command(flatten)]
    scope: ScopeArguments,
    /// Only workloads with these labels, for example app=web
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Output format
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Print no column headings
    #[arg(long)]
    no_headers: bool,
    /// After the table, print each row that changes, until interrupted
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table with more columns
    Wide,
    /// An array with one object for each workload
    Json,
    /// The same as YAML
    Yaml,
    /// The names of the workloads, as arguments for kubectl
    Name,
}

/// Prints the workloads.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    if arguments.watch && !matches!(arguments.output, None | Some(Format::Wide)) {
        message!("winddown: -w prints rows of a table: leave -o out, or use -o wide");
        return Exit::Unusable.into();
    }
    super::on_cluster(&arguments.cluster, |cluster| run(cluster, arguments))
}

async fn run(cluster: Cluster, arguments: &Arguments) -> Result<Exit, Error> {
    let query = Query {
        scope: arguments.scope.scope(&cluster),
        labels: arguments.selector.clone(),
        names: arguments.workloads.clone(),
    };
    let Listed { rows, others, problems } = query.read(&cluster).await?;
    for problem in &problems {
        message!("winddown: {problem}");
    }
    let exit = rows.iter().map(Row::exit).max().unwrap_or(Exit::Success);
    let exit = if problems.is_empty() { exit } else { Exit::Unusable };
    let table = Table::new(arguments, &query);
    let mut grid = Grid::of_kubectl();
    let mut out = io::stdout().lock();
    match (arguments.output, &rows[..]) {
        (Some(Format::Json), rows) => {
            serde_json::to_writer_pretty(&mut out, rows).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        (Some(Format::Yaml), rows) => {
            let yaml = serde_saphyr::to_string(&rows).map_err(io::Error::other)?;
            out.write_all(yaml.as_bytes())?;
        }
        (Some(Format::Name), rows) => {
            for row in rows {
                writeln!(out, "{}", row.qualified_name())?;
            }
        }
        (None, [row]) if query.names.len() == 1 && !arguments.watch => details::describe(row, now(), &mut out)?,
        (None | Some(Format::Wide), []) if problems.is_empty() => message!("{}", query.nothing()),
        (None | Some(Format::Wide), []) => {}
        (None | Some(Format::Wide), rows) => grid.print(&table.lines(rows, now()), &mut out)?,
    }
    out.flush()?;
    if arguments.watch {
        drop(out);
        // Above the first row, as in kubectl.
        let table = Table { with_headings: table.with_headings && rows.is_empty(), ..table };
        return watch::follow(&cluster, &query, table, grid, rows.into_iter().chain(others)).await;
    }
    Ok(exit)
}

/// How rows are printed as a table.
#[derive(Clone, Copy, Debug)]
struct Table {
    width: Width,
    with_namespace: bool,
    with_headings: bool,
}

impl Table {
    fn new(arguments: &Arguments, query: &Query) -> Self {
        Self {
            width: if arguments.output == Some(Format::Wide) { Width::Wide } else { Width::Narrow },
            with_namespace: query.scope == Scope::All,
            with_headings: !arguments.no_headers,
        }
    }

    fn lines(self, rows: &[Row], now: Timestamp) -> Vec<Vec<String>> {
        let headings = self.with_headings.then(|| self.headings());
        headings.into_iter().chain(rows.iter().map(|row| self.line(row, now))).collect()
    }

    fn line(self, row: &Row, now: Timestamp) -> Vec<String> {
        let namespace = self.with_namespace.then(|| row.namespace.clone());
        namespace.into_iter().chain(row.cells(self.width, now)).collect()
    }

    fn headings(self) -> Vec<String> {
        let namespace = self.with_namespace.then_some("NAMESPACE");
        namespace.into_iter().chain(Row::headings(self.width)).map(str::to_owned).collect()
    }
}
