//! Permits for the bytes of bodies. If there are too few, slow bodies give theirs up: an API server sends a body immediately,
//! so clients that do not cannot keep it out, on however many connections.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::permits::Busy;

/// How long a body keeps its permit, however many others wait. What has arrived by then is read first.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often a waiting request looks for slow bodies.
const INTERVAL: Duration = Duration::from_millis(20);

/// Permits for a number of bytes.
pub(super) struct BodyPermits {
    available: Arc<Semaphore>,
    /// Places for waiting requests.
    waiting: Semaphore,
    wait: Duration,
    /// The oldest first.
    reading: Mutex<VecDeque<Reading>>,
}

/// A body that is being read.
struct Reading {
    since: Instant,
    bytes: u32,
    overtaken: Weak<Notify>,
}

/// The permit to read a body.
pub(super) struct BodyPermit {
    bytes: OwnedSemaphorePermit,
    overtaken: Arc<Notify>,
}

impl BodyPermit {
    /// Returns when others wait and the body is slow.
    pub(super) async fn overtaken(&self) {
        self.overtaken.notified().await;
    }

    /// The permit for the memory of a body that was read.
    pub(super) fn completed(self) -> OwnedSemaphorePermit {
        self.bytes
    }
}

impl BodyPermits {
    pub(super) fn new(bytes: usize, waiting: usize, wait: Duration) -> Self {
        Self {
            available: Arc::new(Semaphore::new(bytes)),
            waiting: Semaphore::new(waiting),
            wait,
            reading: Mutex::default(),
        }
    }

    pub(super) async fn acquire(&self, bytes: usize) -> Result<BodyPermit, Busy> {
        let bytes = u32::try_from(bytes).map_err(|_| Busy)?;
        // Requests that wait come first: the semaphore gives none to others before them.
        let permit = match self.available.clone().try_acquire_many_owned(bytes) {
            Ok(permit) => permit,
            Err(_) => self.wait_for(bytes).await?,
        };
        let overtaken = Arc::new(Notify::new());
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Of those that were read, only the ones behind an older one are still in the list.
        while reading.front().is_some_and(|oldest| oldest.overtaken.strong_count() == 0) {
            reading.pop_front();
        }
        reading.push_back(Reading { since: Instant::now(), bytes, overtaken: Arc::downgrade(&overtaken) });
        Ok(BodyPermit { bytes: permit, overtaken })
    }

    async fn wait_for(&self, bytes: u32) -> Result<OwnedSemaphorePermit, Busy> {
        let _place = self.waiting.try_acquire().map_err(|_| Busy)?;
        let mut acquired = pin!(self.available.clone().acquire_many_owned(bytes));
        let mut deadline = pin!(tokio::time::sleep(self.wait));
        let mut look = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                biased;
                permit = &mut acquired => return permit.map_err(|_| Busy),
                () = &mut deadline => return Err(Busy),
                _ = look.tick() => self.overtake(bytes),
            }
        }
    }

    /// Makes slow bodies give up this many bytes.
    fn overtake(&self, mut bytes: u32) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        while bytes > 0 && reading.front().is_some_and(|oldest| oldest.since.elapsed() >= PATIENCE) {
            let Some(oldest) = reading.pop_front() else { return };
            if let Some(overtaken) = oldest.overtaken.upgrade() {
                overtaken.notify_one();
                bytes = bytes.saturating_sub(oldest.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits() -> BodyPermits {
        BodyPermits::new(100, 2, Duration::from_secs(2))
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_bodies_give_up_their_permits_if_others_wait() {
        let permits = permits();
        let (first, second) = (permits.acquire(60).await.unwrap(), permits.acquire(40).await.unwrap());
        let start = Instant::now();
        let waited = async {
            let permit = permits.acquire(30).await;
            (permit.is_ok(), start.elapsed())
        };
        let reads = async {
            tokio::select! {
                () = first.overtaken() => drop(first),
                () = second.overtaken() => panic!("the second body is not the oldest"),
            }
            second
        };
        let ((acquired, elapsed), second) = tokio::join!(waited, reads);
        assert!(acquired && (PATIENCE..PATIENCE + 2 * INTERVAL).contains(&elapsed), "{elapsed:?}");
        // It is not interrupted, because no other body waits.
        assert!(tokio::time::timeout(Duration::from_mins(1), second.overtaken()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_was_read_keeps_its_permit() {
        let permits = permits();
        let read = permits.acquire(100).await.unwrap().completed();
        assert_eq!(permits.acquire(1).await.err(), Some(Busy));
        drop(read);
        assert!(permits.acquire(100).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_were_read_are_not_remembered() {
        let permits = permits();
        for _ in 0..1000 {
            drop(permits.acquire(10).await.unwrap());
        }
        assert!(permits.reading.lock().unwrap().len() <= 1);
    }
}
