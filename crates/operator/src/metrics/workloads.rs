//! What the controller last evaluated of each workload. Every replica keeps it, and only the leader exports it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};

use super::family::{Family, Type};
use winddown_core::budget::Budget;
use winddown_core::duration::Seconds;
use winddown_core::evaluation::Evaluation;
use winddown_core::finding::Severity;
use winddown_core::kind::Kind;
use winddown_core::report::NOT_EVALUATED;

pub(super) const FINDINGS: Family = Family::new(
    Type::Gauge,
    "winddown_findings",
    &["code", "severity"],
    "Number of current workloads with a finding. Only the leader exports it",
);
pub(super) const BUDGETS: Family = Family::new(
    Type::Gauge,
    "winddown_budget_seconds",
    &["namespace", "kind", "name", "phase"],
    "Budget of a workload; the phase is drain, deadline, margin or grace, which is the grace period. Only the leader \
     exports it, if it has --metrics-per-workload",
);

/// The workloads with a budget or a finding, by UID.
#[derive(Debug, Default)]
pub(crate) struct Workloads {
    /// Whether to keep the budgets.
    per_workload: bool,
    workloads: Mutex<HashMap<Box<str>, Evaluated>>,
}

/// Small, because there can be thousands.
#[derive(Debug)]
struct Evaluated {
    findings: Box<[(&'static str, Severity)]>,
    budget: Option<Box<NamedBudget>>,
}

#[derive(Debug)]
struct NamedBudget {
    kind: Kind,
    namespace: Box<str>,
    name: Box<str>,
    /// In the order of [`PHASES`].
    seconds: [Seconds; PHASES.len()],
}

const PHASES: [&str; 4] = ["drain", "deadline", "margin", "grace"];

#[derive(Clone, Debug, EncodeLabelSet)]
struct FindingLabels {
    code: &'static str,
    severity: &'static str,
}

impl Workloads {
    pub(crate) fn new(per_workload: bool) -> Self {
        Self { per_workload, ..Self::default() }
    }

    /// Keeps the evaluation of a workload in place of its last one.
    pub(crate) fn evaluated(&self, uid: &str, kind: Kind, namespace: &str, name: &str, evaluation: &Evaluation) {
        // Each once: a workload can have thousands, one for each container.
        let findings: BTreeSet<_> =
            evaluation.findings.iter().map(|finding| (finding.code.as_str(), finding.severity)).collect();
        let budget = evaluation.budget.as_ref().filter(|_| self.per_workload).map(|budget| {
            let Budget { drain, deadline, margin, grace_period, .. } = *budget;
            let seconds = [drain, deadline, margin, grace_period];
            Box::new(NamedBudget { kind, namespace: namespace.into(), name: name.into(), seconds })
        });
        self.keep(uid, Evaluated { findings: findings.into_iter().collect(), budget });
    }

    /// Keeps that a workload exceeds a limit and is not evaluated.
    pub(crate) fn not_evaluated(&self, uid: &str) {
        let findings = Box::new([(NOT_EVALUATED, Severity::Warning)]);
        self.keep(uid, Evaluated { findings, budget: None });
    }

    /// Forgets a workload that does not exist any more or that Winddown does not look at.
    pub(crate) fn forget(&self, uid: &str) {
        self.workloads().remove(uid);
    }

    #[cfg(test)]
    pub(crate) fn knows(&self, uid: &str) -> bool {
        self.workloads().contains_key(uid)
    }

    fn keep(&self, uid: &str, workload: Evaluated) {
        if workload.findings.is_empty() && workload.budget.is_none() {
            self.forget(uid);
        } else {
            self.workloads().insert(uid.into(), workload);
        }
    }

    fn workloads(&self) -> MutexGuard<'_, HashMap<Box<str>, Evaluated>> {
        self.workloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without series on a replica that does not lead: those of all replicas would add up.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>, leading: bool) -> fmt::Result {
        let workloads = self.workloads();
        let mut findings = BTreeMap::new();
        let mut budgets = Vec::new();
        for workload in workloads.values().filter(|_| leading) {
            for (code, severity) in &workload.findings {
                *findings.entry((*code, severity.as_str())).or_insert(0) += 1;
            }
            budgets.extend(workload.budget.as_deref());
        }
        let mut series = FINDINGS.start(encoder)?;
        for ((code, severity), count) in findings {
            series.gauge(&FindingLabels { code, severity }, count)?;
        }
        let mut series = BUDGETS.start(encoder)?;
        for NamedBudget { kind, namespace, name, seconds } in budgets {
            for (phase, seconds) in PHASES.into_iter().zip(seconds) {
                let labels = [("namespace", &**namespace), ("kind", kind.as_str()), ("name", name), ("phase", phase)];
                series.gauge(&labels, seconds.as_i64().unsigned_abs())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use std::sync::Arc;

    use crate::metrics::Metrics;
    use crate::metrics::exposition::tests::{series, text};
    use winddown_core::evaluation::{Existing, Origin, evaluate};
    use winddown_core::policy::Policy;

    const BUDGET: &str = "winddown_budget_seconds";
    const FINDING: &str = "winddown_findings";

    fn evaluate_into(workloads: &Workloads, uid: &str, grace_period: u32) {
        let deployment = json!({
            "kind": "Deployment",
            "metadata": {"annotations": {"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"}},
            "spec": {"template": {"spec": {
                "terminationGracePeriodSeconds": grace_period,
                "containers": [{"name": "app"}],
            }}},
        });
        let evaluated = evaluate(&deployment, Existing::Unchanged, &Policy::default(), Origin::File).unwrap();
        workloads.evaluated(uid, Kind::Deployment, "shop", uid, &evaluated);
    }

    fn exported(workloads: &Arc<Workloads>, leading: bool, family: &str) -> Vec<String> {
        series(&text(&Metrics { workloads: workloads.clone(), ..Metrics::default() }, leading), family)
    }

    #[test]
    fn the_leader_exports_findings_and_budgets_of_the_current_workloads() {
        let workloads = Arc::new(Workloads::new(true));
        evaluate_into(&workloads, "web", 10);
        evaluate_into(&workloads, "db", 10);
        let misfits = |count| format!("{FINDING}{{code=\"BudgetDoesNotFit\",severity=\"error\"}} {count}");
        assert!(exported(&workloads, true, FINDING).contains(&misfits(2)));
        // Evaluated again after a change, then deleted.
        evaluate_into(&workloads, "web", 60);
        assert!(exported(&workloads, true, FINDING).contains(&misfits(1)));
        workloads.forget("db");
        assert!(!exported(&workloads, true, FINDING).iter().any(|series| series.contains("BudgetDoesNotFit")));
        let of_web = |phase: &str, seconds: u32| {
            format!("{BUDGET}{{namespace=\"shop\",kind=\"Deployment\",name=\"web\",phase=\"{phase}\"}} {seconds}")
        };
        let budget = [("drain", 5), ("deadline", 25), ("margin", 5), ("grace", 60)];
        assert_eq!(exported(&workloads, true, BUDGET), budget.map(|(phase, seconds)| of_web(phase, seconds)));
    }

    #[test]
    fn another_replica_exports_no_workloads() {
        let workloads = Arc::new(Workloads::new(true));
        evaluate_into(&workloads, "web", 10);
        for family in [BUDGET, FINDING] {
            assert_eq!(exported(&workloads, false, family), Vec::<String>::new());
        }
    }

    #[test]
    fn budgets_are_exported_on_request_only() {
        let workloads = Arc::new(Workloads::new(false));
        evaluate_into(&workloads, "web", 10);
        assert_eq!(exported(&workloads, true, BUDGET), Vec::<String>::new());
        assert_ne!(exported(&workloads, true, FINDING), Vec::<String>::new());
    }
}
