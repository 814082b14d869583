//! A time of the API.

use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::duration::Seconds;

/// A time of the API, in whole seconds, as in `metav1.Time`. It comes from the clock of the API server or of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is no RFC 3339 time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a time such as 2026-01-31T21:00:03Z")]
pub struct ParseTimestampError;

/// The first second of the year 1, and the last one of the year 9999: what RFC 3339 can write.
const RANGE: (i64, i64) = (-62_135_596_800, 253_402_207_199);

/// A time with nanoseconds and an offset has 35 characters.
const LONGEST: usize = 40;

impl Timestamp {
    /// Seconds since 1970, limited to the years 1 to 9999.
    #[must_use]
    pub fn from_second(second: i64) -> Self {
        Self(second.clamp(RANGE.0, RANGE.1))
    }

    /// The seconds since 1970.
    #[must_use]
    pub const fn as_second(self) -> i64 {
        self.0
    }

    /// The time after this duration.
    #[must_use]
    pub fn plus(self, duration: Seconds) -> Self {
        Self::from_second(self.0.saturating_add(duration.as_i64()))
    }

    /// The time before this duration.
    #[must_use]
    pub fn minus(self, duration: Seconds) -> Self {
        Self::from_second(self.0.saturating_sub(duration.as_i64()))
    }

    /// The seconds from another time to this one; negative if the other one is later.
    #[must_use]
    pub const fn since(self, other: Self) -> i64 {
        self.0 - other.0
    }
}

impl From<&Time> for Timestamp {
    fn from(time: &Time) -> Self {
        Self::from_second(time.0.as_second())
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        // Within the limits, which are those of this type.
        Self(jiff::Timestamp::from_second(time.0).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC: `2026-01-31T21:00:03Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_second(self.0).map_err(|_| fmt::Error)?;
        time.fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        if text.len() > LONGEST {
            return Err(ParseTimestampError);
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| ParseTimestampError)?;
        Ok(Self::from_second(time.as_second()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{ParseTimestampError, RANGE, Seconds, Timestamp};

    #[test]
    fn a_time_is_written_as_the_api_writes_it() {
        for (text, written) in [
            ("2026-01-31T21:00:03Z", "2026-01-31T21:00:03Z"),
            ("2026-01-31T22:00:03.999999+01:00", "2026-01-31T21:00:03Z"),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(time.to_string(), written);
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("{written:?}"));
            assert_eq!(serde_json::from_str::<Timestamp>(&format!("{written:?}")).unwrap(), time);
        }
    }

    #[test]
    fn other_text_is_no_time() {
        for text in ["", "1", "yesterday", "2026-01-31", "2026-13-01T00:00:00Z", &"2".repeat(10_000)] {
            assert_eq!(text.parse::<Timestamp>(), Err(ParseTimestampError), "{text}");
        }
    }

    #[test]
    fn every_number_of_seconds_can_be_written_and_read() {
        for second in [i64::MIN, RANGE.0, -1, 0, RANGE.1, i64::MAX] {
            let time = Timestamp::from_second(second);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        let time = Timestamp::from_second(100);
        assert_eq!((time.plus(Seconds::new(5)).since(time), time.since(time.minus(Seconds::new(5)))), (5, 5));
        assert_eq!(Timestamp::from_second(i64::MAX).plus(Seconds::new(5)), Timestamp::from_second(i64::MAX));
    }
}
