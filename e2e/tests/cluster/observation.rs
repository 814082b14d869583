//! How pods stopped, as `ShutdownBudget`s, Events and Prometheus show it.

mod handover;
mod node;
mod scripted;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use tokio::time::sleep;
use winddown_e2e::command::CommandLine;
use winddown_e2e::prometheus::{Prometheus, Sample, Target};
use winddown_e2e::release;
use winddown_e2e::wait::until;

use self::scripted::{EXITS, FAILS, IGNORES, OVERRUNS, RUNS_OUT_OF_MEMORY, Scripted};
use winddown_e2e::budgets::{Budgets, Status};
use winddown_e2e::environment::{Environment, METRICS_PORT};
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    [tests![every_stop_has_its_outcome_and_its_cause], handover::tests()].concat()
}

/// One workload, and what its `ShutdownBudget` shows after one of its pods stopped.
struct Case {
    budget: &'static str,
    cause: &'static str,
    /// The field of `status.shutdowns`.
    field: &'static str,
    /// The text after the cause in `status.recent`; empty for a clean stop.
    outcome: &'static str,
    /// The reason of the condition `Honoured`.
    honoured: &'static str,
}

const fn case(
    budget: &'static str,
    cause: &'static str,
    field: &'static str,
    outcome: &'static str,
    honoured: &'static str,
) -> Case {
    Case { budget, cause, field, outcome, honoured }
}

/// Node, memory and a caller are not the fault of the app: then no stop shows whether it honours its budget.
const CASES: [Case; 11] = [
    case("deployment-exits", "Rollout", "clean", "", "InTime"),
    case("deployment-ignores", "ScaleDown", "killed", "Killed", "Killed"),
    case("deployment-overruns", "PodDeletion", "clean", "", "Overran"),
    case("deployment-fails", "PodDeletion", "failed", "Failed", "Failed"),
    case("deployment-memory", "PodDeletion", "outOfMemory", "OutOfMemory", "NoStops"),
    case("deployment-two", "PodDeletion", "killed", "Killed", "Killed"),
    // The controller of StatefulSets creates the next pod only after the end of this one.
    case("statefulset-stateful", "Deletion", "clean", "", "InTime"),
    case("deployment-drained", "Eviction", "clean", "", "InTime"),
    case("deployment-hurried", "PodDeletion", "cutShort", "CutShort", "NoStops"),
    case("deployment-forced", "Forced", "unknown", "Unknown (removed before its end)", "NoStops"),
    case("deployment-lost", "NodeLost", "unknown", "Unknown (node lost)", "NoStops"),
];

/// The fields of `status.shutdowns` that are outcomes.
const OUTCOMES: [&str; 7] = ["clean", "failed", "killed", "cutShort", "outOfMemory", "killedOtherwise", "unknown"];

/// For the start of all pods.
const START_LIMIT: Duration = Duration::from_mins(2);

/// For the end of all pods and the writes. The pod garbage collector waits 40 s before it deletes the pods of a node that is
/// gone, and looks every 20 s.
const LIMIT: Duration = Duration::from_mins(3);

/// For the next scrape.
const SCRAPE_LIMIT: Duration = Duration::from_secs(30);

/// Between two lists of all budgets.
const INTERVAL: Duration = Duration::from_millis(500);

async fn every_stop_has_its_outcome_and_its_cause(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let (leader, node, lost) = places(&environment).await?;
    create(&environment, &node, &lost).await?;
    environment.wait_until_synced(&leader).await?;
    // The node starts again also if a check fails: other tests need it.
    let checked = stop_and_check(&environment, &leader, &lost).await;
    node::start(&environment.client, &lost).await?;
    checked?;
    environment.operator().wait_until_available().await?;
    environment.clean_up().await
}

/// The leader, the worker on which it runs, and another worker.
async fn places(environment: &Environment) -> Result<(String, String, String)> {
    let leader = environment.wait_for_leader().await?;
    let pods: Api<Pod> = Api::namespaced(environment.client.clone(), release::NAME);
    let node = pods.get(&leader).await?.spec.and_then(|spec| spec.node_name).context("the leader has no node")?;
    let mut others = node::workers(&environment.client).await?.into_iter().filter(|worker| *worker != node);
    let lost = others.next_back().context("there is no other worker")?;
    Ok((leader, node, lost))
}

/// Creates the workloads of all cases, on these two nodes, and waits until their pods run.
async fn create(environment: &Environment, node: &str, lost: &str) -> Result<()> {
    let workloads = [
        Scripted::deployment("exits", EXITS).on_node(node),
        Scripted::deployment("ignores", IGNORES).on_node(node).replicas(2),
        Scripted::deployment("overruns", OVERRUNS).on_node(node),
        Scripted::deployment("fails", FAILS).on_node(node),
        Scripted::deployment("memory", RUNS_OUT_OF_MEMORY).on_node(node).with_memory("32Mi"),
        Scripted::deployment("two", EXITS).on_node(node).with_container("stubborn", IGNORES),
        Scripted::deployment("stateful", EXITS).on_node(node).into_stateful_set(),
        Scripted::deployment("hurried", IGNORES).on_node(node),
        Scripted::deployment("forced", EXITS).on_node(node),
        Scripted::deployment("drained", EXITS).on_node(lost),
        Scripted::deployment("lost", EXITS).on_node(lost),
    ];
    try_join_all(workloads.map(|workload| workload.create(environment))).await?;
    let expected = CASES.len() + 1; // two pods that ignore SIGTERM
    environment.wait_for_ready_pods(expected, START_LIMIT).await
}

