//! Returns the memory of large reviews to the system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long after a large review. Those in between share one call.
const DELAY: Duration = Duration::from_secs(1);

/// Whether a call is planned.
#[derive(Clone, Debug, Default)]
pub(super) struct Trimming(Arc<AtomicBool>);

impl Trimming {
    /// Plans a call, unless one is planned.
    pub(super) fn request(&self) {
        if self.0.swap(true, Ordering::Relaxed) {
            return;
        }
        let planned = self.0.clone();
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            planned.store(false, Ordering::Relaxed);
            // It can take milliseconds. Without a result: the runtime may be shutting down.
            let _ = tokio::task::spawn_blocking(winddown_allocator::trim).await;
        });
    }
}
