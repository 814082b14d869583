//! The results as Markdown tables.

mod restarts;
mod weights;

use std::fmt::Write as _;

use crate::connection::Protocol;
use crate::creates::{self, NOTHING, TWO_CALLS};
use crate::endpoint::{CONSTANT, Endpoint, Row};
use crate::fixture::Operation;

pub(crate) use self::restarts::restarts;
pub(crate) use self::weights::weights;

/// A Markdown table; the first column is text, the others are numbers.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<_> = header.iter().map(|&cell| cell.to_owned()).collect();
    let rule = ["|---|".to_owned(), "--:|".repeat(header.len() - 1), "\n".to_owned()].concat();
    rows.into_iter().fold(line(&header) + &rule, |text, row| text + &line(&row)) + "\n"
}

/// Whether a measured value meets its target.
struct Target {
    what: String,
    wanted: &'static str,
    measured: String,
    met: bool,
}

fn targets(targets: impl IntoIterator<Item = Target>) -> String {
    let rows = targets.into_iter().map(|Target { what, wanted, measured, met }| {
        vec![what, wanted.to_owned(), measured, if met { "yes" } else { "no" }.to_owned()]
    });
    table(&["target", "wanted", "measured", "met"], rows)
}

/// The webhooks alone.
pub(crate) fn endpoint(results: &Endpoint) -> String {
    let mut text =
        "### The webhooks alone\n\nMilliseconds; \"CPU\" is the server's CPU time for each request.\n\n".to_owned();
    let header = ["request", "server", "p50", "p90", "p99", "max", "p50 ÷ constant", "CPU"];
    let rows = results.rows.iter().map(|row| {
        let time = row.milliseconds;
        let ratio = ratio(results, row).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        let mut cells = vec![request(row), row.server.clone()];
        cells.extend([time.p50, time.p90, time.p99, time.max].map(|value| format!("{value:.2}")));
        cells.extend([ratio, format!("{:.3}", time.cpu)]);
        cells
    });
    text += &table(&header, rows);
    let memory = results
        .memory
        .iter()
        .map(|(server, memory)| vec![server.clone(), mebibytes(memory.now), mebibytes(memory.peak)]);
    text += &table(&["RSS, MiB", "after the load", "peak"], memory);
    for (server, memory) in results.memory.iter().filter(|(server, _)| server != CONSTANT) {
        let _ = writeln!(text, "Targets, {server}, CREATE over one HTTP/2 connection:\n");
        text += &targets(endpoint_targets(results, server, memory.peak));
    }
    text
}

/// As in "HTTP/2 × 8, CREATE /mutate".
fn request(row: &Row) -> String {
    format!("{} × {}, {} {}", row.protocol.name(), row.connections, row.operation.name(), row.path)
}

/// The median next to that of the constant webhook for the same request.
fn ratio(results: &Endpoint, row: &Row) -> Option<f64> {
    let same = |other: &&Row| request(other) == request(row) && other.server == CONSTANT;
    let constant = results.rows.iter().find(same).filter(|_| row.server != CONSTANT)?;
    Some(row.milliseconds.p50 / constant.milliseconds.p50)
}

fn endpoint_targets(results: &Endpoint, server: &str, peak: u64) -> Vec<Target> {
    let is_compared = |row: &&Row| {
        let way = (row.protocol, row.connections, row.operation);
        row.server == server && way == (Protocol::Http2, 1, Operation::Create)
    };
    let rows: Vec<_> = results.rows.iter().filter(is_compared).collect();
    let mut targets = Vec::new();
    for row in &rows {
        let ratio = ratio(results, row).unwrap_or(f64::NAN);
        let p99 = row.milliseconds.p99;
        targets.push(Target {
            what: format!("p50 of {} ÷ constant webhook", row.path),
            wanted: "≤ 3 (goal: 2)",
            measured: format!("{ratio:.2}"),
            met: ratio <= 3.0,
        });
        targets.push(Target {
            what: format!("p99 of {}", row.path),
            wanted: "< 3 ms",
            measured: format!("{p99:.2} ms"),
            met: p99 < 3.0,
        });
    }
    let cpu: f64 = rows.iter().map(|row| row.milliseconds.cpu).sum();
    targets.extend([cpu_target(cpu), memory_target(peak)]);
    targets
}

/// Creates through an API server.
pub(crate) fn creates(rows: &[creates::Row]) -> String {
    let p50 = |arm: &str| rows.iter().find(|row| row.arm == arm).map_or(f64::NAN, |row| row.milliseconds.p50);
    let (nothing, two_calls) = (p50(NOTHING), p50(TWO_CALLS));
    let mut text = "### Creates through the API server\n\nMilliseconds; \"CPU\" is that of the webhook's process for each create.\n\n".to_owned();
    let header = ["admission", "p50", "p90", "p99", "p50 ÷ nothing", "p50 added", "CPU", "peak RSS, MiB"];
    let lines = rows.iter().map(|row| {
        let time = row.milliseconds;
        let mut cells = vec![row.arm.clone()];
        cells.extend(
            [time.p50, time.p90, time.p99, time.p50 / nothing, time.p50 - nothing].map(|value| format!("{value:.2}")),
        );
        let (cpu, memory) = row.memory.map_or_else(
            || ("–".to_owned(), "–".to_owned()),
            |memory| (format!("{:.2}", time.cpu), mebibytes(memory.peak)),
        );
        cells.extend([cpu, memory]);
        cells
    });
    text += &table(&header, lines);
    for row in rows.iter().filter(|row| row.is_winddown) {
        let _ = writeln!(text, "Targets, {}:\n", row.arm);
        let (ratio, cpu) = (row.milliseconds.p50 / two_calls, row.milliseconds.cpu);
        let peak = row.memory.map_or(0, |memory| memory.peak);
        text += &targets([
            Target {
                what: "p50 ÷ constant webhook with two calls".to_owned(),
                wanted: "≤ 1.15",
                measured: format!("{ratio:.2}"),
                met: ratio <= 1.15,
            },
            cpu_target(cpu),
            memory_target(peak),
        ]);
    }
    text
}

fn cpu_target(cpu: f64) -> Target {
    Target {
        what: "CPU of /mutate and /validate".to_owned(),
        wanted: "≤ 1 ms",
        measured: format!("{cpu:.2} ms"),
        met: cpu <= 1.0,
    }
}

fn memory_target(peak: u64) -> Target {
    Target {
        what: "peak RSS in this run".to_owned(),
        wanted: "≤ 30 MiB",
        measured: format!("{} MiB", mebibytes(peak)),
        met: peak <= 30 * 1024,
    }
}

#[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1}", kibibytes as f64 / 1024.0)
}
