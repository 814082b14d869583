//! A histogram of durations, of atomics only: the one of `prometheus-client` takes a lock for each observation.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations up to each of `N` limits, and longer ones.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    /// In ascending order.
    limits: &'static [Duration; N],
    counts: [AtomicU64; N],
    longer: AtomicU64,
    nanoseconds: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    pub(super) fn new(limits: &'static [Duration; N]) -> Self {
        let counts = array::from_fn(|_| AtomicU64::default());
        Self { limits, counts, longer: AtomicU64::default(), nanoseconds: AtomicU64::default() }
    }

    pub(super) fn observe(&self, duration: Duration) {
        let first = self.limits.partition_point(|limit| *limit < duration);
        self.counts.get(first).unwrap_or(&self.longer).fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// In seconds.
    pub(super) fn sum(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64()
    }

    /// The limits in seconds, and the number of durations between each and the one before it.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let limits = self.limits.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let counts = self.counts.iter().chain([&self.longer]).map(|count| count.load(Ordering::Relaxed));
        limits.zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_it_does_not_exceed() {
        static LIMITS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];
        let histogram = Histogram::new(&LIMITS);
        for milliseconds in [0, 1, 2, 10, 11, 5000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        assert_eq!(histogram.buckets(), [(0.001, 2), (0.01, 2), (f64::INFINITY, 2)]);
        assert!((histogram.sum() - 5.024).abs() < 1e-9);
    }
}
