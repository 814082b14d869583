//! The watch and the report, on an API server in memory.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch::{Sender, channel};
use tokio::task::JoinSet;

use super::*;
use crate::cluster::Cluster;
use crate::fake_api_server::FakeApiServer;
use crate::kubernetes::Clients;
use crate::namespaces::Namespaces;
use crate::telemetry::captured::capture;
use winddown_core::kind::Kind;
use winddown_core::policy::Namespace;

const COLLECTION: &str = "/apis/winddown.dev/v1alpha1/shutdownpolicies";

struct Operator {
    server: FakeApiServer,
    policies: CurrentPolicies,
    governed: Arc<Governed>,
    leading: Sender<bool>,
    /// Ends the tasks when it is dropped.
    _tasks: JoinSet<()>,
}

impl Operator {
    fn start(server: FakeApiServer) -> Self {
        let clients = Clients { short: server.client(), watching: server.client() };
        let (namespaces, watch_namespaces) = Namespaces::new(&clients, |_, _| true);
        let watch = Watch::new(clients.watching);
        let (policies, governed, (leading, leads)) = (watch.policies(), Arc::new(Governed::default()), channel(true));
        let reporter = Reporter::new(clients.short, &watch, Arc::new(namespaces), governed.clone(), leads);
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_namespaces);
        tasks.spawn(watch.run());
        tasks.spawn(reporter.run());
        Self { server, policies, governed, leading, _tasks: tasks }
    }

    fn put(&self, name: &str, spec: &Value) {
        put(&self.server, name, spec);
    }

    /// The policy for the workloads of a namespace without labels.
    fn winner(&self) -> Option<String> {
        self.policies.get().for_namespace(&Namespace::default()).policy.name.clone()
    }

    fn status(&self, name: &str) -> Value {
        self.server.get(&path(name)).unwrap()["status"].clone()
    }

    /// Status and message of a condition.
    fn condition(&self, name: &str, condition: &str) -> [String; 2] {
        let conditions = self.status(name)["conditions"].clone();
        let found = conditions.as_array().into_iter().flatten().find(|found| found["type"] == condition);
        ["status", "message"].map(|field| found.map_or("", |found| found[field].as_str().unwrap()).to_owned())
    }

    fn writes(&self, name: &str) -> u64 {
        self.server.requests(&Method::PATCH, &format!("{}/status", path(name)))
    }
}

fn path(name: &str) -> String {
    format!("{COLLECTION}/{name}")
}

fn put(server: &FakeApiServer, name: &str, spec: &Value) {
    let before = server.get(&path(name)).unwrap_or_default();
    let generation = before["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
    let metadata = json!({"name": name, "generation": generation, "creationTimestamp": "2026-01-01T00:00:00Z"});
    server.put(&path(name), json!({"metadata": metadata, "spec": spec, "status": before["status"]}));
}

fn valid(priority: i32) -> Value {
    json!({"priority": priority, "validationActions": ["Deny"]})
}

/// An API server with a namespace and this policy.
fn server(name: &str) -> FakeApiServer {
    let server = FakeApiServer::default();
    server.put("/api/v1/namespaces/shop", json!({"metadata": {"name": "shop"}}));
    put(&server, name, &valid(0));
    server
}

/// Lets the operator do what it can within this time on the paused clock.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_resource_the_built_in_policy_counts_until_it_is_installed() {
    let server = server("gold");
    server.fail(Method::GET, COLLECTION, Some(StatusCode::NOT_FOUND));
    let operator = Operator::start(server);
    operator.policies.listed().await;
    pass(120).await;
    assert_eq!(operator.winner(), None);
    let looked = operator.server.requests(&Method::GET, COLLECTION);
    assert!((4..=10).contains(&looked), "{looked}");
    operator.server.fail(Method::GET, COLLECTION, None);
    pass(61).await;
    assert_eq!(operator.winner().as_deref(), Some("gold"));
}

