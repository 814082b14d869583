//! The watch and the writer, on an API server in memory.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch::{Sender, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fake_api_server::FakeApiServer;
use crate::metrics::{stop, text};
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::kind::Kind;
use winddown_core::observation::Outcome;
use winddown_core::observation::{End, Timestamp};
use winddown_core::policy::Policy;

mod edits;
mod failures;
mod stops;

const COLLECTION: &str = "/apis/winddown.dev/v1alpha1/shutdownbudgets";
const BUDGETS: &str = "/apis/winddown.dev/v1alpha1/namespaces/shop/shutdownbudgets";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

struct Operator {
    server: FakeApiServer,
    budgets: Budgets,
    observation: Observation,
    leading: Sender<bool>,
    metrics: Metrics,
    stop: CancellationToken,
    /// Ends the tasks when it is dropped.
    tasks: JoinSet<()>,
}

impl Operator {
    /// A replica that leads and has listed the budgets.
    async fn start(server: &FakeApiServer) -> Self {
        let operator = Self::start_following(server).await;
        operator.leading.send_replace(true);
        pass(1).await;
        operator
    }

    async fn start_following(server: &FakeApiServer) -> Self {
        let clients = Clients { short: server.client(), watching: server.client() };
        let ((leading, leads), metrics) = (channel(false), Metrics::new(true));
        let publisher = Arc::new(Publisher::new(server.client(), "winddown-0"));
        let observation = Observation::default();
        let (budgets, watch, writer) = Budgets::new(&clients, leads, publisher, observation.clone(), metrics.clone());
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(watch.run());
        tasks.spawn(writer.run(stop.clone(), Duration::from_secs(10)));
        pass(1).await;
        Self { server: server.clone(), budgets, observation, leading, metrics, stop, tasks }
    }

    fn evaluate(&self, name: &str, annotations: &Value) {
        self.evaluate_as(name, "u", annotations, true);
    }

    fn evaluate_as(&self, name: &str, uid: &str, annotations: &Value, is_new: bool) {
        self.budgets.evaluated(&workload(name), uid, computed(name, annotations), (Reported::default(), is_new));
    }

    fn budget(&self, name: &str) -> Value {
        self.server.get(&path(name)).unwrap_or_default()
    }

    fn status(&self, name: &str) -> Value {
        self.budget(name)["status"].clone()
    }

    /// The requests about one budget: reads and writes.
    fn requests(&self, name: &str) -> [u64; 2] {
        [Method::GET, Method::PUT].map(|method| self.server.requests(&method, &path(name)))
    }

    /// The reasons of the Events.
    fn events(&self) -> Vec<String> {
        let events = self.server.under(EVENTS).into_iter();
        let mut reasons: Vec<_> = events.map(|event| event["reason"].as_str().unwrap().to_owned()).collect();
        reasons.sort();
        reasons
    }

    fn exports(&self, line: &str) -> bool {
        text(&self.metrics, true).lines().any(|exported| exported == line)
    }

    /// The stops of `web` that the metrics count.
    fn counted(&self, outcome: &str) -> u32 {
        let series = "winddown_shutdowns_total{namespace=\"shop\",kind=\"Deployment\",name=\"web\"";
        let series = format!("{series},outcome=\"{outcome}\"}} ");
        let text = text(&self.metrics, true);
        text.lines().find_map(|exported| exported.strip_prefix(&series)?.parse().ok()).unwrap_or_default()
    }

    async fn shut_down(mut self) {
        self.stop.cancel();
        // The watch does not end.
        self.tasks.join_next().await;
    }
}

fn path(name: &str) -> String {
    format!("{BUDGETS}/deployment-{name}")
}

fn workload(name: &str) -> WorkloadRef {
    WorkloadRef { kind: Kind::Deployment, namespace: "shop".to_owned(), name: name.to_owned() }
}

fn drain(seconds: u32) -> Value {
    json!({"winddown.dev/drain": format!("{seconds}s"), "winddown.dev/deadline": "25s"})
}

fn computed(name: &str, annotations: &Value) -> Computed {
    at_generation(name, annotations, 1)
}

/// What a reconciliation finds after the webhook has injected.
fn at_generation(name: &str, annotations: &Value, generation: i64) -> Computed {
    let evaluate =
        |workload: &Value| evaluate(workload, Existing::Unchanged, &Policy::default(), Origin::ApiServer).unwrap();
    let workload = json!({
        "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": name, "generation": generation, "annotations": annotations},
        "spec": {"template": {"spec": {
            "containers": [{"name": "app", "startupProbe": {"tcpSocket": {"port": 80}}}],
        }}},
    });
    let stored = evaluate(&workload).changes.apply(&workload);
    Computed::of(&stored, &evaluate(&stored), None)
}

