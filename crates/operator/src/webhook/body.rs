//! Reads the body of a request within limits of size, time and memory.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::permits::{BODY_LIMIT, Busy, Permits, SMALL_BODY};

/// A body that was read.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    /// For its memory; kept as long as the bytes.
    _permit: OwnedSemaphorePermit,
}

/// Why a request is not reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Larger than [`BODY_LIMIT`].
    TooLarge,
    /// Slower than [`Pace`].
    TooSlow,
    /// The client has closed the connection or violated the protocol.
    Incomplete,
    /// Too much is read or reviewed already, or others wait while the body is slow.
    Busy,
}

/// The minimum speed of a body. API servers send it immediately.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The time for a body of any size.
    pub(crate) grace: Duration,
    /// Added to it for each received MiB.
    pub(crate) per_mebibyte: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { grace: Duration::from_secs(2), per_mebibyte: Duration::from_secs(1) }
    }
}

impl Pace {
    fn limit(self, received: usize) -> Duration {
        let kibibytes = u32::try_from(received / 1024).unwrap_or(u32::MAX);
        self.grace + self.per_mebibyte * kibibytes / 1024
    }
}

/// Reads the whole body. Its permit is taken before the first byte.
pub(super) async fn read(request: Request, permits: &Permits, pace: Pace) -> Result<Received, Refusal> {
    let declared = declared_length(&request);
    if declared.is_some_and(|bytes| bytes > BODY_LIMIT) {
        return Err(Refusal::TooLarge);
    }
    let mut capacity = declared.unwrap_or(SMALL_BODY);
    let mut permit = permits.body(capacity).await?;
    let start = Instant::now();
    let mut bytes = Vec::with_capacity(capacity);
    let mut stream: BodyDataStream = Body::into_data_stream(request.into_body());
    loop {
        let next = tokio::select! {
            biased;
            next = stream.next() => next,
            () = tokio::time::sleep_until(start + pace.limit(bytes.len())) => return Err(Refusal::TooSlow),
            () = permit.overtaken() => return Err(Refusal::Busy),
        };
        let chunk = match next {
            None => break,
            Some(Err(_)) => return Err(Refusal::Incomplete),
            Some(Ok(chunk)) => chunk,
        };
        if bytes.len() + chunk.len() > capacity {
            if capacity == BODY_LIMIT || declared.is_some() {
                return Err(Refusal::TooLarge);
            }
            // Of unknown size, and not small.
            capacity = BODY_LIMIT;
            permit = permits.body(capacity).await?;
            bytes.reserve_exact(capacity - bytes.len());
            if bytes.len() + chunk.len() > capacity {
                return Err(Refusal::TooLarge);
            }
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Received { bytes, _permit: permit.completed() })
}

fn declared_length(request: &Request) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl From<Busy> for Refusal {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::TooLarge => {
                let limit = format!("the body is larger than the limit of {BODY_LIMIT} bytes");
                (StatusCode::PAYLOAD_TOO_LARGE, limit).into_response()
            }
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body arrives too slowly").into_response(),
            Self::Incomplete => (StatusCode::BAD_REQUEST, "the body is incomplete").into_response(),
            // The API server's client sends the request again after this time, within its timeout for the webhook.
            Self::Busy => {
                let retry = [(header::RETRY_AFTER, "1")];
                (StatusCode::TOO_MANY_REQUESTS, retry, "too many requests at the same time").into_response()
            }
        }
    }
}
