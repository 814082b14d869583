//! What a replica sees and hands on, on an API server in memory.

use axum::http::{Method, StatusCode};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch::{Sender, channel};
use tokio::task::JoinSet;

use super::*;
use crate::fake_api_server::FakeApiServer;
use crate::metrics::text;
use winddown_core::kind::Kind;
use winddown_core::observation::{Counts, Outcome, carried_hash};

const PODS: &str = "/api/v1/pods";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";

/// What the leader was told.
#[derive(Clone)]
struct Told {
    installed: Receiver<bool>,
    stops: Arc<Mutex<Vec<Stop>>>,
    changed: Arc<Mutex<Vec<String>>>,
}

impl Sink for Told {
    async fn installed(&self) {
        let _ = self.installed.clone().wait_for(|installed| *installed).await;
    }

    fn stopped(&self, stop: Stop) {
        self.stops.lock().unwrap().push(stop);
    }

    fn pods_changed(&self, workload: &WorkloadRef) {
        self.changed.lock().unwrap().push(workload.to_string());
    }
}

struct Replica {
    server: FakeApiServer,
    observation: Observation,
    leading: Sender<bool>,
    installed: Sender<bool>,
    told: Told,
    metrics: Metrics,
    /// Ends the task when it is dropped.
    _task: JoinSet<()>,
}

impl Replica {
    fn start(server: &FakeApiServer, leads: bool, installed: bool) -> Self {
        let ((leading, leads), (installed, is_installed)) = (channel(leads), channel(installed));
        let told = Told { installed: is_installed, stops: Arc::default(), changed: Arc::default() };
        let (observation, metrics, mut task) = (Observation::default(), Metrics::new(true), JoinSet::new());
        task.spawn(observation.clone().run(server.client(), leads, told.clone(), metrics.clone()));
        Self { server: server.clone(), observation, leading, installed, told, metrics, _task: task }
    }

    /// Starts one that leads, and waits until it watches.
    async fn leading(server: &FakeApiServer) -> Self {
        let replica = Self::start(server, true, true);
        replica.requested(2).await;
        replica
    }

    /// Waits until pods were listed and watched so often.
    async fn requested(&self, times: u64) {
        until(|| self.server.requests(&Method::GET, PODS) >= times).await;
        until(|| self.server.requests(&Method::GET, SLICES) >= 2).await;
        // The watch begins with the answer.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    fn stops(&self) -> Vec<Stop> {
        self.told.stops.lock().unwrap().clone()
    }

    fn counts(&self) -> Counts {
        self.observation.observer().counts()
    }

    fn web(&self) -> Option<(u32, u32)> {
        let web = WorkloadRef { kind: Kind::Deployment, namespace: "shop".to_owned(), name: "web".to_owned() };
        self.observation.pods(&web, carried_hash("{}"))
    }

    async fn counted(&self, stops: usize) {
        until(|| self.stops().len() >= stops).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(self.stops().len(), stops);
    }
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition was not met");
}

fn path(uid: &str) -> String {
    format!("/api/v1/namespaces/shop/pods/web-{uid}")
}

fn seconds(from_now: i64) -> Value {
    json!(Timestamp::from_second(Timestamp::now().as_second() + from_now).unwrap())
}

fn running(server: &FakeApiServer, uid: &str) {
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9f", "uid": "2", "controller": true});
    let app = json!({"name": "app", "state": {"running": {"startedAt": seconds(-60)}}});
    let pod = json!({
        "metadata": {
            "uid": uid, "name": format!("web-{uid}"), "namespace": "shop", "generation": 1,
            "creationTimestamp": seconds(-60), "ownerReferences": [owner],
            "labels": {"pod-template-hash": "7d9f", "winddown.dev/managed": "true"},
            "annotations": {"winddown.dev/injected": "{}"},
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:metadata": {}}}],
        },
        "spec": {"nodeName": "a", "terminationGracePeriodSeconds": 30, "containers": [{"name": "app"}]},
        "status": {"phase": "Running", "observedGeneration": 1, "containerStatuses": [app]},
    });
    server.put(&path(uid), pod);
}

