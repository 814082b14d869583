//! How much is read and reviewed at the same time, so that the memory is bounded whatever is sent.
//!
//! A request takes a permit before its body is read, and keeps it until its answer is written. Small and large requests have
//! permits of their own: a flood of large ones does not delay small ones.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body_permits::{BodyPermit, BodyPermits};

/// The maximum size of a body in bytes. The API server limits a request to 3 MiB, and the review of an update contains the
/// object twice.
pub(super) const BODY_LIMIT: usize = 7 * 1024 * 1024;
/// A body up to this size in bytes is small. The review of an ordinary Deployment has 40 to 80 KB.
pub(super) const SMALL_BODY: usize = 128 * 1024;
/// A review of at most this many values is light. Each value takes up to 1 KB while it is evaluated.
const LIGHT_VALUES: usize = 10_000;
/// How long a request waits for a permit. An API server waits five seconds for an answer by default, and sends a request
/// again after `Retry-After`.
const WAIT: Duration = Duration::from_secs(2);

/// The limits of one webhook server.
pub(super) struct Permits {
    /// Bytes of small bodies.
    small_bodies: BodyPermits,
    /// Bytes of large bodies.
    large_bodies: BodyPermits,
    /// Light reviews.
    light_reviews: Lane,
    /// Heavy reviews.
    heavy_reviews: Lane,
}

/// Too many requests are waiting, or this one has waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Permits for reviews, given in the order of the requests.
struct Lane {
    available: Arc<Semaphore>,
    /// Places for waiting requests.
    waiting: Semaphore,
    wait: Duration,
}

impl Default for Permits {
    fn default() -> Self {
        Self::new(WAIT)
    }
}

impl Permits {
    pub(super) fn new(wait: Duration) -> Self {
        Self {
            small_bodies: BodyPermits::new(16 * 1024 * 1024, 256, wait),
            // Three of the maximum size.
            large_bodies: BodyPermits::new(3 * BODY_LIMIT, 32, wait),
            light_reviews: Lane::new(4, 256, wait),
            heavy_reviews: Lane::new(1, 256, wait),
        }
    }

    /// The permit to read a body of at most this size. A body of unknown size starts as a small one.
    pub(super) async fn body(&self, bytes: usize) -> Result<BodyPermit, Busy> {
        let permits = if bytes <= SMALL_BODY { &self.small_bodies } else { &self.large_bodies };
        permits.acquire(bytes).await
    }

    /// The permit to review a body that was read.
    pub(super) async fn review(&self, body: &[u8]) -> Result<OwnedSemaphorePermit, Busy> {
        let is_light = body.len() <= LIGHT_VALUES || winddown_core::review::values_at_most(body) <= LIGHT_VALUES;
        let lane = if is_light { &self.light_reviews } else { &self.heavy_reviews };
        lane.acquire().await
    }
}

impl Lane {
    fn new(permits: usize, waiting: usize, wait: Duration) -> Self {
        Self { available: Arc::new(Semaphore::new(permits)), waiting: Semaphore::new(waiting), wait }
    }

    async fn acquire(&self) -> Result<OwnedSemaphorePermit, Busy> {
        // Requests that wait come first: the semaphore gives none to others before them.
        if let Ok(permit) = self.available.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _place = self.waiting.try_acquire().map_err(|_| Busy)?;
        let permit = self.available.clone().acquire_owned();
        match tokio::time::timeout(self.wait, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits() -> Permits {
        Permits::new(Duration::from_millis(50))
    }

    /// A body with this number of values.
    fn values(number: usize) -> Vec<u8> {
        format!("[{}]", vec!["0"; number - 1].join(",")).into_bytes()
    }

    #[tokio::test]
    async fn three_bodies_of_the_maximum_size_are_read_at_the_same_time() {
        let permits = permits();
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(permits.body(BODY_LIMIT).await.unwrap());
        }
        assert_eq!(permits.body(BODY_LIMIT).await.err(), Some(Busy));
        assert!(permits.body(SMALL_BODY).await.is_ok(), "a small body does not wait for large ones");
        held.pop();
        assert!(permits.body(BODY_LIMIT).await.is_ok());
    }

    #[tokio::test]
    async fn a_hundred_slow_bodies_leave_room_for_another_small_one() {
        let permits = permits();
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(permits.body(SMALL_BODY).await.unwrap());
        }
        assert!(permits.body(SMALL_BODY).await.is_ok());
    }

    #[tokio::test]
    async fn one_heavy_review_and_four_light_ones_run_at_the_same_time() {
        let permits = permits();
        let (light, heavy) = (values(LIGHT_VALUES), values(LIGHT_VALUES + 1));
        let _heavy = permits.review(&heavy).await.unwrap();
        assert_eq!(permits.review(&heavy).await.unwrap_err(), Busy);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(permits.review(&light).await.unwrap());
        }
        assert_eq!(permits.review(&light).await.unwrap_err(), Busy);
    }

    #[tokio::test]
    async fn only_some_requests_may_wait() {
        let permits = Arc::new(Permits::new(Duration::from_mins(1)));
        let _held = permits.body(3 * BODY_LIMIT).await.unwrap();
        let wait = || {
            tokio::spawn({
                let permits = permits.clone();
                async move { permits.body(BODY_LIMIT).await.map(drop) }
            })
        };
        let waiting: Vec<_> = (0..32).map(|_| wait()).collect();
        tokio::task::yield_now().await;
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), wait()).await.unwrap().unwrap(), Err(Busy));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
