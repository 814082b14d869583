//! One line of the table.

use std::cmp::Ordering;

use serde::Serialize;

use crate::cluster::budgets::{StoredBudget, WorkloadMetadata};
use crate::cluster::workloads::WorkloadName;
use crate::exit::Exit;
use crate::render::age::age;
use winddown_core::kind::Kind;
use winddown_core::observation::Timestamp;
use winddown_core::shutdown_budget::{FITS, HONOURED, INJECTED, ShutdownBudgetStatus, workload};

/// How many columns there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Narrow,
    Wide,
}

/// A workload, and what is known of it. The keys of its JSON are stable: fields may be added.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) namespace: String,
    /// `None` if somebody changed the owner of the budget.
    kind: Option<&'static str>,
    /// That of the workload, otherwise that of the budget.
    pub(super) name: String,
    /// Whether this is from a `ShutdownBudget`. If not, only the annotation of the workload is known.
    observed: bool,
    created: Option<Timestamp>,
    /// The UID of the workload, by which one that was created again is another one.
    #[serde(skip)]
    pub(super) uid: Option<String>,
    #[serde(flatten)]
    pub(super) status: ShutdownBudgetStatus,
}

impl Row {
    pub(super) fn of_budget(budget: StoredBudget) -> Self {
        let StoredBudget { metadata, status } = budget;
        let owner = workload(&metadata);
        let owners = metadata.owner_references.iter().flatten();
        let uid = owners.filter(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone()).next();
        Self {
            kind: owner.as_ref().map(|owner| owner.kind.as_str()),
            name: owner.map(|owner| owner.name).or(metadata.name).unwrap_or_default(),
            namespace: metadata.namespace.unwrap_or_default(),
            observed: true,
            created: metadata.creation_timestamp.as_ref().map(Timestamp::from),
            uid,
            // Only Winddown reads them.
            status: ShutdownBudgetStatus { checkpoint: None, reported: None, ..status },
        }
    }

    /// Without a `ShutdownBudget`.
    pub(super) fn of_workload(found: &WorkloadMetadata) -> Self {
        Self {
            namespace: found.namespace().to_owned(),
            kind: Some(found.workload.kind.as_str()),
            name: found.workload.name.clone(),
            observed: false,
            created: found.metadata.creation_timestamp.as_ref().map(Timestamp::from),
            uid: found.metadata.uid.clone(),
            status: ShutdownBudgetStatus { budget: found.budget().map(str::to_owned), ..Default::default() },
        }
    }

