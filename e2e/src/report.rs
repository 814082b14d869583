//! The result of the experiment as a table and as JSON, and its pass criterion.

use std::fmt::{self, Display};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::variant::Row;

/// The variant without annotations. It must drop requests.
pub(crate) const CONTROL: &str = "control";
/// The variant with annotations. It must not drop requests.
pub(crate) const ANNOTATED: &str = "annotated";

/// The results of both variants.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// One row per variant and kind of load.
    pub variants: Vec<Row>,
}

impl Report {
    /// Succeeds if the control variant has failed requests and the annotated variant has none. The control may have none over
    /// one kind of connection: a graceful app announces the end of most kept connections.
    pub fn verdict(&self) -> Result<()> {
        for name in [CONTROL, ANNOTATED] {
            let has_results = self.variants.iter().any(|row| row.name == name && row.counts.sent > 0);
            ensure!(has_results, "the {name} variant has no results");
        }
        let of = |name: &'static str| self.variants.iter().filter(move |row| row.name == name);
        for Row { connections, counts, .. } in of(ANNOTATED) {
            let (failed, sent) = (counts.failed, counts.sent);
            ensure!(failed == 0, "with annotations, {failed} of {sent} requests over {connections} connections failed");
        }
        let sent: u64 = of(CONTROL).map(|row| row.counts.sent).sum();
        let drops = of(CONTROL).any(|row| row.counts.failed > 0);
        ensure!(drops, "without annotations, none of {sent} requests failed; the comparison is inconclusive");
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |formatter: &mut fmt::Formatter<'_>, cells: [&dyn Display; 6]| {
            let [variant, connections, rollouts, sent, failed, failures] = cells;
            writeln!(formatter, "{variant:<10} {connections:<12} {rollouts:>8} {sent:>8} {failed:>7}  {failures}")
        };
        line(formatter, [&"variant", &"connections", &"rollouts", &"sent", &"failed", &"failures"])?;
        for Row { name, connections, rollouts, counts } in &self.variants {
            let failures: Vec<_> = counts.failures.iter().map(|(kind, failed)| format!("{failed} {kind}")).collect();
            let failures = if failures.is_empty() { "none".to_owned() } else { failures.join(", ") };
            line(formatter, [name, connections, rollouts, &counts.sent, &counts.failed, &failures])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{ANNOTATED, CONTROL, Report};
    use crate::load::{Connections, Counts};
    use crate::variant::Row;

    fn row(name: &'static str, failed: u64) -> Row {
        let failures = if failed > 0 { BTreeMap::from([("refused".to_owned(), failed)]) } else { BTreeMap::new() };
        Row {
            name,
            connections: Connections::New,
            rollouts: 10,
            counts: Counts { sent: 4000, failed, failures, ..Counts::default() },
        }
    }

    fn verdict(rows: &[Row]) -> Result<(), String> {
        Report { variants: rows.to_vec() }.verdict().map_err(|error| error.to_string())
    }

    #[test]
    fn passes_if_only_the_control_drops_requests() {
        assert_eq!(verdict(&[row(CONTROL, 7), row(ANNOTATED, 0)]), Ok(()));
        assert_eq!(verdict(&[row(CONTROL, 7), row(CONTROL, 0), row(ANNOTATED, 0)]), Ok(()));
    }

    #[test]
    fn fails_if_the_annotated_variant_drops_one_request() {
        let error = verdict(&[row(CONTROL, 7), row(ANNOTATED, 1)]).unwrap_err();
        assert_eq!(error, "with annotations, 1 of 4000 requests over new connections failed");
    }

    #[test]
    fn fails_if_the_control_drops_no_request() {
        let error = verdict(&[row(CONTROL, 0), row(ANNOTATED, 0)]).unwrap_err();
        assert_eq!(error, "without annotations, none of 4000 requests failed; the comparison is inconclusive");
    }

    #[test]
    fn fails_if_a_variant_is_missing() {
        assert_eq!(verdict(&[row(CONTROL, 7)]).unwrap_err(), "the annotated variant has no results");
        assert_eq!(verdict(&[]).unwrap_err(), "the control variant has no results");
    }

    #[test]
    fn json_has_one_flat_object_per_row() {
        let report = Report { variants: vec![row(CONTROL, 7)] };
        let expected = json!({"variants": [{
            "name": "control", "connections": "new", "rollouts": 10, "sent": 4000, "failed": 7, "failures": {"refused": 7},
            "orderlyCloses": 0,
        }]});
        assert_eq!(serde_json::to_value(report).unwrap(), expected);
    }

    #[test]
    fn table_columns_are_aligned() {
        let report = Report { variants: vec![row(CONTROL, 7), row(ANNOTATED, 0)] };
        let expected = "\
variant    connections  rollouts     sent  failed  failures
control    new                10     4000       7  7 refused
annotated  new                10     4000       0  none
";
        assert_eq!(report.to_string(), expected);
    }
}
