//! What the arms came to: a table to read, a file to count with, and whether it proves anything.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::arm::Row;

/// The name of the arm that must drop requests.
pub const CONTROL: &str = "control";
/// The name of the arm that must not.
pub const ANNOTATED: &str = "annotated";

/// All rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The two arms, each with its two kinds of load.
    pub arms: Vec<Row>,
}

/// What was to be shown and was not.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// Winddown does not do what it is for.
    #[error("with the annotations, {failed} of {sent} requests over {connections} connections failed", failed = .0.count.failed, sent = .0.count.sent, connections = .0.connections)]
    Dropped(Row),
    /// Without drops here, none there are no achievement.
    #[error("without the annotations, all {sent} requests over {connections} connections went well, so nothing is proved", sent = .0.count.sent, connections = .0.connections)]
    NothingDropped(Row),
    /// An arm was left out.
    #[error("there is no {0} arm")]
    Missing(&'static str),
}

impl Report {
    /// Whether the annotated arm dropped nothing where the control arm did.
    pub fn verdict(&self) -> Result<(), Unproven> {
        for name in [CONTROL, ANNOTATED] {
            if !self.arms.iter().any(|row| row.name == name && row.count.sent > 0) {
                return Err(Unproven::Missing(name));
            }
        }
        for row in &self.arms {
            match row.name {
                ANNOTATED if row.count.failed > 0 => return Err(Unproven::Dropped(row.clone())),
                CONTROL if row.count.failed == 0 => return Err(Unproven::NothingDropped(row.clone())),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |formatter: &mut fmt::Formatter<'_>, cells: [&dyn Display; 6]| {
            let [arm, connections, rollouts, sent, failed, kinds] = cells;
            writeln!(formatter, "{arm:<10} {connections:<12} {rollouts:>8} {sent:>8} {failed:>7}  {kinds}")
        };
        line(formatter, [&"arm", &"connections", &"rollouts", &"sent", &"failed", &"kinds"])?;
        for Row { name, connections, rollouts, count } in &self.arms {
            let kinds: Vec<_> = count.failures.iter().map(|(kind, failed)| format!("{failed} {kind}")).collect();
            let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
            line(formatter, [name, connections, rollouts, &count.sent, &count.failed, &kinds])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{ANNOTATED, CONTROL, Report, Unproven};
    use crate::arm::Row;
    use crate::load::{Connections, Count};

    fn row(name: &'static str, failed: u64) -> Row {
        let failures = if failed > 0 { BTreeMap::from([("refused".to_owned(), failed)]) } else { BTreeMap::new() };
        Row { name, connections: Connections::New, rollouts: 10, count: Count { sent: 4000, failed, failures } }
    }

    fn verdict(rows: &[Row]) -> Result<(), Unproven> {
        Report { arms: rows.to_vec() }.verdict()
    }

    #[test]
    fn it_is_proved_when_only_the_control_drops() {
        verdict(&[row(CONTROL, 7), row(ANNOTATED, 0)]).unwrap();
    }

    #[test]
    fn one_request_dropped_with_the_annotations_is_one_too_many() {
        assert!(matches!(verdict(&[row(CONTROL, 7), row(ANNOTATED, 1)]), Err(Unproven::Dropped(_))));
    }

    #[test]
    fn a_control_that_drops_nothing_proves_nothing() {
        assert!(matches!(verdict(&[row(CONTROL, 0), row(ANNOTATED, 0)]), Err(Unproven::NothingDropped(_))));
    }

    #[test]
    fn an_arm_that_is_missing_proves_nothing() {
        assert!(matches!(verdict(&[row(CONTROL, 7)]), Err(Unproven::Missing(ANNOTATED))));
        assert!(matches!(verdict(&[]), Err(Unproven::Missing(CONTROL))));
    }

    #[test]
    fn the_file_has_a_flat_object_for_each_arm_and_kind_of_load() {
        let report = Report { arms: vec![row(CONTROL, 7)] };
        let expected = json!({"arms": [{
            "name": "control", "connections": "new", "rollouts": 10, "sent": 4000, "failed": 7, "failures": {"refused": 7},
        }]});
        assert_eq!(serde_json::to_value(report).unwrap(), expected);
    }

    #[test]
    fn the_table_has_its_columns_under_each_other() {
        let report = Report { arms: vec![row(CONTROL, 7), row(ANNOTATED, 0)] };
        let expected = "\
arm        connections  rollouts     sent  failed  kinds
control    new                10     4000       7  7 refused
annotated  new                10     4000       0  none
";
        assert_eq!(report.to_string(), expected);
    }
}