/// The deletion is requested.
fn delete(server: &FakeApiServer, uid: &str) {
    let mut pod = server.get(&path(uid)).unwrap();
    pod["metadata"]["deletionTimestamp"] = seconds(30);
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    server.put(&path(uid), pod);
}

/// The containers end, and the kubelet removes the pod.
fn end(server: &FakeApiServer, uid: &str) {
    let mut pod = server.get(&path(uid)).unwrap();
    let end = json!({"exitCode": 143, "startedAt": seconds(-60), "finishedAt": seconds(0)});
    pod["status"] = json!({"phase": "Failed", "containerStatuses": [{"name": "app", "state": {"terminated": end}}]});
    server.put(&path(uid), pod.clone());
    pod["metadata"]["deletionTimestamp"] = seconds(0);
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    server.put(&path(uid), pod);
    server.remove(&path(uid));
}

#[tokio::test(start_paused = true)]
async fn the_leader_hands_on_each_stop_once_and_the_workloads_whose_pods_changed() {
    let server = FakeApiServer::default();
    running(&server, "1");
    let replica = Replica::leading(&server).await;
    assert_eq!(replica.web(), Some((1, 0)));
    let drain = || text(&replica.metrics, true).contains("\nwinddown_node_drain_seconds{node=\"a\"} 30\n");
    assert!(drain());
    running(&server, "2");
    until(|| replica.web() == Some((2, 0))).await;
    delete(&server, "1");
    until(|| replica.web() == Some((1, 0))).await;
    end(&server, "1");
    replica.counted(1).await;
    let stop = replica.stops().remove(0);
    assert_eq!((stop.outcome, stop.uid.as_str()), (Outcome::Clean, "1"));
    // The list, the new pod, the deletion and the removal.
    assert_eq!(*replica.told.changed.lock().unwrap(), ["Deployment shop/web"; 4]);
    assert_eq!(replica.counts(), Counts::default());
    assert!(drain());
    end(&server, "2");
    replica.counted(2).await;
    assert!(!drain());
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_hands_on_what_it_saw_before() {
    let server = FakeApiServer::default();
    running(&server, "1");
    let replica = Replica::start(&server, false, true);
    replica.requested(2).await;
    delete(&server, "1");
    end(&server, "1");
    until(|| replica.observation.observer().tracked() == 0).await;
    assert_eq!((replica.stops().len(), replica.told.changed.lock().unwrap().len()), (0, 0));
    replica.leading.send_replace(true);
    replica.counted(1).await;
    assert_eq!(*replica.told.changed.lock().unwrap(), ["Deployment shop/web"], "once");
    // It loses the Lease and gets it back: the ledger knows the stop, and perhaps it was not stored.
    let (stop, series) = (replica.stops().remove(0), "winddown_shutdowns_total{");
    replica.metrics.shutdowns.count(&stop);
    assert!(text(&replica.metrics, true).contains(series));
    replica.leading.send_replace(false);
    tokio::time::sleep(Duration::from_millis(50)).await;
    replica.leading.send_replace(true);
    replica.counted(2).await;
    assert!(!text(&replica.metrics, true).contains(series), "metrics start again");
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_hands_on_the_newest_stops_first() {
    let server = FakeApiServer::default();
    for uid in ["1", "2", "3"] {
        running(&server, uid);
    }
    let replica = Replica::start(&server, false, true);
    replica.requested(2).await;
    for uid in ["1", "2", "3"] {
        delete(&server, uid);
        end(&server, uid);
    }
    until(|| replica.observation.observer().tracked() == 0).await;
    replica.leading.send_replace(true);
    replica.counted(3).await;
    assert!(replica.stops().iter().map(|stop| stop.uid.as_str()).eq(["3", "2", "1"]));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_goes_on_without_a_list() {
    let server = FakeApiServer::default();
    running(&server, "1");
    let replica = Replica::leading(&server).await;
    server.disconnect();
    replica.requested(3).await;
    delete(&server, "1");
    end(&server, "1");
    replica.counted(1).await;
    assert_eq!(replica.counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn what_a_watch_missed_is_found_by_a_list() {
    let server = FakeApiServer::default();
    for uid in ["1", "2", "3"] {
        running(&server, uid);
    }
    let replica = Replica::leading(&server).await;
    delete(&server, "1");
    until(|| replica.web() == Some((2, 0))).await;
    // The API server answers with errors for a while. One pod ends as expected, and another one unseen.
    server.fail(Method::GET, PODS, Some(StatusCode::SERVICE_UNAVAILABLE));
    let gone = json!({"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410});
    server.send(&path("1"), json!({"type": "ERROR", "object": gone}));
    let before = server.requests(&Method::GET, PODS);
    until(|| server.requests(&Method::GET, PODS) > before + 3).await;
    server.delete(&path("1"));
    server.delete(&path("2"));
    assert_eq!(replica.web(), None, "unknown until the list is complete");
    server.fail(Method::GET, PODS, None);
    replica.counted(1).await;
    assert_eq!((replica.web(), replica.stops()[0].outcome.as_str()), (Some((1, 0)), "Unknown"));
    assert_eq!(replica.counts(), Counts { missed: 1, relists: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_the_api_server_does_not_remember_is_replaced_by_a_list_at_once() {
    let server = FakeApiServer::default();
    running(&server, "1");
    let _replica = Replica::leading(&server).await;
    // A restart of the API server, after which delays are long.
    server.fail(Method::GET, PODS, Some(StatusCode::SERVICE_UNAVAILABLE));
    server.disconnect();
    tokio::time::sleep(Duration::from_secs(20)).await;
    server.fail(Method::GET, PODS, None);
    let before = server.requests(&Method::GET, PODS);
    until(|| server.requests(&Method::GET, PODS) > before).await;
    let (start, requests) = (tokio::time::Instant::now(), server.requests(&Method::GET, PODS));
    server.expire(PODS, |_| {});
    until(|| server.requests(&Method::GET, PODS) > requests).await;
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    // Repeated answers of this kind are no reason to list all the time.
    let requests = server.requests(&Method::GET, PODS);
    for _ in 0..1000 {
        server.expire(PODS, |_| {});
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let repeated = server.requests(&Method::GET, PODS) - requests;
    assert!((20..=60).contains(&repeated), "{repeated} in 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_answered_is_requested_again() {
    let server = FakeApiServer::default();
    running(&server, "1");
    server.silence(PODS, true);
    let replica = Replica::start(&server, true, true);
    tokio::time::sleep(Duration::from_secs(30)).await;
    server.silence(PODS, false);
    assert_eq!((replica.web(), server.requests(&Method::GET, PODS)), (None, 0));
    until(|| replica.web() == Some((1, 0))).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_watched_until_there_is_a_place_for_it() {
    let server = FakeApiServer::default();
    running(&server, "1");
    let replica = Replica::start(&server, true, false);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let synced = || text(&replica.metrics, false).contains("\nwinddown_observer_synced 1\n");
    assert_eq!((server.lists(), replica.web(), synced()), (0, None, false));
    replica.installed.send_replace(true);
    until(|| replica.web() == Some((1, 0)) && synced()).await;
}

#[tokio::test(start_paused = true)]
async fn the_withdrawal_of_endpoints_is_measured() {
    let server = FakeApiServer::default();
    running(&server, "1");
    let slice = |terminating: bool| {
        let conditions = json!({"ready": !terminating, "terminating": terminating});
        let endpoint = json!({"conditions": conditions, "targetRef": {"uid": "1"}});
        let path = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-1";
        server.put(path, json!({"metadata": {"name": "web-1", "namespace": "shop"}, "endpoints": [endpoint]}));
    };
    slice(false);
    let replica = Replica::leading(&server).await;
    delete(&server, "1");
    until(|| replica.web() == Some((0, 0))).await;
    slice(true);
    tokio::time::sleep(Duration::from_millis(50)).await;
    end(&server, "1");
    replica.counted(1).await;
    assert!(replica.stops()[0].withdrawal.is_some());
}
