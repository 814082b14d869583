//! Durations in whole seconds, as Kubernetes uses them for the shutdown of a pod.

pub mod go;
pub(crate) mod notation;
pub(crate) mod quantity;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use quantity::split_quantity;
use serde::{Deserialize, Serialize};

/// A duration in whole seconds. A parsed one is at most [`Seconds::MAX`].
///
/// `preStop.sleep.seconds` and `terminationGracePeriodSeconds` are whole seconds, so fractions are rejected. Text is a Gateway API duration (GEP-2257): `^([0-9]{1,5}(h|m|s|ms)){1,4}$`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(u32);

/// The reason why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSecondsError {
    /// The text is empty.
    #[error("is empty; write a duration like 5s or 1m30s")]
    Empty,
    /// A number with more digits than GEP-2257 allows.
    #[error("has more than 5 digits for one unit; write a larger unit, like 168h")]
    TooManyDigits,
    /// A number of days, weeks or years.
    #[error("has a unit that is longer than an hour; write hours, like 168h for seven days")]
    LongUnit,
    /// Not in the format of GEP-2257.
    #[error("is not a duration; write one like 5s or 1m30s")]
    Malformed,
    /// The sum has a fraction of a second.
    #[error("is not a whole number of seconds")]
    Fraction,
    /// Longer than [`Seconds::MAX`].
    #[error("exceeds the maximum of 720h (30 days)")]
    TooLong,
}

impl Seconds {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// 30 days. Sums of a few of these fit every integer type used here, and as seconds the API accepts them: its limit is
    /// that a preStop sleep is not longer than the grace period.
    pub const MAX: Self = Self(30 * 24 * 60 * 60);

    /// A number of seconds.
    #[must_use]
    pub const fn new(seconds: u32) -> Self {
        Self(seconds)
    }

    /// A duration, rounded up; `None` if it is longer than this type can hold.
    pub(crate) fn rounded_up(duration: Duration) -> Option<Self> {
        let whole = duration.as_secs().checked_add(u64::from(duration.subsec_nanos() > 0))?;
        u32::try_from(whole).ok().map(Self)
    }

    /// A duration, rounded up, but at most [`Self::MAX`].
    pub(crate) fn rounded_up_to_max(duration: Duration) -> Self {
        Self::rounded_up(duration).map_or(Self::MAX, |seconds| seconds.min(Self::MAX))
    }

    /// The inverse of `Display`, which has no limit of digits.
    pub(crate) fn from_printed(text: &str) -> Option<Self> {
        let seconds = text.strip_suffix('s').and_then(|number| number.parse().ok());
        seconds.or_else(|| u32::try_from(milliseconds(text).ok()? / 1000).ok()).map(Self)
    }

    /// Seconds from an integer of the API, limited to the range of this type (136 years).
    #[must_use]
    pub fn from_api(seconds: i64) -> Self {
        Self(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
    }

    /// The sum, which may be longer than [`Seconds::MAX`].
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The product, which may be longer than [`Seconds::MAX`].
    #[must_use]
    pub const fn times(self, count: u32) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// As an integer of the API.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0 as i64
    }
}

/// The largest number that a component of a duration can have (GEP-2257).
const LARGEST_COMPONENT: u32 = 99_999;

impl fmt::Display for Seconds {
    /// `90s`; a number that is too long for an annotation is shown with larger units: `168h`, `48h1m5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        if self.0 <= LARGEST_COMPONENT || hours > LARGEST_COMPONENT {
            return write!(f, "{}s", self.0);
        }
        let parts = [(hours, "h"), (minutes, "m"), (seconds, "s")];
        parts.into_iter().filter(|(number, _)| *number > 0).try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl FromStr for Seconds {
    type Err = ParseSecondsError;

    fn from_str(text: &str) -> Result<Self, ParseSecondsError> {
        let milliseconds = milliseconds(text)?;
        if !milliseconds.is_multiple_of(1000) {
            return Err(ParseSecondsError::Fraction);
        }
        match u32::try_from(milliseconds / 1000) {
            Ok(seconds) if seconds <= Self::MAX.0 => Ok(Self(seconds)),
            _ => Err(ParseSecondsError::TooLong),
        }
    }
}