    /// The order of kubectl: by namespace, then by name.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let key = |row: &Self| (row.namespace.clone(), row.title());
        key(self).cmp(&key(other))
    }

    pub(super) fn is_observed(&self) -> bool {
        self.observed
    }

    pub(super) fn workload(&self) -> Option<WorkloadName> {
        Some(WorkloadName::new(Kind::named(self.kind?)?, &self.name))
    }

    /// For example `deployment/web`.
    pub(super) fn title(&self) -> String {
        self.workload().map_or_else(|| format!("shutdownbudget/{}", self.name), |workload| workload.to_string())
    }

    /// For example `deployment.apps/web`.
    pub(super) fn qualified_name(&self) -> String {
        let budget = || format!("shutdownbudget.winddown.dev/{}", self.name);
        self.workload().map_or_else(budget, |workload| workload.qualified())
    }

    /// The status of a condition: `True`, `False` or `Unknown`.
    pub(super) fn condition(&self, name: &str) -> Option<&str> {
        self.status.condition(name).map(|condition| condition.status.as_str())
    }

    /// The reason of a condition that is false.
    pub(super) fn failed_by(&self, name: &str) -> Option<&str> {
        let failed = self.status.condition(name).filter(|condition| condition.status == "False");
        failed.map(|condition| condition.reason.as_str())
    }

    /// Kills before the last change of the template do not count: the stops of the new pods decide.
    pub(super) fn exit(&self) -> Exit {
        let is_found = self.condition(FITS) == Some("False") || self.failed_by(HONOURED) == Some("Killed");
        if is_found { Exit::Findings } else { Exit::Success }
    }

    pub(super) fn headings(width: Width) -> Vec<&'static str> {
        let mut headings = vec!["NAME", "BUDGET", "POLICY", "FITS", "CARRIED", "STOPS", "KILLED", "P99", "AGE"];
        if width == Width::Wide {
            headings.extend(["INJECTED", "HONOURED", "P50", "LONGEST", "RECOMMENDATION"]);
        }
        headings
    }

    pub(super) fn cells(&self, width: Width, now: Timestamp) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let condition = |name: &str| self.condition(name).unwrap_or_default().to_owned();
        let status = &self.status;
        let stops = status.shutdowns.as_ref();
        let mut cells = vec![
            self.title(),
            self.budget(),
            text(&status.policy),
            condition(FITS),
            text(&status.carried),
            number(stops.map(|stops| stops.count)),
            number(stops.map(|stops| stops.killed)),
            stops.map(|stops| text(&stops.p99)).unwrap_or_default(),
            self.created.map(|created| age(now, created)).unwrap_or_default(),
        ];
        if width == Width::Wide {
            cells.extend([
                condition(INJECTED),
                condition(HONOURED),
                stops.map(|stops| text(&stops.p50)).unwrap_or_default(),
                stops.map(|stops| text(&stops.longest)).unwrap_or_default(),
                text(&status.recommendation),
            ]);
        }
        cells
    }

    /// drain + deadline + margin, and the grace period: `5s+25s+5s/35s`.
    fn budget(&self) -> String {
        let phases =
            self.status.phases.as_ref().map(|phases| {
                format!("{}+{}+{}/{}", phases.drain, phases.deadline, phases.margin, phases.grace_period)
            });
        phases.or_else(|| self.status.budget.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The budget of `deployment/web` in the namespace `shop` with this status.
    pub(in crate::commands::status) fn row(status: &Value) -> Row {
        Row::of_budget(
            serde_json::from_value(json!({
                "metadata": {
                    "name": "deployment-web",
                    "namespace": "shop",
                    "creationTimestamp": "2026-02-01T00:00:00Z",
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1",
                        "controller": true}],
                },
                "status": status,
            }))
            .unwrap(),
        )
    }

    pub(in crate::commands::status) fn condition(name: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": name, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-02-02T00:00:00Z"})
    }

    fn now() -> Timestamp {
        "2026-02-03T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_row_has_what_the_budget_says() {
        let row = row(&json!({
            "conditions": [condition("Fits", "True", "Fits", "")],
            "carried": "2/3",
            "phases": {"drain": "5s", "deadline": "25s", "margin": "5s", "gracePeriod": "35s"},
            "shutdowns": {"count": 32, "killed": 2, "p99": "4s", "since": "2026-02-01T00:00:00Z"},
        }));
        let cells = row.cells(Width::Narrow, now());
        assert_eq!(cells, ["deployment/web", "5s+25s+5s/35s", "", "True", "2/3", "32", "2", "4s", "2d"]);
        assert_eq!(Row::headings(Width::Narrow).len(), cells.len());
        assert_eq!(Row::headings(Width::Wide).len(), row.cells(Width::Wide, now()).len());
    }

    #[test]
    fn a_budget_that_does_not_fit_and_a_kill_of_the_last_template_are_findings() {
        for (conditions, exit) in [
            (json!([condition("Fits", "True", "Fits", "")]), Exit::Success),
            (json!([condition("Fits", "Unknown", "Off", "")]), Exit::Success),
            (json!([condition("Fits", "False", "DoesNotFit", "")]), Exit::Findings),
            (json!([condition("Honoured", "False", "Killed", "")]), Exit::Findings),
            (json!([condition("Honoured", "False", "Overran", "")]), Exit::Success),
            (json!([]), Exit::Success),
        ] {
            let counts = json!({"count": 9, "killed": 3, "since": ""});
            let row = row(&json!({"conditions": conditions, "shutdowns": counts}));
            assert_eq!(row.exit(), exit, "{conditions}");
        }
    }

    #[test]
    fn a_budget_with_another_owner_is_shown_under_its_own_name() {
        let stored = json!({"metadata": {"name": "x", "namespace": "shop"}, "status": {"carried": 7}});
        let row = Row::of_budget(serde_json::from_value(stored).unwrap());
        let (title, name) = (row.title(), row.qualified_name());
        assert_eq!((title.as_str(), name.as_str()), ("shutdownbudget/x", "shutdownbudget.winddown.dev/x"));
        assert_eq!(row.cells(Width::Narrow, now())[1..], [const { String::new() }; 8]);
    }

    #[test]
    fn rows_are_sorted_as_by_kubectl() {
        let named = |namespace: &str, name: &str| Row {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..row(&json!({}))
        };
        let mut rows = [named("b", "a"), named("a", "z"), named("a", "c")];
        rows.sort_by(Row::order);
        assert_eq!(rows.map(|row| row.name), ["c", "z", "a"]);
    }

    #[test]
    fn the_keys_of_the_json_are_stable_and_without_what_only_winddown_reads() {
        let row = row(&json!({"carried": "1/1", "checkpoint": "x", "reported": "y"}));
        let json = serde_json::to_value(&row).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["namespace", "kind", "name", "observed", "created", "carried"]);
    }
}
