//! Returns the memory of large requests and answers to the system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The delays between a large request or answer and the calls. Others in between share them. The later calls return what the
/// rest of the process allocated at the same time and freed since.
const DELAYS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10), Duration::from_secs(15)];

/// Whether calls are planned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trimming(Arc<AtomicBool>);

impl Trimming {
    /// Plans the calls, unless they are planned.
    pub(crate) fn request(&self) {
        if self.0.swap(true, Ordering::Relaxed) {
            return;
        }
        let planned = self.0.clone();
        tokio::spawn(async move {
            for delay in DELAYS {
                tokio::time::sleep(delay).await;
                if delay == DELAYS[DELAYS.len() - 1] {
                    planned.store(false, Ordering::Relaxed);
                }
                // It can take milliseconds. Without a result: the runtime may be shutting down.
                let _ = tokio::task::spawn_blocking(winddown_allocator::trim).await;
            }
        });
    }
}
