//! What a review sees of the cluster: what governs the workloads of the namespace that its request names.

use tokio::time::Instant;

use crate::cluster::Cluster;
use winddown_core::policy::{Governing, Namespace};
use winddown_core::review::{Answer, Request, ReviewError, Scope};

/// [`winddown_core::review::mutate`] or [`winddown_core::review::validate`].
type Decide = fn(&Request<'_>, Scope<'_>) -> Result<Answer, ReviewError>;

/// The outcome of a review.
pub(super) enum Reviewed {
    /// It is complete.
    Answered(Answer),
    /// The labels of this namespace are not known. Then [`View::read`] reads them, once.
    NeedsNamespace(String),
}

/// The cluster for one review.
#[derive(Clone)]
pub(super) struct View {
    cluster: Cluster,
    /// Whether the API server selected the workload by the label of its namespace. Its labels are newer than those of the watch.
    opted_in: bool,
    /// Whether the namespace was read, successfully or not.
    read: bool,
}

impl View {
    pub(super) fn new(cluster: Cluster, opted_in: bool) -> Self {
        Self { cluster, opted_in, read: false }
    }

    /// Reads a namespace that the watch has not reported yet. If that fails, the review does not wait again.
    pub(super) async fn read(&mut self, namespace: &str, until: Instant) {
        self.read = true;
        let limit = until.saturating_duration_since(Instant::now());
        let _ = self.cluster.read_namespace(namespace, limit).await;
    }

    pub(super) fn review(&self, body: &[u8], decide: Decide) -> Result<Reviewed, ReviewError> {
        let request = Request::read(body)?;
        let policies = self.cluster.policies.for_review();
        let scope = match self.cluster.namespace(request.namespace()) {
            Some(namespace) => Scope::new(self.governing(policies.for_namespace(&namespace))),
            None if !self.read => return Ok(Reviewed::NeedsNamespace(request.namespace().to_owned())),
            None => {
                let only_named = Namespace::named(request.namespace());
                Scope::without_labels(self.governing(policies.for_namespace(&only_named)))
            }
        };
        decide(&request, scope).map(Reviewed::Answered)
    }

    fn governing<'a>(&self, Governing { policy, opted_in }: Governing<'a>) -> Governing<'a> {
        Governing { policy, opted_in: opted_in || self.opted_in }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::{Method, Request, StatusCode};
    use kube::Client;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use crate::cluster::Cluster;
    use crate::fake_api_server::FakeApiServer;
    use crate::trimming::Trimming;
    use crate::webhook::routes::router;
    use crate::webhook::timeouts::Timeouts;

    const NAMESPACE: &str = "/api/v1/namespaces/shop";

    fn review() -> Value {
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"winddown.dev/drain": "5s"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app"}], "terminationGracePeriodSeconds": 30}}},
        });
        let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        let request = json!({"uid": "u", "kind": kind, "namespace": "shop", "name": "web", "object": object});
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    }

    async fn response(server: &FakeApiServer, path: &str) -> Value {
        response_of(server.client(), path).await
    }

    async fn response_of(client: Client, path: &str) -> Value {
        let router = router(Cluster::unwatched(client), Timeouts::default(), Trimming::default(), Arc::default());
        let response =
            router.oneshot(Request::post(path).body(Body::from(review().to_string())).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 65_536).await.unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["response"].take()
    }

    #[tokio::test]
    async fn a_review_reads_a_namespace_that_is_not_known() {
        let server = FakeApiServer::default();
        server.put(NAMESPACE, json!({"metadata": {"name": "shop"}}));
        for path in ["/mutate", "/validate", "/mutate/namespace", "/validate/namespace"] {
            let response = response(&server, path).await;
            assert_eq!(response["allowed"], true, "{path}");
            assert!(!response["warnings"].to_string().contains("not read"), "{path} {response}");
        }
        assert_eq!(server.requests(&Method::GET, NAMESPACE), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_answers_before_the_api_server_gives_up() {
        let silent = Client::new(
            tower::service_fn(async |_: axum::http::Request<kube::client::Body>| {
                std::future::pending::<Result<axum::http::Response<kube::client::Body>, std::io::Error>>().await
            }),
            "default",
        );
        for (timeout, milliseconds) in [("1s", 500), ("30s", 2000)] {
            let start = tokio::time::Instant::now();
            let response = response_of(silent.clone(), &format!("/mutate?timeout={timeout}")).await;
            assert!(response["warnings"][0].as_str().unwrap().contains("namespace was not read"), "{response}");
            assert_eq!(start.elapsed(), Duration::from_millis(milliseconds), "{timeout}");
        }
    }

    #[tokio::test]
    async fn a_namespace_that_cannot_be_read_is_a_warning_and_not_an_error() {
        let server = FakeApiServer::default();
        for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS, StatusCode::NOT_FOUND] {
            server.fail(Method::GET, NAMESPACE, Some(status));
            let response = response(&server, "/mutate").await;
            assert_eq!((&response["allowed"], response["patch"].is_string()), (&json!(true), true), "{status}");
            assert!(response["warnings"][0].as_str().unwrap().contains("namespace was not read"), "{response}");
        }
    }
}
