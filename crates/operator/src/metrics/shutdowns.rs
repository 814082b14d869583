//! The stops of pods that this replica counted while it led.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Family, Series, Type};
use super::histogram::Histogram;
use crate::budgets::Lost;
use winddown_core::kind::Kind;
use winddown_core::observation::{Stop, WorkloadRef};

pub(super) const TOTAL: Family = Family::new(
    Type::Counter,
    "winddown_shutdowns",
    &["namespace", "kind", "name", "outcome"],
    "Number of pods that stopped, by outcome. Only the leader exports it. Without --metrics-per-workload, namespace, kind \
     and name are empty",
);
pub(super) const DURATION: Family = Family::new(
    Type::Histogram,
    "winddown_shutdown_duration_seconds",
    &["namespace"],
    "Time from the deletion of a pod to the end of its last container. Only the leader exports it",
);
pub(super) const WITHDRAWAL: Family = Family::new(
    Type::Histogram,
    "winddown_endpoint_withdrawal_seconds",
    &[],
    "Time from the deletion of a pod until its last EndpointSlice withdrew it. Only the leader exports it",
);
pub(super) const CAUSES: Family = Family::new(
    Type::Counter,
    "winddown_shutdown_causes",
    &["cause"],
    "Number of pods that stopped, by cause. Only the leader exports it",
);

pub(super) const LOST: Family = Family::new(
    Type::Counter,
    "winddown_shutdowns_lost",
    &["reason"],
    "Number of observed stops that are not counted: too many waited to be written (backlog), their workload had no \
     ShutdownBudget for ten minutes (without_budget), or they ended more than five minutes in the future (clock). Only the \
     leader exports it",
);

static DURATIONS: [Duration; 14] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(15),
    Duration::from_secs(20),
    Duration::from_secs(30),
    Duration::from_secs(45),
    Duration::from_mins(1),
    Duration::from_secs(90),
    Duration::from_mins(2),
    Duration::from_mins(3),
    Duration::from_mins(5),
    Duration::from_mins(10),
];

static WITHDRAWALS: [Duration; 10] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
];

/// The stops by workload, namespace and cause.
#[derive(Debug, Default)]
pub(crate) struct Shutdowns {
    /// Whether to export each workload.
    per_workload: bool,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    namespaces: HashMap<Box<str>, OfNamespace>,
    /// Those of workloads that are gone, too.
    outcomes: BTreeMap<&'static str, u64>,
    causes: BTreeMap<&'static str, u64>,
    withdrawals: Histogram<{ WITHDRAWALS.len() }>,
    lost: Lost,
}

#[derive(Debug)]
struct OfNamespace {
    workloads: HashMap<(Kind, Box<str>), BTreeMap<&'static str, u64>>,
    durations: Histogram<{ DURATIONS.len() }>,
}

impl Default for Counts {
    fn default() -> Self {
        let (namespaces, outcomes, causes) = Default::default();
        Self { namespaces, outcomes, causes, withdrawals: Histogram::new(&WITHDRAWALS), lost: Lost::default() }
    }
}

impl Default for OfNamespace {
    fn default() -> Self {
        Self { workloads: HashMap::new(), durations: Histogram::new(&DURATIONS) }
    }
}

impl Shutdowns {
    pub(crate) fn new(per_workload: bool) -> Self {
        Self { per_workload, ..Self::default() }
    }

    /// Counts a stop that was stored in the status of its workload.
    pub(crate) fn count(&self, stop: &Stop) {
        let mut counts = self.counts();
        let (outcome, cause) = (stop.outcome.as_str(), stop.cause.as_str());
        *counts.outcomes.entry(outcome).or_default() += 1;
        *counts.causes.entry(cause).or_default() += 1;
        if let Some(withdrawal) = stop.withdrawal {
            counts.withdrawals.observe(withdrawal);
        }
        let WorkloadRef { kind, namespace, name } = &*stop.workload;
        let namespace = counts.namespaces.entry(namespace.as_str().into()).or_default();
        if let Some(duration) = stop.duration {
            namespace.durations.observe(Duration::from_secs(duration.as_i64().unsigned_abs()));
        }
        let outcomes = namespace.workloads.entry((*kind, name.as_str().into())).or_default();
        *outcomes.entry(outcome).or_default() += 1;
    }

