//! Progress output of the demo.

use std::fmt::Display;
use std::time::Instant;

/// Prints lines prefixed with the elapsed time in seconds.
#[derive(Clone, Copy)]
pub struct Progress {
    start: Instant,
}

impl Progress {
    /// Starts the clock.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn report(self, text: impl Display) {
        println!("[{:4} s] {text}", self.start.elapsed().as_secs());
    }
}
