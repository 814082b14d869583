//! What a review sees of the cluster: what governs the workloads of the namespace that its request names.

use std::time::Duration;

use crate::cluster::Cluster;
use winddown_core::policy::{Governing, Namespace};
use winddown_core::review::{Answer, Request, ReviewError, Scope};

/// How long a review waits for the labels of a namespace that the watch has not reported yet. A webhook of the chart has
/// five seconds, and its answer takes little more.
const NAMESPACE_LIMIT: Duration = Duration::from_secs(2);

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

    /// Reads a namespace. If that fails, the review does not wait again.
    pub(super) async fn read(&mut self, namespace: &str) {
        self.read = true;
        let _ = self.cluster.read_namespace(namespace, NAMESPACE_LIMIT).await;
    }

    pub(super) fn review(&self, body: &[u8], decide: Decide) -> Result<Reviewed, ReviewError> {
        let request = Request::read(body)?;
        let policies = self.cluster.policies.get();
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

    use axum::body::{Body, to_bytes};
    use axum::http::{Method, Request, StatusCode};
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
        let router =
            router(Cluster::unwatched(server.client()), Timeouts::default(), Trimming::default(), Arc::default());
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
