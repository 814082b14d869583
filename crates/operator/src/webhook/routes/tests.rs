use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures::{StreamExt as _, stream};
use tower::ServiceExt as _;

use super::*;
use crate::fake_api_server::FakeApiServer;
use crate::webhook::body::Pace;
use crate::webhook::permits::{BODY_LIMIT, SMALL_BODY};
use winddown_core::policy::Namespace;
use winddown_core::review::Scope;

/// Answers with the length of the body.
fn length(_: &View, body: &[u8]) -> Result<Reviewed, ReviewError> {
    match body.len() {
        0 => Err(ReviewError::Empty),
        bytes => {
            let (body, object) = (bytes.to_string().into_bytes(), String::new());
            Ok(Reviewed::Answered(Answer { body, object, allowed: true, patched: false }))
        }
    }
}

fn panicking(_: &View, _: &[u8]) -> Result<Reviewed, ReviewError> {
    panic!("a table has no row {}", 7)
}

fn failing(_: &View, _: &[u8]) -> Result<Reviewed, ReviewError> {
    Err(ReviewError::Version("v0 AdmissionReview".to_owned()))
}

/// Blocks until the test ends.
fn blocking(_: &View, _: &[u8]) -> Result<Reviewed, ReviewError> {
    std::thread::sleep(Duration::from_secs(2));
    Err(ReviewError::Empty)
}

/// Without namespaces.
fn cluster() -> Cluster {
    Cluster::unwatched(FakeApiServer::default().client())
}

fn routes() -> Router {
    let pace = Pace { grace: Duration::from_millis(500), per_mebibyte: Duration::from_secs(1) };
    let timeouts = Timeouts { request: Duration::from_secs(5), pace, ..Timeouts::default() };
    router_for_lengths(Permits::new(Duration::from_millis(50)), timeouts)
}

fn router_for_lengths(permits: Permits, timeouts: Timeouts) -> Router {
    let shared = Arc::new(Shared::new(cluster(), permits, timeouts));
    let reviews: [(&str, Review); 4] =
        [("length", length), ("panicking", panicking), ("failing", failing), ("blocking", blocking)];
    let routes = reviews.into_iter().fold(Router::new(), |routes, (webhook, review)| {
        let endpoint = Endpoint { webhook, review, opted_in: false };
        routes.route(&format!("/{webhook}"), handler(endpoint, &shared))
    });
    with_limits(routes, timeouts)
}

/// A body that never ends, and its declared length.
fn endless(path: &str, length: usize) -> Request<Body> {
    let body = Body::from_stream(stream::pending::<std::io::Result<Vec<u8>>>());
    Request::post(path).header("content-length", length.to_string()).body(body).unwrap()
}

async fn send(router: &Router, request: Request<Body>) -> (u16, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 4096).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn post_to(path: &str, body: impl Into<Body>) -> (u16, String) {
    send(&routes(), Request::post(path).body(body.into()).unwrap()).await
}

