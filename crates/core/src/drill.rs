//! The rehearsal of a shutdown: one pod is evicted, and what was promised is compared with what happened.
//!
//! ```text
//! workload, its pods -> choose    -> Candidate, or why not
//! watch of the pod   -> Progress  -> Mark (a line of the timeline)
//!                    -> observation::Observer -> Stop -> Verdict
//! ```

mod candidate;
mod monitoring;
mod progress;
mod steps;
mod verdict;

pub use candidate::{Candidate, Choice, Promised, Refusal, choose};
pub use progress::{Mark, Moment, Progress};
pub use steps::{Step, Wanted};
pub use verdict::Verdict;

#[cfg(test)]
mod tests;
