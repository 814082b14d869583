use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::{Value, json};

use super::*;
use crate::fake_api_server::FakeApiServer;

const SHOP: &str = "/api/v1/namespaces/shop";
const LIMIT: Duration = Duration::from_secs(1);

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

/// Without its watch.
fn unwatched(client: Client) -> Namespaces {
    Namespaces::new(&clients(client)).0
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
    let (namespaces, watch) = Namespaces::new(&clients(server.client()));
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

#[test]
fn more_labels_than_the_limit_are_not_kept() {
    let many: Labels = (0..5000).map(|number| (format!("{number:04}"), String::new())).collect();
    assert_eq!(bounded(many).len(), MAX_LABELS);
}
