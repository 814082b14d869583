//! The table of restarts of everything.

use std::fmt::Write as _;

use super::{Target, mebibytes, table, targets};
use crate::scale::restart::Restart;

/// Restarts, and whether all targets are met.
pub(crate) fn restarts(restarts: &[Restart]) -> (String, bool) {
    let mut text = "### Every pod stops\n\n".to_owned();
    let mut met = true;
    for restart in restarts {
        let of = of(restart);
        met &= of.iter().all(|target| target.met);
        let alone = &restart.without_pods;
        let _ = writeln!(text, "{}, {} workloads, {} pods:\n", alone.binary, alone.workloads, restart.pods);
        text += &targets(of);
        text += &table(&["measured", "value"], facts(restart));
    }
    (text, met)
}

#[allow(clippy::cast_precision_loss, reason = "counts are small")]
fn of(restart: &Restart) -> [Target; 7] {
    let memory = |what: &str, wanted, measured: u64, limit: u64| Target {
        what: what.to_owned(),
        wanted,
        measured: format!("{} MiB", mebibytes(measured)),
        met: measured <= limit * 1024,
    };
    let counted = restart.budgets.counted();
    let minutes = restart.written_after / 60.0;
    [
        memory("RSS with the workloads and no pods", "≤ 60 MiB", restart.without_pods.memory.now, 60),
        memory("RSS with all pods", "≤ 150 MiB", restart.with_pods.now, 150),
        memory("peak RSS while they stop", "≤ 150 MiB", restart.after.peak, 150),
        Target {
            what: "writes of statuses in a second, most over 10 s".to_owned(),
            wanted: "≤ 20",
            measured: format!("{:.1}", restart.most_writes),
            met: restart.most_writes <= 20.0,
        },
        Target {
            what: "largest ShutdownBudget".to_owned(),
            wanted: "≤ 6 KB",
            measured: format!("{:.1} KB", restart.budgets.largest as f64 / 1000.0),
            met: restart.budgets.largest <= 6000,
        },
        Target {
            what: "every status written after the last stop".to_owned(),
            wanted: "≤ 10 min",
            measured: format!("{minutes:.1} min"),
            met: minutes <= 10.0,
        },
        Target {
            what: "stops that are counted".to_owned(),
            wanted: "all, once",
            measured: format!("{counted} of {}", restart.stops),
            met: counted == restart.stops as u64,
        },
    ]
}

#[allow(clippy::cast_precision_loss, reason = "counts are small")]
fn facts(restart: &Restart) -> Vec<Vec<String>> {
    let Restart { budgets, .. } = restart;
    let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    let rate = restart.stops as f64 / restart.stopping;
    let facts = [
        ("stops", format!("{} in {:.0} s: {rate:.0} a second", restart.stops, restart.stopping)),
        ("writes of statuses", restart.writes.to_string()),
        ("CPU of the operator", format!("{:.1} s", restart.cpu)),
        ("RSS at the end", format!("{} MiB", mebibytes(restart.after.now))),
        ("ShutdownBudgets", format!("{}, together {}", budgets.number, megabytes(budgets.number * budgets.mean))),
        ("mean ShutdownBudget", format!("{:.1} KB", budgets.mean as f64 / 1000.0)),
        ("database of etcd", restart.database.map(megabytes).join(" before, ") + " after"),
    ];
    let outcomes = budgets.shutdowns.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect::<Vec<_>>();
    let outcomes = ("counts", outcomes.join(", "));
    facts.into_iter().chain([outcomes]).map(|(what, value)| vec![what.to_owned(), value]).collect()
}
