//! The routes of both webhooks.
//!
//! The handlers only pass bytes to [`winddown_core::review`], which decides. Limits for body size and time, and a panic
//! handler, protect the other clients from one with malformed or malicious requests.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::timeouts::Timeouts;
use crate::error_chain::ErrorChain;
use winddown_core::policy::Policies;
use winddown_core::review::{self, Answer, ReviewError};

/// Maximum size of a body in bytes. The API server limits a request to 3 MiB, and the review of an update contains the
/// object twice.
const BODY_LIMIT: usize = 7 * 1024 * 1024;

/// Up to this size in bytes a review is answered without a change of thread. A larger one may take many milliseconds, whatever
/// it contains, and health checks use the same threads.
const INLINE_LIMIT: usize = 64 * 1024;

/// Maximum length of an error in bytes: a JSON error can quote a string of the body.
const ERROR_LIMIT: usize = 1000;

/// [`review::mutate`] or [`review::validate`].
type Review = fn(&[u8], &Policies) -> Result<Answer, ReviewError>;

pub(crate) fn router(policies: Arc<Policies>, timeouts: Timeouts) -> Router {
    let routes = Router::new()
        .route("/mutate", handler("mutate", review::mutate, policies.clone()))
        .route("/validate", handler("validate", review::validate, policies));
    with_limits(routes, timeouts)
}

fn handler(webhook: &'static str, review: Review, policies: Arc<Policies>) -> MethodRouter {
    post(async move |body: Bytes| {
        if body.len() <= INLINE_LIMIT {
            return answer(webhook, review, &body, &policies);
        }
        // A large review must not delay other requests and health checks.
        match tokio::task::spawn_blocking(move || answer(webhook, review, &body, &policies)).await {
            Ok(response) => response,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => on_panic(panic),
                // The runtime is shutting down.
                Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            },
        }
    })
}

fn answer(webhook: &'static str, review: Review, body: &[u8], policies: &Policies) -> Response {
    match review(body, policies) {
        Ok(Answer { body, object, allowed, patched }) => {
            if allowed {
                tracing::debug!(webhook, object, patched, "allowed");
            } else {
                tracing::info!(webhook, object, "denied");
            }
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(error) => {
            let mut error = ErrorChain(&error).to_string();
            error.truncate(error.floor_char_boundary(ERROR_LIMIT));
            tracing::warn!(webhook, error, "invalid request");
            (StatusCode::BAD_REQUEST, error).into_response()
        }
    }
}

/// Adds the limits; the layer that is added last is the outermost.
fn with_limits(routes: Router, timeouts: Timeouts) -> Router {
    routes
        // RequestBodyLimitLayer replaces axum's limit of 2 MB.
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
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