/// One that ends after the budget was created: what ended before is not counted.
fn stopped(name: &str, number: u32) -> Stop {
    let at = Timestamp::from_second(jiff::Timestamp::now().as_second() + 60);
    Stop { uid: number.to_string(), at, end: End { earliest: at, latest: at }, ..stop("shop", name, 0) }
}

fn killed(name: &str, number: u32) -> Stop {
    let mut killed = Stop { outcome: Outcome::Killed, ..stopped(name, number) };
    killed.containers[0].outcome = Some(Outcome::Killed);
    killed
}

/// What comes within a minute.
async fn soon<T>(next: impl Future<Output = Option<T>>) -> T {
    tokio::time::timeout(Duration::from_mins(1), next).await.ok().flatten().expect("nothing came")
}

/// Lets the operator do what it can within this time on the paused clock.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_created_changed_and_deleted_with_the_declaration() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate("web", &drain(5));
    pass(1).await;
    let budget = operator.budget("web");
    let owner = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u", "controller": true}]);
    assert_eq!(budget["metadata"]["ownerReferences"], owner);
    assert_eq!(budget["status"]["budget"], "drain 5s + deadline 25s + margin 5s = 35s of 35s");
    assert_eq!(operator.events(), ["BudgetApplied"]);
    assert!(operator.exports("winddown_status_writes_total{result=\"stored\"} 1"));
    operator.evaluate("web", &drain(6));
    pass(1).await;
    assert_eq!(operator.status("web")["phases"]["drain"], "6s");
    assert_eq!(operator.events(), ["BudgetApplied", "BudgetApplied"]);
    operator.evaluate("web", &json!({}));
    pass(1).await;
    assert_eq!(operator.budget("web"), Value::Null);
    assert_eq!(operator.events(), ["BudgetApplied", "BudgetApplied", "BudgetRemoved"]);
    // Another one that is not declared has none.
    operator.evaluate("other", &json!({}));
    pass(60).await;
    assert_eq!(operator.server.requests(&Method::POST, BUDGETS), 1);
}