    /// Counts stops that are not counted otherwise.
    pub(crate) fn lost(&self, lost: Lost) {
        let sum = &mut self.counts().lost;
        sum.backlog += lost.backlog;
        sum.without_budget += lost.without_budget;
        sum.clock += lost.clock;
    }

    /// Removes the series of a workload that is gone, and those of its namespace with its last workload.
    pub(crate) fn forget(&self, workload: &WorkloadRef) {
        let mut counts = self.counts();
        let WorkloadRef { kind, namespace, name } = workload;
        if let Some(of_namespace) = counts.namespaces.get_mut(namespace.as_str()) {
            of_namespace.workloads.remove(&(*kind, name.as_str().into()));
            if of_namespace.workloads.is_empty() {
                counts.namespaces.remove(namespace.as_str());
            }
        }
    }

    /// Starts at 0 again, when the replica no longer leads: when it leads again, series with old numbers would look like an
    /// increase.
    pub(crate) fn clear(&self) {
        *self.counts() = Counts::default();
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without series on a replica that does not lead.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>, leading: bool) -> fmt::Result {
        let counts = self.counts();
        let namespaces = || counts.namespaces.iter().filter(|_| leading);
        let mut series = TOTAL.start(encoder)?;
        if self.per_workload {
            for (namespace, of_namespace) in namespaces() {
                for ((kind, name), outcomes) in &of_namespace.workloads {
                    write_outcomes(&mut series, [namespace, kind.as_str(), name], outcomes)?;
                }
            }
        } else if leading {
            write_outcomes(&mut series, [""; 3], &counts.outcomes)?;
        }
        let mut series = DURATION.start(encoder)?;
        for (namespace, OfNamespace { durations, .. }) in namespaces() {
            series.histogram(&[("namespace", &**namespace)], durations.sum(), &durations.buckets())?;
        }
        let mut series = WITHDRAWAL.start(encoder)?;
        if leading {
            series.only_histogram(counts.withdrawals.sum(), &counts.withdrawals.buckets())?;
        }
        let mut series = CAUSES.start(encoder)?;
        for (cause, count) in counts.causes.iter().filter(|_| leading) {
            series.counter(&[("cause", *cause)], *count)?;
        }
        let mut series = LOST.start(encoder)?;
        let Lost { backlog, without_budget, clock } = counts.lost;
        let lost = [("backlog", backlog), ("without_budget", without_budget), ("clock", clock)];
        for (reason, count) in lost.into_iter().filter(|_| leading) {
            series.counter(&[("reason", reason)], count)?;
        }
        Ok(())
    }
}

