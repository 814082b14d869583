//! Ages as kubectl prints them: `90s`, `5m30s`, `3h`, `2d`.

use std::time::{SystemTime, UNIX_EPOCH};

use winddown_core::observation::Timestamp;

/// The current time of this machine.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock, and passes the time on")]
pub(crate) fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_secs());
    Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// How long ago a time was, with the two units at most that `HumanDuration` of apimachinery prints. A time of a clock that is
/// ahead is `0s` ago.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let seconds = now.since(then).max(0);
    let two = |unit: i64, name: char, below: i64, below_name: char| {
        let rest = seconds % unit / below;
        let first = format!("{}{name}", seconds / unit);
        if rest == 0 { first } else { format!("{first}{rest}{below_name}") }
    };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, 'm', 1, 's'),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, 'h', MINUTE, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, 'd', HOUR, 'h'),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, 'y', DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, age};

    #[test]
    fn ages_have_the_units_of_kubectl() {
        let now = Timestamp::from_second(1_000_000_000);
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (330, "5m30s"),
            (3_599, "59m"),
            (7_200, "120m"),
            (10_860, "3h1m"),
            (36_000, "10h"),
            (176_400, "2d1h"),
            (864_000, "10d"),
            (63_158_400, "2y1d"),
            (315_360_000, "10y"),
        ] {
            assert_eq!(age(now, Timestamp::from_second(1_000_000_000 - seconds)), expected, "{seconds}");
        }
    }
}
