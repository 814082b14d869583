//! Timeouts of a webhook connection, and the time of one review.

use std::time::Duration;

use axum::http::Uri;
use tokio::time::Instant;

use super::body::Pace;
use crate::namespaces::READ_LIMIT;
use winddown_core::duration::go::go_duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// From the TLS handshake to the end of the first request's headers.
    pub first_request: Duration,
    /// For the headers of a later request on the same HTTP/1 connection, idle time included.
    pub headers: Duration,
    /// From a request's headers to its answer, the body included. API servers themselves wait ten seconds.
    pub request: Duration,
    /// For the body of a request.
    pub pace: Pace,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            request: Duration::from_secs(10),
            pace: Pace::default(),
        }
    }
}

/// `timeoutSeconds` of a webhook of the chart.
const DEFAULT: Duration = Duration::from_secs(5);
/// The longest `timeoutSeconds`.
const LONGEST: Duration = Duration::from_secs(30);

/// Until when a review may wait for the labels of a namespace: half of the time that the API server waits, so that the answer
/// is in time.
pub(super) fn wait_until(received: Instant, uri: &Uri) -> Instant {
    // The API server sends the rest of `timeoutSeconds` and of the time of its own request, in whole seconds.
    let timeout = uri.query().into_iter().flat_map(|query| query.split('&')).find_map(|parameter| {
        let seconds = go_duration(parameter.strip_prefix("timeout=")?)?.as_i64();
        Some(Duration::from_secs(seconds.unsigned_abs()).min(LONGEST))
    });
    received + READ_LIMIT.min(timeout.unwrap_or(DEFAULT) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_waits_at_most_half_as_long_as_the_api_server() {
        let received = Instant::now();
        for (path, milliseconds) in [
            ("/mutate?timeout=1s", 500),
            ("/mutate?timeout=2s", 1000),
            ("/mutate?a=b&timeout=3s&c", 1500),
            ("/mutate?timeout=5s", 2000),
            ("/mutate?timeout=30s", 2000),
            ("/mutate?timeout=99999999h", 2000),
            ("/mutate?timeout=0s", 0),
            // Without one that can be read, that of the chart.
            ("/mutate", 2000),
            ("/mutate?timeout=", 2000),
            ("/mutate?timeout=-1s", 2000),
            ("/mutate?timeout=soon", 2000),
            ("/mutate?timeouts=1s", 2000),
        ] {
            let wait = wait_until(received, &path.parse().unwrap()) - received;
            assert_eq!(wait, Duration::from_millis(milliseconds), "{path}");
        }
    }
}
