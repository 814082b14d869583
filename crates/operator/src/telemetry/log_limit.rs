//! Limits how often something is logged that anyone can cause.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use winddown_core::pacing::{Rate, TokenBucket};

const LINES: Rate = Rate { burst: 1, interval: Duration::from_secs(1) };

/// Counts what is not logged.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lines: TokenBucket,
    unlogged: u64,
}

impl LogLimit {
    /// Whether to log now: the number of times since the last line that were not logged, or `None`.
    pub(crate) fn next(&self) -> Option<u64> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.lines.take(LINES, now).is_err() {
            state.unlogged += 1;
            return None;
        }
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_each_second_is_logged_and_the_others_are_counted() {
        let (limit, start) = (LogLimit::default(), Instant::now());
        let logged =
            [0, 1, 999, 1000, 1001, 5000].map(|milliseconds| limit.at(start + Duration::from_millis(milliseconds)));
        assert_eq!(logged, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
