//! `/healthz` and `/readyz`, plain HTTP on a port of their own, for the kubelet.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

/// How long a client may take for the headers of a request, idle time included. The kubelet opens a connection each time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether this replica can answer reviews: it has a certificate, and the API servers trust who signed it.
///
/// Ready once is ready for good, until shutdown. Were it taken back whenever the API server hiccups or somebody deletes
/// one of the webhook configurations, every replica would leave the Service at the same moment, and the webhook that
/// could still be answered would fail.
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
    /// Says what is still waited for; nothing means ready.
    pub(crate) fn publish(&self, reasons: Vec<String>) {
        self.0.send_if_modified(|state| {
            let next = if reasons.is_empty() { Phase::Ready } else { Phase::Waiting(reasons) };
            let changes = matches!(state, Phase::Waiting(_)) && *state != next;
            if changes {
                if next == Phase::Ready {
                    tracing::info!("ready");
                }
                *state = next;
            }
            changes
        });
    }

    /// From now on, and whatever is published, not ready.
    pub(crate) fn shut_down(&self) {
        self.0.send_replace(Phase::ShuttingDown);
    }

    /// Whether traffic may come.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        *self.0.borrow() == Phase::Ready
    }
}

/// The routes.
pub(crate) fn router(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(readyz)).with_state(readiness)
}

/// Serves the routes for ever.
pub(crate) async fn serve(listener: TcpListener, readiness: Readiness) -> io::Result<()> {
    let mut server = axum_server::from_tcp(listener)?.first_request_timeout(PATIENCE);
    server.http_builder().http1().header_read_timeout(PATIENCE);
    server.serve(router(readiness).into_make_service()).await
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
    async fn a_replica_that_waits_says_what_for() {
        let readiness = Readiness::default();
        assert_eq!(get(&readiness, "/readyz").await, (503, "no certificate is loaded yet\n".to_owned()));
        readiness.publish(vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(get(&readiness, "/readyz").await, (503, "one\ntwo\n".to_owned()));
        assert_eq!(get(&readiness, "/healthz").await, (200, "ok\n".to_owned()));
    }

    #[tokio::test]
    async fn ready_once_is_ready_until_shutdown() {
        let readiness = Readiness::default();
        readiness.publish(vec![]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        readiness.publish(vec!["the API server hiccups".to_owned()]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        readiness.shut_down();
        readiness.publish(vec![]);
        assert_eq!(get(&readiness, "/readyz").await, (503, "shutting down\n".to_owned()));
        assert_eq!(get(&readiness, "/healthz").await, (200, "ok\n".to_owned()));
    }
}
