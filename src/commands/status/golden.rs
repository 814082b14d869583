//! The outputs as they are in a terminal, with the statuses that the operator writes.

use serde_json::{Value, json};

use super::row::{Row, Width};
use super::{Table, details};
use crate::golden::{check, text_of};
use crate::render::grid::Grid;
use winddown_core::observation::Timestamp;

/// Statuses that the operator writes; the tests of the core check them.
const HONOURED: &str = include_str!("../../../crates/core/src/shutdown_budget/tests/golden/honoured.yaml");
const KILLED: &str = include_str!("../../../crates/core/src/shutdown_budget/tests/golden/killed.yaml");
const MISFIT: &str = include_str!("../../../crates/core/src/shutdown_budget/tests/golden/misfit.yaml");

fn now() -> Timestamp {
    "2026-02-03T00:00:00Z".parse().unwrap()
}

/// The budget of a workload, with a status of the operator.
fn row(namespace: &str, kind: &str, name: &str, status: &str) -> Row {
    let mut budget: Value = serde_saphyr::from_str(status).unwrap();
    budget["metadata"] = json!({
        "name": format!("{}-{name}", kind.to_lowercase()),
        "namespace": namespace,
        "creationTimestamp": "2026-02-01T00:00:00Z",
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": true}],
    });
    Row::of_budget(serde_json::from_value(budget).unwrap())
}

/// A workload that the operator has seen, and not evaluated yet.
const NO_BUDGET: &str = "status: {}\n";

/// What somebody with the right to write statuses could write.
const HOSTILE: &str = r#"status:
  budget: "drain 5s\e[2K\r"
  policy: "a\nb"
  carried: "\e[31m1/1"
  conditions:
  - {type: Fits, status: "False", reason: "\u009b1m", message: "$(reboot): \e]0;title\a", lastTransitionTime: "2026-02-02T00:00:00Z"}
  recommendation: "\e[8m"
"#;

fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("shop", "Deployment", "web", KILLED),
        row("shop", "Deployment", "checkout", HONOURED),
        row("shop", "StatefulSet", "cart", MISFIT),
        row("billing", "DaemonSet", "agent", NO_BUDGET),
    ];
    rows.sort_by(Row::order);
    rows
}

fn table(rows: &[Row], width: Width, with_namespace: bool) -> String {
    let table = Table { width, with_namespace, with_headings: true };
    text_of(|out| Grid::of_kubectl().print(&table.lines(rows, now()), out))
}

fn described(row: &Row) -> String {
    text_of(|out| details::describe(row, now(), out))
}

#[test]
fn the_table_has_budgets_that_fit_do_not_fit_are_missing_and_pods_that_were_killed() {
    check("status/table", &table(&rows(), Width::Narrow, true));
    check("status/wide", &table(&rows(), Width::Wide, true));
}

#[test]
fn one_workload_is_described_with_what_to_do() {
    check("status/killed", &described(&row("shop", "Deployment", "web", KILLED)));
    check("status/misfit", &described(&row("shop", "StatefulSet", "cart", MISFIT)));
    check("status/no-budget", &described(&row("billing", "DaemonSet", "agent", NO_BUDGET)));
}

#[test]
fn long_names_and_control_characters_keep_the_lines_apart() {
    let long = "checkout-payment-gateway-".repeat(10);
    let rows = [row("shop", "Deployment", &long, KILLED), row("shop", "Deployment", "web", HOSTILE)];
    check("status/hostile", &format!("{}\n{}", table(&rows, Width::Narrow, false), described(&rows[1])));
}
