use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures::stream;
use tower::ServiceExt as _;

use super::*;

/// Answers with the length of the body that arrived.
fn measure(body: &[u8], _: &Policy) -> Result<Answer, ReviewError> {
    match body.len() {
        0 => Err(ReviewError::Empty),
        length => {
            Ok(Answer { body: length.to_string().into_bytes(), object: String::new(), allowed: true, patched: false })
        }
    }
}

fn explode(_: &[u8], _: &Policy) -> Result<Answer, ReviewError> {
    panic!("a table has no row {}", 7)
}

fn refuse(_: &[u8], _: &Policy) -> Result<Answer, ReviewError> {
    Err(ReviewError::Version("v0 AdmissionReview".to_owned()))
}

fn routes() -> Router {
    let policy = Arc::new(Policy::default());
    let routes = Router::new()
        .route("/measure", handler("measure", measure, policy.clone()))
        .route("/explode", handler("explode", explode, policy.clone()))
        .route("/refuse", handler("refuse", refuse, policy));
    guarded(routes, Patience { request: Duration::from_secs(3), ..Patience::default() })
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

/// A body of unknown length, in chunks, as `Transfer-Encoding: chunked` brings it.
fn chunked(length: usize) -> Body {
    let chunks =
        vec![b'x'; length].chunks(64 * 1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
    Body::from_stream(stream::iter(chunks))
}

#[tokio::test]
async fn a_body_of_seven_mebibytes_passes_and_one_byte_more_does_not() {
    assert_eq!(post_to("/measure", vec![b'x'; BODY_LIMIT]).await, (200, "7340032".to_owned()));
    assert_eq!(post_to("/measure", vec![b'x'; BODY_LIMIT + 1]).await.0, 413);
    assert_eq!(post_to("/measure", chunked(BODY_LIMIT)).await, (200, "7340032".to_owned()));
    assert_eq!(post_to("/measure", chunked(BODY_LIMIT + 1)).await.0, 413);
}

#[tokio::test]
async fn a_body_that_claims_to_be_too_long_is_not_even_read() {
    let request = Request::post("/measure")
        .header("content-length", (BODY_LIMIT + 1).to_string())
        .body(Body::from_stream(stream::pending::<std::io::Result<Vec<u8>>>()))
        .unwrap();
    assert_eq!(send(&routes(), request).await.0, 413);
}

#[tokio::test]
async fn an_empty_body_is_a_bad_request() {
    let (status, body) = post_to("/measure", "").await;
    assert_eq!(status, 400);
    assert!(body.contains("the body is empty"), "{body}");
}

#[tokio::test]
async fn what_is_no_review_is_a_bad_request_that_says_why() {
    let (status, body) = post_to("/refuse", "{}").await;
    assert_eq!(status, 400);
    assert!(body.contains("v0 AdmissionReview"), "{body}");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_next_review_is_answered() {
    let router = routes();
    for _ in 0..2 {
        let (status, body) = send(&router, Request::post("/explode").body(Body::from("{}")).unwrap()).await;
        assert_eq!((status, body.as_str()), (500, "internal error"));
    }
    assert_eq!(send(&router, Request::post("/measure").body(Body::from("{}")).unwrap()).await.0, 200);
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut() {
    let body = Body::from_stream(stream::pending::<std::io::Result<Vec<u8>>>());
    assert_eq!(post_to("/measure", body).await.0, 408);
}

#[tokio::test]
async fn only_posts_to_the_two_paths_are_answered() {
    let router = router(Arc::new(Policy::default()), Patience::default());
    for (request, status) in [
        (Request::get("/mutate"), 405),
        (Request::get("/validate"), 405),
        (Request::post("/"), 404),
        (Request::post("/mutate"), 400),
        (Request::post("/validate"), 400),
    ] {
        assert_eq!(send(&router, request.body(Body::empty()).unwrap()).await.0, status);
    }
}

/// kube's own types read a denial as the API server does.
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
    let answer = review::validate(review.to_string().as_bytes(), &Policy::default()).unwrap();
    let read: AdmissionReview<DynamicObject> = serde_json::from_slice(&answer.body).unwrap();
    let response = read.response.unwrap();
    assert!(!response.allowed);
    assert_eq!((response.result.code, response.result.reason.as_str()), (422, "Invalid"));
    assert_eq!(response.result.details.unwrap().causes.len(), 1);
}
