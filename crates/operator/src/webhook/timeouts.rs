//! Timeouts of a webhook connection.

use std::time::Duration;

use super::body::Pace;

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
