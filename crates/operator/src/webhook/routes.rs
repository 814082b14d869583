//! The routes of both webhooks.
//!
//! The handlers only pass bytes to [`winddown_core::review`], which decides. Limits of size, time and memory, and a panic
//! handler, protect the other clients from one with malformed or malicious requests.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use super::body::{self, Received, Refusal};
use super::permits::Permits;
use super::timeouts::{Timeouts, wait_until};
use super::view::{Reviewed, View};
use crate::cluster::Cluster;
use crate::metrics::{self, Reviews};
use crate::telemetry::LogLimit;
use crate::trimming::Trimming;
use winddown_core::error_chain::ErrorChain;
use winddown_core::review::{self, Answer, ReviewError};
use winddown_core::sanitize::escaped;

/// Up to this size in bytes a review is answered without a change of thread. A larger one may take many milliseconds, whatever
/// it contains, and health checks use the same threads.
const INLINE_LIMIT: usize = 64 * 1024;

/// Maximum length of an error in bytes: a JSON error can quote a string of the body.
const ERROR_LIMIT: usize = 1000;

/// Answers a body.
type Review = fn(&View, &[u8]) -> Result<Reviewed, ReviewError>;

/// One path.
#[derive(Clone, Copy)]
struct Endpoint {
    webhook: &'static str,
    review: Review,
    /// Whether only workloads of namespaces that opted in are sent to it.
    opted_in: bool,
}

/// What the handlers share.
struct Shared {
    cluster: Cluster,
    permits: Permits,
    timeouts: Timeouts,
    /// Anyone who reaches the port can cause these lines.
    invalid: LogLimit,
    refused: LogLimit,
    trimming: Trimming,
}

pub(crate) fn router(cluster: Cluster, timeouts: Timeouts, trimming: Trimming, reviews: Arc<Reviews>) -> Router {
    let shared = Arc::new(Shared { trimming, ..Shared::new(cluster, Permits::default(), timeouts) });
    let mutate: Review = |view, body| view.review(body, review::mutate);
    let validate: Review = |view, body| view.review(body, review::validate);
    let mut routes = Router::new();
    for (webhook, review) in [("mutate", mutate), ("validate", validate)] {
        let endpoint = Endpoint { webhook, review, opted_in: false };
        let in_namespace = Endpoint { opted_in: true, ..endpoint };
        routes = routes.route(&format!("/{webhook}"), handler(endpoint, &shared));
        routes = routes.route(&format!("/{webhook}/namespace"), handler(in_namespace, &shared));
    }
    with_limits(routes, timeouts).layer(from_fn_with_state(reviews, metrics::counted))
}

impl Shared {
    fn new(cluster: Cluster, permits: Permits, timeouts: Timeouts) -> Self {
        let (invalid, refused, trimming) = <(LogLimit, LogLimit, Trimming)>::default();
        Self { cluster, permits, timeouts, invalid, refused, trimming }
    }
}

fn handler(endpoint: Endpoint, shared: &Arc<Shared>) -> MethodRouter {
    let shared = shared.clone();
    post(async move |request: Request| match handle(endpoint, &shared, request).await {
        Ok(response) => response,
        Err(refusal) => {
            shared.trimming.request();
            if let Some(unlogged) = shared.refused.next() {
                tracing::warn!(webhook = endpoint.webhook, ?refusal, unlogged, "refused");
            }
            refusal.into_response()
        }
    })
}

async fn handle(endpoint: Endpoint, shared: &Arc<Shared>, request: Request) -> Result<Response, Refusal> {
    let wait_until = wait_until(Instant::now(), request.uri());
    let received = Arc::new(body::read(request, &shared.permits, shared.timeouts.pace).await?);
    let mut view = View::new(shared.cluster.clone(), endpoint.opted_in);
    loop {
        match review(endpoint, &view, &received, shared).await? {
            Outcome::Response(response) => return Ok(response),
            // Without a permit, so that other reviews do not wait for this namespace.
            Outcome::NeedsNamespace(namespace) => view.read(&namespace, wait_until).await,
        }
    }
}

enum Outcome {
    Response(Response),
    NeedsNamespace(String),
}

/// One attempt, with a permit.
async fn review(
    endpoint: Endpoint,
    view: &View,
    received: &Arc<Received>,
    shared: &Arc<Shared>,
) -> Result<Outcome, Refusal> {
    let permit = shared.permits.review(&received.bytes).await?;
    if received.bytes.len() <= INLINE_LIMIT {
        return Ok(answer(endpoint, view, received, shared));
    }
    let (view, received, shared) = (view.clone(), received.clone(), shared.clone());
    // A large review must not delay other requests and health checks. It keeps its permits even if the client has gone.
    let answered = tokio::task::spawn_blocking(move || {
        let outcome = answer(endpoint, &view, &received, &shared);
        drop((received, permit));
        shared.trimming.request();
        outcome
    });
    Ok(match answered.await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Response(match error.try_into_panic() {
            Ok(panic) => on_panic(panic),
            // The runtime is shutting down.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }),
    })
}

fn answer(Endpoint { webhook, review, .. }: Endpoint, view: &View, received: &Received, shared: &Shared) -> Outcome {
    Outcome::Response(match review(view, &received.bytes) {
        Ok(Reviewed::NeedsNamespace(namespace)) => return Outcome::NeedsNamespace(namespace),
        Ok(Reviewed::Answered(Answer { body, object, allowed, patched })) => {
            if allowed {
                tracing::debug!(webhook, object, patched, "allowed");
            } else {
                tracing::info!(webhook, object, "denied");
            }
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(error) => {
            let mut error = escaped(&ErrorChain(&error).to_string()).into_owned();
            error.truncate(error.floor_char_boundary(ERROR_LIMIT));
            if let Some(unlogged) = shared.invalid.next() {
                tracing::warn!(webhook, error, unlogged, "invalid request");
            }
            (StatusCode::BAD_REQUEST, error).into_response()
        }
    })
}

/// Adds the limits; the layer that is added last is the outermost.
fn with_limits(routes: Router, timeouts: Timeouts) -> Router {
    routes
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, timeouts.request))
        .layer(CatchPanicLayer::custom(on_panic))
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that tower-http requires")]
fn on_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = message, "a review panicked; this is a bug in winddown");
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response()
}

#[cfg(test)]
mod tests;
