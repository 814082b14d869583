//! `/healthz` and `/readyz` for the kubelet: plain HTTP on a separate port.

use std::io;
use std::net::TcpListener;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

use crate::plain_http;

/// The maximum number of connections.
const MAX_CONNECTIONS: usize = 512;

/// Whether this replica can answer reviews: it serves a certificate, and the API servers trust its issuer.
///
/// A replica that is ready stays ready until shutdown, unless its certificate is about to expire. If an API server error or
/// a deleted webhook configuration made replicas unready, all of them would leave the Service at the same time, and webhook
/// calls that still work would fail. `/readyz` lists such problems after "ok".
#[derive(Clone, Debug)]
pub(crate) struct Readiness(watch::Sender<Phase>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Waiting(Vec<String>),
    Ready { problems: Vec<String> },
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
            let next = if reasons.is_empty() { Phase::Ready { problems: Vec::new() } } else { Phase::Waiting(reasons) };
            let changed = matches!(phase, Phase::Waiting(_)) && *phase != next;
            if changed {
                if matches!(next, Phase::Ready { .. }) {
                    tracing::info!("ready");
                }
                *phase = next;
            }
            changed
        });
    }

    /// Lists problems on `/readyz` while this replica is ready; an empty list means that there are none.
    pub(crate) fn report(&self, problems: Vec<String>) {
        self.0.send_if_modified(|phase| {
            let changed = matches!(phase, Phase::Ready { problems: known } if *known != problems);
            if changed {
                *phase = Phase::Ready { problems };
            }
            changed
        });
    }

    /// Makes this replica not ready even if it was, until [`Self::publish`] is called without reasons.
    pub(crate) fn withdraw(&self, reasons: Vec<String>) {
        self.0.send_if_modified(|phase| {
            if matches!(phase, Phase::Ready { .. }) {
                tracing::warn!(reasons = reasons.join("; "), "not ready any more");
            }
            let changed = *phase != Phase::ShuttingDown;
            if changed {
                *phase = Phase::Waiting(reasons);
            }
            changed
        });
    }

    /// Makes this replica not ready; later calls of [`Self::publish`] have no effect.
    pub(crate) fn shut_down(&self) {
        self.0.send_replace(Phase::ShuttingDown);
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(*self.0.borrow(), Phase::Ready { .. })
    }
}

/// Serves both paths until the process ends.
pub(crate) async fn serve(listener: TcpListener, readiness: Readiness) -> io::Result<()> {
    plain_http::serve(listener, MAX_CONNECTIONS, router(readiness)).await
}

fn router(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(readyz)).with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match &*readiness.0.borrow() {
        Phase::Ready { problems } => (
            StatusCode::OK,
            std::iter::once("ok").chain(problems.iter().map(String::as_str)).collect::<Vec<_>>().join("\n") + "\n",
        ),
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
    async fn a_replica_stays_ready_until_its_certificate_is_about_to_expire_or_it_shuts_down() {
        let readiness = Readiness::default();
        readiness.publish(vec![]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        readiness.publish(vec!["the API server does not answer".to_owned()]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        readiness.report(vec!["the API server does not answer".to_owned()]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\nthe API server does not answer\n".to_owned()));
        readiness.report(vec![]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        readiness.withdraw(vec!["the certificate expires".to_owned()]);
        assert_eq!(get(&readiness, "/readyz").await, (503, "the certificate expires\n".to_owned()));
        readiness.publish(vec![]);
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        readiness.shut_down();
        readiness.publish(vec![]);
        readiness.withdraw(vec![]);
        assert_eq!(get(&readiness, "/readyz").await, (503, "shutting down\n".to_owned()));
        assert_eq!(get(&readiness, "/healthz").await, (200, "ok\n".to_owned()));
    }
}