async fn stop_and_check(environment: &Environment, leader: &str, lost: &str) -> Result<()> {
    let target = Target { namespace: release::NAME.to_owned(), pod: leader.to_owned(), port: METRICS_PORT };
    let prometheus = Prometheus::start(&[target]).await?;
    let start = Instant::now();
    let kubectl = |words: &str| CommandLine::new("kubectl --namespace").word(&environment.namespace).words(words);
    let stops = [
        "rollout restart deployment exits",
        "scale deployment ignores --replicas 1",
        "delete pod --selector app=overruns --wait=false",
        "delete pod --selector app=fails --wait=false",
        "delete pod --selector app=memory --wait=false",
        "delete pod --selector app=two --wait=false",
        "delete pod --selector app=stateful --wait=false",
        "delete pod --selector app=hurried --wait=false --grace-period 1",
        "delete pod --selector app=forced --wait=false --grace-period 0 --force",
    ];
    let stops = try_join_all(stops.map(async |words| kubectl(words).run().await));
    let node = async {
        kubectl("drain").word(lost).words("--pod-selector app=drained --timeout 60s").run().await?;
        node::lose(lost).await
    };
    tokio::try_join!(stops, node)?;

    let budgets = Budgets::new(&environment.client, &environment.namespace);
    let counted = until("a stop of every workload to be counted", LIMIT, async || {
        sleep(INTERVAL).await;
        let statuses = budgets.all().await?;
        let is_counted = |case: &Case| statuses.get(case.budget).is_some_and(|status| status.count("count") > 0);
        Ok(CASES.iter().all(is_counted).then_some(statuses))
    });
    let statuses = match counted.await {
        Ok(statuses) => statuses,
        Err(error) => return Err(error.context(format!("{:#?}", budgets.all().await?))),
    };
    eprintln!("  all stops were counted after {:.0} s", start.elapsed().as_secs_f32());
    for case in &CASES {
        let status = statuses.get(case.budget).with_context(|| format!("no {}", case.budget))?;
        eprintln!("  {} {}", case.budget, status.recent.join("; "));
    }
    for case in &CASES {
        case.check(&statuses[case.budget])?;
    }
    let two = &statuses["deployment-two"];
    ensure!(two.recent[0].contains(", stubborn "), "the container that was killed is not named: {two:#?}");
    let exits = &statuses["deployment-exits"];
    ensure!(exits.carried == "1/1", "{exits:#?}");
    let killed = CASES.iter().filter(|case| case.field == "killed");
    let killed: BTreeSet<_> = killed.filter_map(|case| Some(case.budget.split_once('-')?.1.to_owned())).collect();
    ensure!(reported(environment).await? == killed, "Events ShutdownKilled: {:?}", reported(environment).await?);
    agree(&prometheus, &environment.namespace, &statuses).await
}

impl Case {
    fn check(&self, status: &Status) -> Result<()> {
        let Self { budget, cause, field, outcome, honoured } = self;
        ensure!(status.count("count") == 1 && status.count(field) == 1, "{budget}: {status:#?}");
        let text = format!(" {cause}: {outcome}");
        ensure!(status.recent.len() == 1 && status.recent[0].contains(&text), "{budget}: no {text:?} in {status:#?}");
        for (condition, reason) in [("Fits", "Fits"), ("Injected", "Injected"), ("Honoured", honoured)] {
            ensure!(status.reason(condition) == Some(reason), "{budget}: not {condition}={reason}: {status:#?}");
        }
        Ok(())
    }
}

/// The names of the workloads with an Event `ShutdownKilled`.
async fn reported(environment: &Environment) -> Result<BTreeSet<String>> {
    let events: Api<Event> = Api::namespaced(environment.client.clone(), &environment.namespace);
    let events = events.list(&ListParams::default().fields("reason=ShutdownKilled")).await.context("list Events")?;
    Ok(events.into_iter().filter_map(|event| event.regarding?.name).collect())
}

/// Waits until Prometheus has the same numbers as the `ShutdownBudget`s of a namespace.
async fn agree(prometheus: &Prometheus, namespace: &str, statuses: &BTreeMap<String, Status>) -> Result<()> {
    let counts = |(budget, status): (&String, &Status)| {
        let counts = OUTCOMES.map(|outcome| (format!("{budget} {outcome}"), status.count(outcome)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
    };
    let expected: BTreeMap<_, _> = statuses.iter().flat_map(counts).collect();
    let query = format!("sum by (kind, name, outcome) (winddown_shutdowns_total{{namespace=\"{namespace}\"}})");
    let agreed = until("Prometheus to have the numbers of the ShutdownBudgets", SCRAPE_LIMIT, async || {
        sleep(INTERVAL).await;
        let samples = prometheus.query(&query).await?;
        let found = samples.iter().map(outcome).collect::<Result<BTreeMap<_, _>>>()?;
        Ok((found == expected).then_some(()))
    });
    if let Err(error) = agreed.await {
        let samples = prometheus.query(&query).await?;
        return Err(error.context(format!("expected {expected:#?}, found {samples:#?}\n{}", prometheus.output())));
    }
    eprintln!("  Prometheus counted {} stops", expected.values().sum::<u64>());
    Ok(())
}

/// `deployment-web cutShort`, and the number.
fn outcome(sample: &Sample) -> Result<(String, u64)> {
    let label = |name: &str| sample.labels.get(name).with_context(|| format!("no label {name}: {sample:?}"));
    let outcome = label("outcome")?;
    let field = OUTCOMES.into_iter().find(|field| field.eq_ignore_ascii_case(outcome));
    let field = field.with_context(|| format!("unknown outcome {outcome}"))?;
    let count = format!("{:.0}", sample.value()?).parse()?;
    Ok((format!("{}-{} {field}", label("kind")?.to_lowercase(), label("name")?), count))
}
