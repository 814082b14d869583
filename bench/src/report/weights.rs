//! The table of cold starts.

use std::fmt::Write as _;

use super::{Target, mebibytes, table, targets};
use crate::scale::Fleet;
use crate::scale::weight::Weight;

/// Cold starts, and whether all targets are met.
pub(crate) fn weights(weights: &[Weight]) -> (String, bool) {
    let mut text = "### A cold start\n\n".to_owned();
    let header = [
        "binary, workloads",
        "RSS, MiB",
        "of it anonymous",
        "peak",
        "busy, s",
        "CPU, s",
        "CPU at rest, %",
        "reconciliations",
        "with a budget",
        "requests",
        "GETs of workloads",
        "lists of workloads",
        "writes",
    ];
    let rows = weights.iter().map(|weight| {
        let Weight { memory, .. } = weight;
        let mut cells = vec![label(weight)];
        cells.extend([memory.now, memory.anonymous, memory.peak].map(mebibytes));
        cells.extend([weight.busy, weight.cpu, weight.cpu_at_rest * 100.0].map(|value| format!("{value:.1}")));
        let counts = [weight.reconciliations, weight.with_budget, weight.requests, weight.gets, weight.lists];
        cells.extend(counts.iter().chain([&writes(weight)]).map(u64::to_string));
        cells
    });
    text += &table(&header, rows);
    let mut met = true;
    for weight in weights {
        let _ = writeln!(text, "Targets, {}:\n", label(weight));
        let of = of(weight);
        met &= of.iter().all(|target| target.met);
        text += &targets(of);
        for (request, count) in &weight.writes {
            let _ = writeln!(text, "- {request}: {count}");
        }
    }
    (text, met)
}

fn label(weight: &Weight) -> String {
    format!("{}, {} {}", weight.binary, weight.workloads, weight.fleet.name())
}

fn writes(weight: &Weight) -> u64 {
    weight.writes.values().sum()
}

fn of(weight: &Weight) -> [Target; 4] {
    let (wanted, limit) = match weight.fleet {
        Fleet::Plain => ("≤ 30 MiB", 30 * 1024),
        Fleet::Annotated => ("≤ 60 MiB", 60 * 1024),
    };
    let writes = writes(weight);
    [
        Target {
            what: "RSS".to_owned(),
            wanted,
            measured: format!("{} MiB", mebibytes(weight.memory.now)),
            met: weight.memory.now <= limit,
        },
        Target {
            what: "busy after the start".to_owned(),
            wanted: "≤ 8 s",
            measured: format!("{:.1} s", weight.busy),
            met: weight.busy <= 8.0,
        },
        Target {
            what: "GETs of single workloads".to_owned(),
            wanted: "0",
            measured: weight.gets.to_string(),
            met: weight.gets == 0,
        },
        Target { what: "writes".to_owned(), wanted: "0", measured: writes.to_string(), met: writes == 0 },
    ]
}
