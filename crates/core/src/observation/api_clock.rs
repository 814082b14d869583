//! The clock of the API server, as far as its own timestamps tell it.

use std::time::Instant;

use crate::duration::Seconds;
use crate::observation::Timestamp;

/// A lower bound of the API server's clock. Every timestamp that the API server sets is in its past when an observer sees
/// it, and both clocks run at the same rate. Seen live, the bound is behind by one second and the latency of the watch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ApiClock(Option<(Timestamp, Instant)>);

impl ApiClock {
    /// Learns from a timestamp that the API server set.
    pub(crate) fn learn(&mut self, timestamp: Timestamp, now: Instant) {
        if self.at_least(now).is_none_or(|known| timestamp > known) {
            self.0 = Some((timestamp, now));
        }
    }

    /// The time is at least this; `None` before the first timestamp.
    pub(crate) fn at_least(self, now: Instant) -> Option<Timestamp> {
        let (timestamp, seen) = self.0?;
        let passed = now.saturating_duration_since(seen).as_secs();
        Some(timestamp.plus(Seconds::new(u32::try_from(passed).unwrap_or(u32::MAX))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ApiClock, Instant, Timestamp};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant; only differences count")]
    fn the_latest_timestamp_counts_and_time_passes() {
        let (mut clock, start) = (ApiClock::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let at = |clock: ApiClock, seconds| clock.at_least(after(seconds)).map(Timestamp::as_second);
        assert_eq!(at(clock, 0), None);
        clock.learn(Timestamp::from_second(1000), after(10));
        assert_eq!((at(clock, 10), at(clock, 15)), (Some(1000), Some(1005)));
        clock.learn(Timestamp::from_second(900), after(20));
        assert_eq!(at(clock, 20), Some(1010), "an old timestamp says nothing");
        clock.learn(Timestamp::from_second(1012), after(20));
        assert_eq!(at(clock, 21), Some(1013));
    }
}