#[tokio::test(start_paused = true)]
async fn a_declaration_that_returns_while_the_budget_is_removed_is_reported() {
    for (wait, unanswered) in [(0, false), (1, true), (1, false)] {
        let operator = Operator::start(&FakeApiServer::default()).await;
        operator.evaluate("web", &drain(5));
        pass(1).await;
        operator.server.lose_answers(Method::POST, EVENTS, unanswered);
        operator.evaluate_as("web", "u", &json!({}), false);
        pass(wait).await;
        // The reconciliation began before the removal was reported, so it knows of no new declaration.
        operator.evaluate_as("web", "u", &drain(5), false);
        operator.server.lose_answers(Method::POST, EVENTS, false);
        pass(120).await;
        assert_eq!(operator.status("web")["phases"]["drain"], "5s");
        let removed = operator.events().contains(&"BudgetRemoved".to_owned());
        let applied = operator.events().iter().filter(|reason| *reason == "BudgetApplied").count();
        // Without a removal, nothing changed.
        assert_eq!((removed, applied), if wait == 0 { (false, 1) } else { (true, 2) }, "{wait} s, {unanswered}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_nothing_is_read_written_or_published_again() {
    let server = FakeApiServer::default();
    let operator = Operator::start(&server).await;
    for name in ["web", "db"] {
        operator.evaluate(name, &drain(5));
    }
    pass(1).await;
    let events = operator.events();
    let (requests, posts) = (operator.requests("web"), server.requests(&Method::POST, BUDGETS));
    operator.shut_down().await;
    for is_new in [false, true] {
        let operator = Operator::start(&server).await;
        for name in ["web", "db"] {
            operator.budgets.pods_changed(&workload(name));
            operator.evaluate_as(name, "u", &drain(5), is_new);
        }
        pass(120).await;
        assert_eq!((operator.requests("web"), server.requests(&Method::POST, BUDGETS)), (requests, posts));
        assert_eq!(operator.events(), events);
        operator.shut_down().await;
    }
    // What changed in between is reported once.
    for _ in 0..2 {
        let operator = Operator::start(&server).await;
        operator.evaluate_as("web", "u", &drain(7), false);
        pass(1).await;
        assert_eq!(operator.events().len(), events.len() + 1);
        operator.shut_down().await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_writes() {
    let server = FakeApiServer::default();
    let follower = Operator::start_following(&server).await;
    follower.evaluate("web", &drain(5));
    follower.budgets.stopped(stopped("web", 1));
    pass(60).await;
    assert_eq!(server.requests(&Method::POST, BUDGETS), 0);
    // A new leader writes evaluations and stops without a delay.
    follower.leading.send_replace(true);
    pass(1).await;
    follower.evaluate("web", &drain(5));
    follower.budgets.stopped(stopped("web", 1));
    pass(1).await;
    assert_eq!(follower.status("web")["shutdowns"]["count"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_two_leaders_write_counts_once() {
    let server = FakeApiServer::default();
    let operators = [Operator::start(&server).await, Operator::start(&server).await];
    operators[0].evaluate("web", &drain(5));
    pass(2).await;
    for operator in &operators {
        operator.evaluate_as("web", "u", &drain(5), false);
        for number in 0..40 {
            operator.budgets.stopped(stopped("web", number));
        }
    }
    pass(60).await;
    assert_eq!(operators[0].status("web")["shutdowns"]["count"], 40);
    assert_eq!(operators.iter().map(|operator| operator.counted("Clean")).sum::<u32>(), 40);
    assert_eq!(operators[0].events(), ["BudgetApplied"]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_an_earlier_workload_with_the_same_name_is_replaced() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate_as("web", "first", &drain(5), true);
    operator.budgets.stopped(stopped("web", 1));
    pass(15).await;
    assert_eq!(operator.status("web")["shutdowns"]["count"], 1);
    operator.budgets.forget(&workload("web"), "first");
    operator.evaluate_as("web", "second", &drain(5), true);
    pass(1).await;
    assert_eq!(operator.budget("web")["metadata"]["ownerReferences"][0]["uid"], "second");
    assert_eq!(operator.status("web")["shutdowns"]["count"], 0);
    assert_eq!(operator.events(), ["BudgetApplied", "BudgetApplied"]);
}

#[tokio::test(start_paused = true)]
async fn a_crd_that_drops_fields_causes_one_write() {
    let server = FakeApiServer::default();
    server.admit(|_, budget| {
        if let Some(status) = budget["status"].as_object_mut() {
            status.retain(|field, _| ["budget", "workload"].contains(&field.as_str()));
        }
    });
    let operator = Operator::start(&server).await;
    let mut altered = Box::pin(operator.budgets.altered());
    operator.evaluate("web", &drain(5));
    for _ in 0..100 {
        pass(10).await;
        operator.evaluate_as("web", "u", &drain(5), false);
    }
    assert!(futures::poll!(altered.next()).is_pending());
    assert_eq!(operator.requests("web")[1], 1);
    assert_eq!(operator.events(), ["BudgetApplied"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_generation_alone_waits_for_others() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate("web", &drain(5));
    pass(40).await;
    let writes = operator.requests("web")[1];
    for generation in 2..62 {
        operator.budgets.evaluated(
            &workload("web"),
            "u",
            at_generation("web", &drain(5), generation),
            (Reported::default(), false),
        );
        pass(1).await;
    }
    pass(40).await;
    assert_eq!(operator.status("web")["workloadGeneration"], 61);
    assert!((2..=4).contains(&(operator.requests("web")[1] - writes)), "{:?}", operator.requests("web"));
    // Another budget does not wait.
    operator.budgets.evaluated(
        &workload("web"),
        "u",
        at_generation("web", &drain(6), 62),
        (Reported::default(), false),
    );
    pass(1).await;
    assert_eq!(operator.status("web")["phases"]["drain"], "6s");
}

#[tokio::test(start_paused = true)]
async fn a_kill_that_was_not_reported_yet_is_reported_by_the_next_leader() {
    let server = FakeApiServer::default();
    let operator = Operator::start(&server).await;
    operator.evaluate("web", &drain(5));
    pass(1).await;
    for number in 0..2 {
        operator.budgets.stopped(killed("web", number));
        pass(1).await;
    }
    let published = operator.events();
    assert_eq!(published.iter().filter(|event| *event == "ShutdownKilled").count(), 1);
    let reads = operator.requests("web")[0];
    operator.shut_down().await;
    let next = Operator::start(&server).await;
    next.evaluate_as("web", "u", &drain(5), false);
    // The Event is due by the clock of the API, which the paused one does not move.
    pass(330).await;
    assert!(next.requests("web")[0] > reads);
}