#[tokio::test]
async fn the_first_review_without_the_policies_is_logged() {
    let (log, _guard) = capture();
    let (sender, policies) = channel(None);
    let policies = CurrentPolicies::new(policies);
    for _ in 0..3 {
        assert_eq!(policies.clone().for_review().ranked(), []);
    }
    assert_eq!(log.lines("WARN"), 1, "{}", log.text());
    sender.send_replace(Some(Arc::default()));
    for _ in 0..3 {
        policies.for_review();
    }
    assert_eq!((log.lines("WARN"), log.lines("INFO")), (1, 1), "{}", log.text());
    // Where they are always known, nothing is said.
    CurrentPolicies::built_in().for_review();
    assert_eq!((log.lines("WARN"), log.lines("INFO")), (1, 1), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_for_the_list_is_logged_once() {
    let (log, _guard) = capture();
    let (sender, policies) = channel(None);
    let server = server("gold");
    let cluster = Cluster { policies: CurrentPolicies::new(policies), ..Cluster::unwatched(server.client()) };
    let listed = cluster.listed();
    let other = async {
        pass(29).await;
        assert_eq!(log.lines("until the ShutdownPolicies are listed"), 0, "{}", log.text());
        pass(600).await;
        assert_eq!(log.lines("until the ShutdownPolicies are listed"), 1, "{}", log.text());
        sender.send_replace(Some(Arc::default()));
    };
    futures::join!(listed, other);
    assert_eq!(log.lines("ShutdownPolicies are listed"), 2, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn the_last_known_policies_count_while_the_api_server_fails() {
    let operator = Operator::start(server("gold"));
    operator.policies.listed().await;
    for failure in [StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::FORBIDDEN] {
        operator.server.fail(Method::GET, COLLECTION, Some(failure));
        // A watch is renewed after five minutes.
        pass(400).await;
        assert_eq!(operator.winner().as_deref(), Some("gold"), "{failure}");
    }
    operator.server.fail(Method::GET, COLLECTION, None);
    pass(400).await;
    operator.put("platinum", &valid(1));
    pass(1).await;
    assert_eq!(operator.winner().as_deref(), Some("platinum"));
    // Deleted together with its definition.
    operator.server.fail(Method::GET, COLLECTION, Some(StatusCode::NOT_FOUND));
    pass(400).await;
    assert_eq!(operator.winner(), None);
}

/// An API server that has just started does not know the resource for a moment.
#[tokio::test(start_paused = true)]
async fn policies_count_while_only_their_watch_is_not_found() {
    let (log, _guard) = capture();
    let operator = Operator::start(server("gold"));
    operator.policies.listed().await;
    operator.server.fail(Method::GET, COLLECTION, Some(StatusCode::NOT_FOUND));
    operator.server.disconnect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(operator.winner().as_deref(), Some("gold"));
    operator.server.fail(Method::GET, COLLECTION, None);
    operator.put("platinum", &valid(1));
    pass(5).await;
    assert_eq!(operator.winner().as_deref(), Some("platinum"));
    assert_eq!(log.lines("not installed"), 0, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn without_the_rights_the_built_in_policy_counts() {
    let server = server("gold");
    server.fail(Method::GET, COLLECTION, Some(StatusCode::FORBIDDEN));
    let operator = Operator::start(server);
    operator.policies.listed().await;
    assert_eq!(operator.winner(), None);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_read_does_not_count_and_says_why() {
    let operator = Operator::start(server("gold"));
    operator.put("platinum", &valid(1));
    pass(6).await;
    assert_eq!(operator.winner().as_deref(), Some("platinum"));
    for nonsense in [json!(null), json!("text"), json!({"validationActions": "Deny"}), json!({"validationActions": []})]
    {
        operator.put("platinum", &nonsense);
        pass(6).await;
        assert_eq!(operator.winner().as_deref(), Some("gold"), "{nonsense}");
        assert_eq!(operator.condition("platinum", "Accepted")[0], "False", "{nonsense}");
        assert_eq!(operator.condition("gold", "Effective")[0], "True", "{nonsense}");
    }
    operator.put("platinum", &valid(1));
    pass(6).await;
    assert_eq!(operator.winner().as_deref(), Some("platinum"));
    assert_eq!(operator.condition("platinum", "Accepted")[0], "True");
    assert_eq!(operator.condition("gold", "Effective"), ["False", "Overridden by platinum"]);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_written_only_when_it_changes_and_changes_are_written_together() {
    let operator = Operator::start(server("gold"));
    pass(120).await;
    assert_eq!(operator.writes("gold"), 1);
    assert_eq!(operator.status("gold")["workloads"], Value::Null, "not every workload was evaluated yet");
    for kind in Kind::ALL {
        operator.governed.listed(kind);
    }
    for number in 0..500 {
        let standing = Standing { policy: Some("gold".to_owned()), waiting: number % 2 == 0 };
        operator.governed.opted_in(&number.to_string(), standing);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    pass(10).await;
    assert_eq!(
        (&operator.status("gold")["workloads"], &operator.status("gold")["waiting"]),
        (&json!(500), &json!(250))
    );
    assert!(operator.writes("gold") <= 5, "{}", operator.writes("gold"));
    let writes = operator.writes("gold");
    pass(300).await;
    assert_eq!(operator.writes("gold"), writes);
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_writes_and_repairs_a_status() {
    let operator = Operator::start(server("gold"));
    operator.leading.send_replace(false);
    pass(60).await;
    assert_eq!(operator.writes("gold"), 0);
    operator.leading.send_replace(true);
    pass(6).await;
    assert_eq!(operator.condition("gold", "Accepted")[0], "True");
    let mut edited = operator.server.get(&path("gold")).unwrap();
    edited["status"] = json!({"conditions": [{"type": 7}], "workloads": "many"});
    operator.server.put(&path("gold"), edited);
    pass(6).await;
    assert_eq!(operator.condition("gold", "Accepted")[0], "True");
}

#[tokio::test(start_paused = true)]
async fn a_status_of_which_an_older_crd_drops_fields_is_written_once() {
    for dropped in ["namespaces", "conditions"] {
        let operator = Operator::start(server("gold"));
        operator.server.admit(move |_, policy| {
            policy["status"].as_object_mut().unwrap().remove(dropped);
        });
        pass(300).await;
        assert_eq!(operator.writes("gold"), 1, "{dropped}");
        assert_eq!(operator.status("gold")[dropped], Value::Null);
        // The next change is written nevertheless.
        operator.put("gold", &valid(7));
        pass(60).await;
        assert_eq!(operator.writes("gold"), 2, "{dropped}");
        assert_eq!(operator.status("gold")["observedGeneration"], 2, "{dropped}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_is_repeated_after_half_a_minute() {
    let operator = Operator::start(server("gold"));
    let status = format!("{}/status", path("gold"));
    operator.server.fail(Method::PATCH, &status, Some(StatusCode::INTERNAL_SERVER_ERROR));
    pass(100).await;
    assert!((2..=4).contains(&operator.writes("gold")), "{}", operator.writes("gold"));
    operator.server.fail(Method::PATCH, &status, None);
    pass(31).await;
    assert_eq!(operator.condition("gold", "Accepted")[0], "True");
}
