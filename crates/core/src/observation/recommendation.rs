//! Which deadline the observed stops suggest.

use std::fmt;

use crate::duration::Seconds;

/// How many stops must have been measured.
pub(crate) const MIN_STOPS: u64 = 20;

/// From how many on the p99 is used, and not the longest.
const MIN_FOR_P99: u64 = 100;

/// What the observed stops suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recommendation {
    /// Too few stops were measured: this many.
    TooFew(u64),
    /// The app needed at most this, so this deadline is enough.
    Deadline {
        /// The number of stops.
        stops: u64,
        /// Whether `needed` is the p99; otherwise the longest.
        is_p99: bool,
        /// The time from SIGTERM to the app's exit.
        needed: Seconds,
        /// The deadline.
        deadline: Seconds,
    },
    /// The app was killed, so it needs longer than it had. How much longer is unknown.
    MoreThan {
        /// The time from SIGTERM to SIGKILL.
        killed_after: Seconds,
        /// A deadline to try.
        deadline: Seconds,
    },
}

impl Recommendation {
    /// From the number of measured stops, the p99 and the longest time of the app; and, if it was killed recently, the time
    /// that was not enough.
    pub(crate) fn of(
        stops: u64,
        p99: Option<Seconds>,
        longest: Option<Seconds>,
        killed_after: Option<Seconds>,
    ) -> Self {
        if let Some(killed_after) = killed_after {
            return Self::MoreThan { killed_after, deadline: rounded(killed_after.times(2).as_i64()) };
        }
        let is_p99 = stops >= MIN_FOR_P99;
        match if is_p99 { p99 } else { longest } {
            // 15 % more, and the second that whole seconds hide.
            Some(needed) if stops >= MIN_STOPS => {
                let deadline = rounded((needed.as_i64() * 115 + 99) / 100 + 1);
                Self::Deadline { stops, is_p99, needed, deadline }
            }
            _ => Self::TooFew(stops),
        }
    }
}

/// Up to the next 5 s, at least 5 s.
fn rounded(seconds: i64) -> Seconds {
    Seconds::from_api(((seconds + 4) / 5 * 5).max(5)).min(Seconds::MAX)
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew(stops) => write!(f, "{stops} of {MIN_STOPS} stops that a recommendation needs"),
            Self::Deadline { stops, is_p99, needed, deadline } => {
                let measure = if *is_p99 { "p99" } else { "longest" };
                write!(f, "the {measure} of {stops} stops is {needed}: a deadline of {deadline} is enough")
            }
            Self::MoreThan { killed_after, deadline } => {
                write!(
                    f,
                    "the app was killed {killed_after} after SIGTERM and needs longer: try a deadline of {deadline}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Recommendation, Seconds};

    #[test]
    fn a_deadline_follows_from_enough_stops_or_from_a_kill() {
        for (stops, p99, longest, killed, text) in [
            (0, None, None, None, "0 of 20 stops that a recommendation needs"),
            (19, Some(6), Some(6), None, "19 of 20 stops that a recommendation needs"),
            (20, Some(6), Some(8), None, "the longest of 20 stops is 8s: a deadline of 15s is enough"),
            (240, Some(6), Some(36), None, "the p99 of 240 stops is 6s: a deadline of 10s is enough"),
            (240, Some(0), Some(0), None, "the p99 of 240 stops is 0s: a deadline of 5s is enough"),
            (240, Some(12), Some(12), None, "the p99 of 240 stops is 12s: a deadline of 15s is enough"),
            (240, Some(13), Some(13), None, "the p99 of 240 stops is 13s: a deadline of 20s is enough"),
            (
                3,
                Some(6),
                Some(6),
                Some(10),
                "the app was killed 10s after SIGTERM and needs longer: try a deadline of 20s",
            ),
        ] {
            let recommendation =
                Recommendation::of(stops, p99.map(Seconds::new), longest.map(Seconds::new), killed.map(Seconds::new));
            assert_eq!(recommendation.to_string(), text);
        }
    }

    #[test]
    fn a_recommended_deadline_can_be_declared() {
        let longest = Some(Seconds::new(u32::MAX));
        for (measured, killed) in [(longest, None), (None, longest)] {
            match Recommendation::of(200, measured, measured, killed) {
                Recommendation::Deadline { deadline, .. } | Recommendation::MoreThan { deadline, .. } => {
                    assert_eq!(deadline, Seconds::MAX);
                }
                Recommendation::TooFew(_) => panic!("{measured:?} {killed:?}"),
            }
        }
    }
}