fn write_outcomes(
    series: &mut Series<'_>,
    [namespace, kind, name]: [&str; 3],
    outcomes: &BTreeMap<&'static str, u64>,
) -> fmt::Result {
    outcomes.iter().try_for_each(|(outcome, count)| {
        let labels = [("namespace", namespace), ("kind", kind), ("name", name), ("outcome", *outcome)];
        series.counter(&labels, *count)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use serde_json::json;

    use super::*;
    use crate::metrics::Metrics;
    use crate::metrics::exposition::tests::{series, text};
    use winddown_core::observation::{Event, Observer, PodView};

    /// The stop of a pod of a Deployment that exited after 6 s, with this code.
    pub(crate) fn stop(namespace: &str, name: &str, exit_code: i32) -> Stop {
        let mut pod = json!({
            "metadata": {
                "uid": "1", "name": "x", "namespace": namespace, "creationTimestamp": "2026-01-31T20:00:00Z",
                "labels": {"pod-template-hash": "7d9f"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-7d9f"),
                    "uid": "2", "controller": true}],
            },
            "spec": {"terminationGracePeriodSeconds": 30, "containers": [{"name": "app"}]},
            "status": {"containerStatuses": [{"name": "app", "state": {"running": {}}}]},
        });
        let (mut observer, now) = (Observer::default(), Instant::now());
        let mut see = |pod: &serde_json::Value| {
            let view: PodView = serde_json::from_value(pod.clone()).unwrap();
            observer.see(Event::Apply(&view), now).pop()
        };
        see(&pod);
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-31T21:00:30Z");
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
        see(&pod);
        let end =
            json!({"exitCode": exit_code, "startedAt": "2026-01-31T20:00:00Z", "finishedAt": "2026-01-31T21:00:06Z"});
        pod["status"] =
            json!({"phase": "Failed", "containerStatuses": [{"name": "app", "state": {"terminated": end}}]});
        Stop { duration: Some(winddown_core::duration::Seconds::new(6)), ..see(&pod).unwrap() }
    }

    const TOTAL: &str = "winddown_shutdowns_total";
    const DURATIONS: &str = "winddown_shutdown_duration_seconds_count";

    fn exported(shutdowns: &Arc<Shutdowns>, leading: bool, family: &str) -> Vec<String> {
        let mut series =
            series(&text(&Metrics { shutdowns: shutdowns.clone(), ..Metrics::default() }, leading), family);
        series.sort_unstable();
        series
    }

    fn counted(per_workload: bool) -> Arc<Shutdowns> {
        let shutdowns = Shutdowns::new(per_workload);
        for (name, exit_code) in [("web", 0), ("web", 143), ("web", 1), ("db", 0)] {
            shutdowns.count(&stop("shop", name, exit_code));
        }
        Arc::new(shutdowns)
    }

    #[test]
    fn the_leader_exports_the_stops_of_each_workload_by_outcome() {
        let shutdowns = counted(true);
        let of = |name: &str, outcome: &str, count: u32| {
            format!("{TOTAL}{{namespace=\"shop\",kind=\"Deployment\",name=\"{name}\",outcome=\"{outcome}\"}} {count}")
        };
        let expected = [of("db", "Clean", 1), of("web", "Clean", 2), of("web", "Failed", 1)];
        assert_eq!(exported(&shutdowns, true, TOTAL), expected);
        assert_eq!(exported(&shutdowns, true, DURATIONS), [format!("{DURATIONS}{{namespace=\"shop\"}} 4")]);
        let causes = "winddown_shutdown_causes_total";
        assert_eq!(exported(&shutdowns, true, causes), [format!("{causes}{{cause=\"Deletion\"}} 4")]);
        for family in [TOTAL, DURATIONS, causes] {
            assert_eq!(exported(&shutdowns, false, family), Vec::<String>::new());
        }
    }

    #[test]
    fn the_series_go_with_their_workload() {
        let shutdowns = counted(true);
        let named = |name: &str| WorkloadRef { kind: Kind::Deployment, namespace: "shop".into(), name: name.into() };
        shutdowns.forget(&named("web"));
        let left = |family: &str| exported(&shutdowns, true, family).len();
        assert_eq!((left(TOTAL), left(DURATIONS)), (1, 1));
        shutdowns.forget(&named("db"));
        shutdowns.forget(&named("elsewhere"));
        assert_eq!((left(TOTAL), left(DURATIONS)), (0, 0));
    }

    #[test]
    fn without_series_of_workloads_the_sums_remain() {
        let shutdowns = counted(false);
        let all = |outcome: &str, count: u32| {
            format!("{TOTAL}{{namespace=\"\",kind=\"\",name=\"\",outcome=\"{outcome}\"}} {count}")
        };
        assert_eq!(exported(&shutdowns, true, TOTAL), [all("Clean", 3), all("Failed", 1)]);
        shutdowns.forget(&stop("shop", "web", 0).workload);
        assert_eq!(exported(&shutdowns, true, TOTAL), [all("Clean", 3), all("Failed", 1)], "a counter never decreases");
        shutdowns.clear();
        assert_eq!(exported(&shutdowns, true, TOTAL), Vec::<String>::new());
    }

    #[test]
    fn the_withdrawal_of_endpoints_is_a_histogram_of_all() {
        let shutdowns = Arc::new(Shutdowns::new(true));
        shutdowns.count(&Stop { withdrawal: Some(Duration::from_millis(80)), ..stop("shop", "web", 0) });
        shutdowns.count(&stop("shop", "web", 0));
        let text = text(&Metrics { shutdowns, ..Metrics::default() }, true);
        for series in ["bucket{le=\"0.05\"} 0", "bucket{le=\"0.1\"} 1", "count 1"] {
            assert!(text.contains(&format!("winddown_endpoint_withdrawal_seconds_{series}\n")), "{series}: {text}");
        }
    }
}