/// The sum of one to four components.
fn milliseconds(text: &str) -> Result<u64, ParseSecondsError> {
    if text.is_empty() {
        return Err(ParseSecondsError::Empty);
    }
    let mut rest = text;
    let mut milliseconds = 0_u64;
    for _ in 0..4 {
        let (part, tail) = component(rest)?;
        // At most 4 × 99,999 h, far below u64::MAX milliseconds.
        milliseconds += part;
        rest = tail;
        if rest.is_empty() {
            return Ok(milliseconds);
        }
    }
    Err(ParseSecondsError::Malformed)
}

/// The first `[0-9]{1,5}(h|m|s|ms)` of a text in milliseconds, and the rest.
fn component(text: &str) -> Result<(u64, &str), ParseSecondsError> {
    let (number, unit, rest) = split_quantity(text);
    let scale = match unit {
        "h" => 3_600_000,
        "m" => 60_000,
        "s" => 1000,
        "ms" => 1,
        "d" | "w" | "y" if !number.is_empty() => return Err(ParseSecondsError::LongUnit),
        _ => return Err(ParseSecondsError::Malformed),
    };
    if number.contains('.') {
        return Err(ParseSecondsError::Malformed);
    }
    if number.len() > 5 {
        return Err(ParseSecondsError::TooManyDigits);
    }
    let number: u64 = number.parse().map_err(|_| ParseSecondsError::Malformed)?;
    Ok((number * scale, rest))
}

#[cfg(test)]
mod tests {
    use super::{ParseSecondsError, Seconds};

    #[test]
    fn durations_of_gep_2257_are_accepted() {
        for (text, seconds) in [
            ("0s", 0),
            ("5s", 5),
            ("1m30s", 90),
            ("1h", 3600),
            ("500ms500ms", 1),
            ("30s1m", 90),
            ("1h1m1s1000ms", 3662),
            ("24h", 86_400),
            ("168h", 604_800),
            ("720h", 2_592_000),
            ("43200m", 2_592_000),
            ("719h59m59s1000ms", 2_592_000),
            ("99999ms1ms", 100),
        ] {
            assert_eq!(text.parse(), Ok(Seconds::new(seconds)), "{text}");
            assert_eq!(Seconds::from_printed(&Seconds::new(seconds).to_string()), Some(Seconds::new(seconds)));
        }
    }

    #[test]
    fn a_printed_duration_can_be_declared() {
        for (seconds, text) in [
            (0, "0s"),
            (86_400, "86400s"),
            (99_999, "99999s"),
            (100_000, "27h46m40s"),
            (172_801, "48h1s"),
            (604_800, "168h"),
            (604_860, "168h1m"),
            (2_592_000, "720h"),
        ] {
            assert_eq!(Seconds::new(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Seconds::new(seconds)), "{text}");
        }
        for seconds in [2_592_001, 359_996_400, 359_999_999, 360_000_000, u32::MAX] {
            let printed = Seconds::new(seconds).to_string();
            assert_eq!(Seconds::from_printed(&printed), Some(Seconds::new(seconds)), "{printed}");
        }
    }

    #[test]
    fn other_text_is_rejected_with_a_reason() {
        use ParseSecondsError::{Empty, Fraction, LongUnit, Malformed, TooLong, TooManyDigits};
        for (text, error) in [
            ("", Empty),
            ("5", Malformed),
            ("7d", LongUnit),
            ("1d12h", LongUnit),
            ("1w", LongUnit),
            ("d", Malformed),
            ("s", Malformed),
            ("-5s", Malformed),
            ("+5s", Malformed),
            ("5.5s", Malformed),
            (" 5s", Malformed),
            ("5s ", Malformed),
            ("5s-3s", Malformed),
            ("5S", Malformed),
            ("5d", LongUnit),
            ("５s", Malformed),
            ("5 s", Malformed),
            ("100000s", TooManyDigits),
            ("1s1s1s1s1s", Malformed),
            ("99999999999999999999h", TooManyDigits),
            ("1ms", Fraction),
            ("1500ms", Fraction),
            ("720h1s", TooLong),
            ("43201m", TooLong),
            ("721h", TooLong),
            ("604800s", TooManyDigits),
            ("99999h99999h99999h99999h", TooLong),
        ] {
            assert_eq!(text.parse::<Seconds>(), Err(error), "{text}");
        }
    }
}