/// A body without `Content-Length`, as with `Transfer-Encoding: chunked`.
fn chunked(length: usize) -> Body {
    let chunks =
        vec![b'x'; length].chunks(64 * 1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
    Body::from_stream(stream::iter(chunks))
}

#[tokio::test]
async fn the_body_limit_is_seven_mebibytes() {
    assert_eq!(post_to("/length", vec![b'x'; BODY_LIMIT]).await, (200, "7340032".to_owned()));
    assert_eq!(post_to("/length", vec![b'x'; BODY_LIMIT + 1]).await.0, 413);
    assert_eq!(post_to("/length", chunked(BODY_LIMIT)).await, (200, "7340032".to_owned()));
    assert_eq!(post_to("/length", chunked(BODY_LIMIT + 1)).await.0, 413);
    assert_eq!(post_to("/length", chunked(SMALL_BODY + 1)).await, (200, "131073".to_owned()));
}

#[tokio::test]
async fn a_content_length_above_the_limit_is_rejected_without_reading_the_body() {
    assert_eq!(send(&routes(), endless("/length", BODY_LIMIT + 1)).await.0, 413);
}

#[tokio::test]
async fn an_empty_body_is_a_bad_request() {
    let (status, body) = post_to("/length", "").await;
    assert_eq!(status, 400);
    assert!(body.contains("the body is empty"), "{body}");
}

#[tokio::test]
async fn an_invalid_review_is_a_bad_request_with_the_reason() {
    let (status, body) = post_to("/failing", "{}").await;
    assert_eq!(status, 400);
    assert!(body.contains("v0 AdmissionReview"), "{body}");
}

#[tokio::test]
async fn a_malformed_review_is_answered_with_the_cause() {
    let router = router(cluster(), Timeouts::default(), Trimming::default(), Arc::default());
    for path in ["/mutate", "/validate"] {
        let (status, body) = send(&router, Request::post(path).body(Body::from("{\"kind\": 7")).unwrap()).await;
        assert_eq!(status, 400);
        assert!(body.contains(": ") && body.contains("column"), "{body}");
        let long = format!(r#"{{"request": "{}"}}"#, "ü".repeat(1_000_000));
        let (status, body) = send(&router, Request::post(path).body(Body::from(long)).unwrap()).await;
        assert_eq!((status, body.len() <= ERROR_LIMIT), (400, true));
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_does_not_affect_the_next_review() {
    let router = routes();
    for _ in 0..2 {
        let (status, body) = send(&router, Request::post("/panicking").body(Body::from("{}")).unwrap()).await;
        assert_eq!((status, body.as_str()), (500, "internal error"));
    }
    assert_eq!(send(&router, Request::post("/length").body(Body::from("{}")).unwrap()).await.0, 200);
}

#[tokio::test]
async fn an_endless_body_times_out() {
    let body = Body::from_stream(stream::pending::<std::io::Result<Vec<u8>>>());
    assert_eq!(post_to("/length", body).await.0, 408);
}

#[tokio::test]
async fn a_body_may_take_longer_the_more_was_received() {
    let slow = |chunk: usize| {
        let chunks = stream::repeat(vec![b'x'; chunk]).take(8).then(async |chunk| {
            tokio::time::sleep(Duration::from_millis(150)).await;
            std::io::Result::Ok(chunk)
        });
        Body::from_stream(chunks)
    };
    assert_eq!(post_to("/length", slow(256 * 1024)).await, (200, "2097152".to_owned()));
    assert_eq!(post_to("/length", slow(1024)).await.0, 408);
}

/// Each holds seven of the 21 MiB for large bodies, until it is too slow, or until another one waits.
#[tokio::test]
async fn slow_large_bodies_do_not_delay_others() {
    let router = router_for_lengths(Permits::default(), Timeouts::default());
    let slow: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let router = router.clone();
                async move { send(&router, endless("/length", BODY_LIMIT)).await.0 }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for size in [SMALL_BODY, BODY_LIMIT] {
        let request = Request::post("/length").body(Body::from(vec![b'x'; size])).unwrap();
        assert_eq!(send(&router, request).await, (200, size.to_string()));
    }
    let mut statuses = futures::future::try_join_all(slow).await.unwrap();
    statuses.sort_unstable();
    assert_eq!(statuses, [408, 408, 429]);
}

/// Together they need more than the 16 MiB for small bodies.
#[tokio::test]
async fn slow_small_bodies_do_not_keep_others_out() {
    let router = router_for_lengths(Permits::default(), Timeouts::default());
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..400 {
        let router = router.clone();
        slow.spawn(async move { send(&router, endless("/length", 64 * 1024)).await });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..5 {
        let start = std::time::Instant::now();
        assert_eq!(send(&router, Request::post("/length").body(Body::from("{}")).unwrap()).await.0, 200);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_review_keeps_its_permits_when_the_client_has_gone() {
    let router = routes();
    let heavy = || Request::post("/blocking").body(Body::from(vec![b','; 100_000])).unwrap();
    let gone = tokio::time::timeout(Duration::from_millis(200), send(&router, heavy())).await;
    assert!(gone.is_err(), "the review still runs");
    let response = router.clone().oneshot(heavy()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(send(&router, Request::post("/length").body(Body::from(vec![b','; 100_000])).unwrap()).await.0, 200);
}

#[tokio::test]
async fn only_post_to_the_paths_of_the_webhooks_is_supported() {
    let router = router(cluster(), Timeouts::default(), Trimming::default(), Arc::default());
    for (request, status) in [
        (Request::get("/mutate"), 405),
        (Request::get("/validate"), 405),
        (Request::post("/"), 404),
        (Request::post("/mutate"), 400),
        (Request::post("/validate"), 400),
        (Request::post("/mutate/namespace"), 400),
        (Request::post("/validate/namespace"), 400),
        (Request::post("/mutate/other"), 404),
    ] {
        assert_eq!(send(&router, request.body(Body::empty()).unwrap()).await.0, status);
    }
}

/// kube decodes a denial with the same types as the API server.
#[test]
fn a_denial_is_a_valid_admission_response() {
    use kube::core::DynamicObject;
    use kube::core::admission::AdmissionReview;
    use serde_json::json;

    let pod = json!({"containers": [{"name": "app"}], "terminationGracePeriodSeconds": 10});
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "annotations": {"winddown.dev/drain": "5s"}},
        "spec": {"template": {"spec": pod}},
    });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "object": object,
        },
    });
    let policies = winddown_core::policy::Policies::default();
    let (body, scope) = (review.to_string(), Scope::new(policies.for_namespace(&Namespace::default())));
    let answer = review::validate(&review::Request::read(body.as_bytes()).unwrap(), scope).unwrap();
    let read: AdmissionReview<DynamicObject> = serde_json::from_slice(&answer.body).unwrap();
    let response = read.response.unwrap();
    assert!(!response.allowed);
    assert_eq!((response.result.code, response.result.reason.as_str()), (422, "Invalid"));
    assert_eq!(response.result.details.unwrap().causes.len(), 1);
}
