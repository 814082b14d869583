//! The webhooks: `POST /mutate` and `POST /validate`, an `AdmissionReview` in, an `AdmissionReview` out.
//!
//! The handlers only carry bytes; [`winddown_core::review`] decides. Around them stands what keeps a hostile or broken client
//! from hurting the others: a limit to the body, a limit to the time, and a net for panics.

pub(crate) mod server;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use winddown_core::policy::Policy;
use winddown_core::review::{self, Answer, ReviewError};

/// The largest body that is read, in bytes. An object has at most 3 MiB in the API server's own limit, and an update
/// brings two of them.
pub(crate) const BODY_LIMIT: usize = 7 * 1024 * 1024;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the handshake to the end of the first request's headers.
    pub first_request: Duration,
    /// For the headers of a later request on the same HTTP/1 connection, idle time included.
    pub headers: Duration,
    /// From a request's headers to its answer, the body included. API servers give up after ten seconds themselves.
    pub request: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            request: Duration::from_secs(10),
        }
    }
}

/// Decides one review: [`review::mutate`] or [`review::validate`].
type Review = fn(&[u8], &Policy) -> Result<Answer, ReviewError>;

/// The routes of both webhooks.
pub(crate) fn router(policy: Arc<Policy>, patience: Patience) -> Router {
    let routes = Router::new()
        .route("/mutate", handler("mutate", review::mutate, policy.clone()))
        .route("/validate", handler("validate", review::validate, policy));
    guarded(routes, patience)
}

fn handler(webhook: &'static str, review: Review, policy: Arc<Policy>) -> MethodRouter {
    post(async move |body: Bytes| {
        // A large review takes its time, and the other requests and the health checks shall not wait for it.
        match tokio::task::spawn_blocking(move || answer(webhook, review, &body, &policy)).await {
            Ok(response) => response,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => panicked(panic),
                // The runtime is shutting down.
                Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            },
        }
    })
}

fn answer(webhook: &'static str, review: Review, body: &[u8], policy: &Policy) -> Response {
    match review(body, policy) {
        Ok(Answer { body, object, allowed, patched }) => {
            if allowed {
                tracing::debug!(webhook, object, patched, "allowed");
            } else {
                tracing::info!(webhook, object, "denied");
            }
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(error) => {
            tracing::warn!(webhook, "{error}");
            (StatusCode::BAD_REQUEST, error.to_string()).into_response()
        }
    }
}

/// Puts the guards around the routes; the outermost is added last.
fn guarded(routes: Router, patience: Patience) -> Router {
    routes
        // Ours, not axum's 2 MB.
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, patience.request))
        .layer(CatchPanicLayer::custom(panicked))
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that tower-http asks for")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
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
