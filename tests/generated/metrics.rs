//! The table of metrics in `docs/metrics.md`. The rest of the page is written by hand.

use std::fmt::Write as _;

use winddown_operator::metrics::FAMILIES;

use crate::read;

pub(crate) const PAGE: &str = "docs/metrics.md";

const TABLE: &str = "| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n";

/// The page with a new table.
pub(crate) fn page() -> String {
    let page = read(PAGE);
    let start = page.find("| Metric | Type |").unwrap();
    let end = start + page[start..].find("\n\n").unwrap() + 1;
    let mut table = TABLE.to_owned();
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, labels) = (family.query_name(), family.kind.as_str(), labels.join(", "));
        let help = family.help.replace('<', "\\<");
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    format!("{}{table}{}", &page[..start], &page[end..])
}

#[test]
fn every_alert_has_a_section() {
    let (page, alerts) = (read(PAGE), read("charts/winddown/files/alerts.yaml"));
    let names: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(sections, names);
}
