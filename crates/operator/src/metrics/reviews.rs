//! Reviews of the webhooks. Of atomics only, so that counting takes no time of a review.

use std::array;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};

use super::family::{Family, Type};
use super::histogram::Histogram;

pub(super) const LATENCY: Family = Family::new(
    Type::Histogram,
    "controller_runtime_webhook_latency_seconds",
    &["webhook"],
    "Time from the headers of a review to its answer, its body included",
);
pub(super) const REQUESTS: Family = Family::new(
    Type::Counter,
    "controller_runtime_webhook_requests",
    &["webhook", "code"],
    "Number of reviews by HTTP status code; 499 if the client did not wait for the answer",
);
pub(super) const IN_FLIGHT: Family = Family::new(
    Type::Gauge,
    "controller_runtime_webhook_requests_in_flight",
    &["webhook"],
    "Number of reviews that are being answered",
);

/// A review takes a fraction of a millisecond; API servers wait for ten seconds.
static LIMITS: [Duration; 16] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// As in nginx.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Exported from the start: the increase of a counter that appears with its first event cannot be seen.
const USUAL: [u16; 8] = [200, 400, 405, 408, 413, 429, CLIENT_CLOSED_REQUEST, 500];

const FIRST_CODE: u16 = 100;

/// The reviews of all webhooks, in the order of [`PATHS`].
#[derive(Debug, Default)]
pub(crate) struct Reviews([OfWebhook; PATHS.len()]);

/// The paths in the URLs of the webhooks, which are the label in controller-runtime.
const PATHS: [&str; 4] = ["/mutate", "/mutate/namespace", "/validate", "/validate/namespace"];

#[derive(Debug)]
struct OfWebhook {
    in_flight: AtomicU64,
    latency: Histogram<{ LIMITS.len() }>,
    /// By status code, from 100 to 599.
    answers: [AtomicU64; 500],
}

/// A review that is counted when it ends.
struct Running {
    reviews: Arc<Reviews>,
    webhook: usize,
    start: Instant,
    code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Labels {
    webhook: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct AnswerLabels {
    webhook: &'static str,
    code: u16,
}

/// Counts a request of a webhook. Around the limits, because these also answer.
pub(crate) async fn counted(State(reviews): State<Arc<Reviews>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let Some(webhook) = PATHS.iter().position(|webhook| *webhook == path) else {
        return next.run(request).await;
    };
    reviews.0[webhook].in_flight.fetch_add(1, Ordering::Relaxed);
    // If the client goes away, this future is dropped.
    let mut running = Running { reviews, webhook, start: Instant::now(), code: CLIENT_CLOSED_REQUEST };
    let response = next.run(request).await;
    running.code = response.status().as_u16();
    response
}

impl Drop for Running {
    fn drop(&mut self) {
        let counts = &self.reviews.0[self.webhook];
        counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        counts.latency.observe(self.start.elapsed());
        if let Some(answers) = counts.answers.get(usize::from(self.code.saturating_sub(FIRST_CODE))) {
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Reviews {
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let all = || PATHS.into_iter().zip(&self.0);
        let mut series = LATENCY.start(encoder)?;
        for (webhook, counts) in all() {
            series.histogram(&Labels { webhook }, counts.latency.sum(), &counts.latency.buckets())?;
        }
        let mut series = REQUESTS.start(encoder)?;
        for (webhook, counts) in all() {
            for (code, answers) in (FIRST_CODE..).zip(&counts.answers) {
                let answers = answers.load(Ordering::Relaxed);
                if answers > 0 || USUAL.contains(&code) {
                    series.counter(&AnswerLabels { webhook, code }, answers)?;
                }
            }
        }
        let mut series = IN_FLIGHT.start(encoder)?;
        for (webhook, counts) in all() {
            series.gauge(&Labels { webhook }, counts.in_flight.load(Ordering::Relaxed))?;
        }
        Ok(())
    }
}

impl Default for OfWebhook {
    fn default() -> Self {
        let answers = array::from_fn(|_| AtomicU64::default());
        Self { in_flight: AtomicU64::default(), latency: Histogram::new(&LIMITS), answers }
    }
}
