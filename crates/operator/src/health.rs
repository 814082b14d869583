//! `/healthz` and `/readyz` for the kubelet: plain HTTP on a separate port.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

/// Limit for the headers of a request, idle time included. The kubelet opens a new connection for each probe.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether this replica can answer reviews: it serves a certificate, and the API servers trust its issuer.
///
/// Readiness is sticky until shutdown. If an API server error or a deleted webhook configuration made replicas unready,
/// all of them would leave the Service at the same time, and webhook calls that still work would fail.
#[derive(Clone, Debug)]
pub(crate) struct Readiness(watch::Sender<Phase>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Waiting(Vec<String>),
    Ready,
    ShuttingDown,
}

impl Default for Readiness {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Waiting(vec!["no certificate is loaded yet".to_owned()])))
    }
}

impl Readiness {
    /// Publishes the reasons why this replica is not ready; an empty list means ready.
    pub(crate) fn publish(&self, reasons: Vec<String>) {
        self.0.send_if_modified(|phase| {
            let next = if reasons.is_empty() { Phase::Ready } else { Phase::Waiting(reasons) };
            let changed = matches!(phase, Phase::Waiting(_)) && *phase != next;
            if changed {
                if next == Phase::Ready {
                    tracing::info!("ready");
                }
                *phase = next;
            }
            changed
        });
    }

    /// Makes this replica not ready; later calls of [`Self::publish`] have no effect.
    pub(crate) fn shut_down(&self) {
        self.0.send_replace(Phase::ShuttingDown);
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.0.borrow() == Phase::Ready
    }
}

/// Serves both paths until the process ends.
pub(crate) async fn serve(listener: TcpListener, readiness: Readiness) -> io::Result<()> {
    let mut server = axum_server::from_tcp(listener)?.first_request_timeout(HEADER_TIMEOUT);
    server.http_builder().http1().header_read_timeout(HEADER_TIMEOUT);
    server.serve(router(readiness).into_make_service()).await
}

fn router(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(readyz)).with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match &*readiness.0.borrow() {
        Phase::Ready => (StatusCode::OK, "ok\n".to_owned()),
        Phase::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned()),
        Phase::Waiting(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(readiness: &Readiness, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(readiness.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readyz_lists_why_a_replica_is_not_ready() {
        let readiness = Readiness::default();
        assert_eq!(get(&readiness, "/readyz").await, (503, "no certificate is loaded yet\n".to_owned()));
        readiness.publish(vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(get(&readiness, "/readyz").await, (503, "one\ntwo\n".to_owned()));
        assert_eq!(get(&readiness, "/healthz").await, (200, "ok\n".to_owned()));
    }

    #[tokio::test]
    async fn readiness_is_sticky_until_shutdown() {
        let readiness = Readiness::default();
        readiness.publish(vec![]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        readiness.publish(vec!["the API server does not answer".to_owned()]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        readiness.shut_down();
        readiness.publish(vec![]);
        assert_eq!(get(&readiness, "/readyz").await, (503, "shutting down\n".to_owned()));
        assert_eq!(get(&readiness, "/healthz").await, (200, "ok\n".to_owned()));
    }
}
