//! What is going on, on the screen of somebody who waits for it.

use std::fmt::Display;
use std::time::Instant;

/// Says things with the seconds since it began.
#[derive(Clone, Copy)]
pub struct Narrator(Instant);

impl Narrator {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Says something.
    pub fn say(self, text: impl Display) {
        println!("[{:4} s] {text}", self.0.elapsed().as_secs());
    }
}
