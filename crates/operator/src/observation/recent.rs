//! What happened in the last minutes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The last values, up to an age and a number.
pub(super) struct Recent<T> {
    age: Duration,
    limit: usize,
    values: VecDeque<(Instant, T)>,
}

impl<T> Recent<T> {
    pub(super) fn new(age: Duration, limit: usize) -> Self {
        Self { age, limit, values: VecDeque::new() }
    }

    /// Adds a value. The time never decreases.
    pub(super) fn push(&mut self, value: T, now: Instant) {
        self.forget(now);
        if self.values.len() >= self.limit {
            self.values.pop_front();
        }
        self.values.push_back((now, value));
    }

    /// The values, the oldest first.
    pub(super) fn iter(&mut self, now: Instant) -> impl DoubleEndedIterator<Item = &T> {
        self.forget(now);
        self.values.iter().map(|(_, value)| value)
    }

    /// Removes and returns the values, the oldest first.
    pub(super) fn take(&mut self, now: Instant) -> impl Iterator<Item = T> + use<T> {
        self.forget(now);
        std::mem::take(&mut self.values).into_iter().map(|(_, value)| value)
    }

    /// Forgets what is too old, and frees its memory.
    pub(super) fn forget(&mut self, now: Instant) {
        let old = self.values.partition_point(|(time, _)| now.saturating_duration_since(*time) > self.age);
        self.values.drain(..old);
        if self.values.len() < self.values.capacity() / 4 {
            self.values.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_for_a_while_and_up_to_a_number() {
        let (mut recent, start) = (Recent::new(Duration::from_secs(10), 3), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..5 {
            recent.push(second, at(second));
        }
        assert!(recent.iter(at(5)).eq(&[2, 3, 4]));
        assert!(recent.iter(at(13)).eq(&[3, 4]));
        assert!(recent.take(at(14)).eq([4]));
        assert_eq!((recent.iter(at(14)).count(), recent.values.capacity()), (0, 0));
    }
}
