use axum::http::{Method, StatusCode};
use futures::future::join_all;
use kube::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::*;
use crate::fake_api_server::FakeApiServer;

const COLLECTION: &str = "/api/v1/namespaces";
const SHOP: &str = "/api/v1/namespaces/shop";
const LIMIT: Duration = READ_LIMIT;

fn namespace(labels: &Value) -> Value {
    json!({"metadata": {"name": "shop", "uid": "shop", "labels": labels}})
}

fn server() -> FakeApiServer {
    let server = FakeApiServer::default();
    server.put(SHOP, namespace(&json!({"team": "shop"})));
    server
}

fn clients(client: Client) -> Clients {
    Clients { short: client.clone(), watching: client }
}

type Matters = fn(&policy::Namespace, &policy::Namespace) -> bool;

/// Without its watch.
fn unwatched(client: Client) -> Namespaces {
    Namespaces::new(&clients(client), |_, _| true).0
}

fn team(name: &str) -> Labels {
    Labels::from([("team".to_owned(), name.to_owned())])
}

#[tokio::test]
async fn a_namespace_that_is_not_known_is_read_once_for_all_reviews() {
    let server = server();
    let namespaces = unwatched(server.client());
    assert_eq!(namespaces.labels("shop"), None);
    let found = join_all((0..50).map(|_| namespaces.read("shop", LIMIT))).await;
    assert!(found.iter().all(|labels| *labels == Some(team("shop"))), "{found:?}");
    assert_eq!(namespaces.labels("shop"), Some(team("shop")));
    assert_eq!(server.requests(&Method::GET, SHOP), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_is_repeated_after_five_seconds() {
    let server = server();
    let namespaces = unwatched(server.client());
    for failure in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS, StatusCode::FORBIDDEN] {
        server.fail(Method::GET, SHOP, Some(failure));
        let before = server.requests(&Method::GET, SHOP);
        for _ in 0..3 {
            assert_eq!(namespaces.read("shop", LIMIT).await, None);
        }
        assert_eq!(server.requests(&Method::GET, SHOP), before + 1);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    server.fail(Method::GET, SHOP, None);
    assert_eq!(namespaces.read("shop", LIMIT).await, Some(team("shop")));
}

#[tokio::test(start_paused = true)]
async fn a_read_without_an_answer_ends_in_time() {
    let silent = Client::new(
        tower::service_fn(async |_: http::Request<kube::client::Body>| {
            future::pending::<Result<http::Response<kube::client::Body>, std::io::Error>>().await
        }),
        "default",
    );
    let namespaces = unwatched(silent);
    let start = tokio::time::Instant::now();
    assert_eq!(namespaces.read("shop", LIMIT).await, None);
    assert_eq!(start.elapsed(), LIMIT);
    // Reviews that follow do not wait again.
    assert_eq!(namespaces.read("shop", LIMIT).await, None);
    assert_eq!(start.elapsed(), LIMIT);
}

#[tokio::test]
async fn more_namespaces_than_are_read_at_once_are_read_one_after_the_other() {
    let server = FakeApiServer::default();
    let names: Vec<_> = (0..100).map(|number| format!("shop-{number}")).collect();
    for name in &names {
        let labels = json!({"team": name});
        server.put(&format!("{COLLECTION}/{name}"), json!({"metadata": {"name": name, "labels": labels}}));
    }
    let namespaces = unwatched(server.client());
    let found = join_all(names.iter().map(|name| namespaces.read(name, LIMIT))).await;
    for (name, labels) in names.iter().zip(found) {
        assert_eq!(labels, Some(team(name)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_review_with_less_time_does_not_shorten_the_read_for_others() {
    let slow = Client::new(
        tower::service_fn(async |_: http::Request<kube::client::Body>| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let body = kube::client::Body::from(namespace(&json!({"team": "shop"})).to_string().into_bytes());
            Ok::<_, std::io::Error>(http::Response::new(body))
        }),
        "default",
    );
    let namespaces = unwatched(slow);
    let short = namespaces.read("shop", Duration::from_millis(500));
    let (short, long) = futures::join!(short, namespaces.read("shop", LIMIT));
    assert_eq!((short, long), (None, Some(team("shop"))));
}

#[tokio::test]
async fn the_number_of_reads_and_of_kept_results_is_bounded() {
    let server = FakeApiServer::default();
    let namespaces = unwatched(server.client());
    let long = "x".repeat(64);
    for name in ["", "../nodes", "a/b", "Shop", "shop?watch=true", &long] {
        assert_eq!(namespaces.read(name, LIMIT).await, None);
    }
    assert_eq!(server.requests(&Method::GET, "/api"), 0);
    for number in 0..2000 {
        namespaces.read(&format!("made-up-{number}"), LIMIT).await;
    }
    assert_eq!(server.requests(&Method::GET, "/api/v1/namespaces/made-up"), 1024);
}

#[tokio::test]
async fn labels_of_the_watch_replace_those_that_were_read() {
    let server = server();
    let (namespaces, watch) = Namespaces::new(&clients(server.client()), |_, _| true);
    namespaces.read("shop", LIMIT).await;
    let mut changes = namespaces.changes();
    let watch = tokio::spawn(watch);
    while server.lists() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.put(SHOP, namespace(&json!({"team": "pay"})));
    assert_eq!(&*changes.recv().await.unwrap(), "shop");
    while namespaces.labels("shop") != Some(team("pay")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(namespaces.read("shop", LIMIT).await, Some(team("pay")));
    watch.abort();
}

/// The namespaces of an API server whose watch runs, and the changes that matter.
async fn watching(server: &FakeApiServer, matters: Matters) -> (Arc<Namespaces>, JoinSet<()>) {
    let (namespaces, watch) = Namespaces::new(&clients(server.client()), matters);
    let mut task = JoinSet::new();
    task.spawn(watch);
    while server.watches() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (Arc::new(namespaces), task)
}

#[tokio::test]
async fn a_change_is_announced_when_the_labels_are_known() {
    let server = FakeApiServer::default();
    // Several pages.
    let names: Vec<_> = (0..25).map(|number| format!("shop-{number}")).collect();
    let put = |labels: &Value| {
        let objects = names.iter().map(|name| {
            let object = json!({"metadata": {"name": name, "uid": name, "labels": labels}});
            (format!("/api/v1/namespaces/{name}"), object)
        });
        objects.collect::<BTreeMap<_, _>>()
    };
    server.expire(COLLECTION, |objects| objects.extend(put(&json!({"team": "shop"}))));
    let (namespaces, _task) = watching(&server, |_, _| true).await;
    let (mut changes, known) = (namespaces.changes(), namespaces.clone());
    // A task, which the scheduler runs between the pages.
    let announced = tokio::spawn(async move {
        let mut announced = Vec::new();
        for _ in 0..25 {
            let name = changes.recv().await.unwrap();
            announced.push((known.labels(&name), name));
        }
        (announced, changes)
    });
    server.expire(COLLECTION, |objects| objects.extend(put(&json!({"team": "pay"}))));
    let (announced, mut changes) = announced.await.unwrap();
    assert!(announced.iter().all(|(labels, _)| *labels == Some(team("pay"))), "{announced:?}");
    // One that only a later list shows, and one that the watch reports.
    for (name, unseen) in [("new", true), ("newer", false)] {
        let (path, object) = (format!("/api/v1/namespaces/{name}"), json!({"metadata": {"name": name, "uid": name}}));
        if unseen {
            server.expire(COLLECTION, |objects| drop(objects.insert(path, object)));
        } else {
            server.put(&path, object);
        }
        assert_eq!(&*changes.recv().await.unwrap(), name);
        assert_eq!(namespaces.labels(name), Some(Labels::new()));
    }
}

#[tokio::test]
async fn only_changes_that_matter_are_announced() {
    let server = server();
    let matters: Matters = |before, after| before.labels.get("team") != after.labels.get("team");
    let (namespaces, _task) = watching(&server, matters).await;
    let mut changes = namespaces.changes();
    server.put(SHOP, namespace(&json!({"team": "shop", "cost-centre": "7"})));
    server.put(SHOP, namespace(&json!({"team": "pay", "cost-centre": "7"})));
    server.put("/api/v1/namespaces/last", json!({"metadata": {"name": "last", "uid": "last"}}));
    assert_eq!(&*changes.recv().await.unwrap(), "shop");
    assert_eq!(namespaces.labels("shop").unwrap()["team"], "pay");
    assert_eq!(&*changes.recv().await.unwrap(), "last");
}

#[test]
fn more_labels_than_the_limit_are_not_kept() {
    let many: Labels = (0..5000).map(|number| (format!("{number:04}"), String::new())).collect();
    assert_eq!(bounded(many).len(), MAX_LABELS);
}
