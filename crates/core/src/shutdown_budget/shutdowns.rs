//! Counts and times in the status.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::schema;
use crate::duration::Seconds;
use crate::observation::{Shutdowns, Totals};

/// The number of observed stops by outcome, and the time from SIGTERM to the exit of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = schema::with_short_texts))]
#[serde(rename_all = "camelCase", default)]
pub struct ShutdownCounts {
    /// All stops.
    pub count: i64,
    /// In time and with success.
    pub clean: i64,
    /// Those of them in which the app needed longer than its deadline.
    pub overran: i64,
    /// In time, with another exit code.
    pub failed: i64,
    /// SIGKILL at the end of the pod's own grace period.
    pub killed: i64,
    /// SIGKILL at the end of a shorter one.
    pub cut_short: i64,
    /// Out of memory.
    pub out_of_memory: i64,
    /// Another SIGKILL.
    pub killed_otherwise: i64,
    /// The end is not known.
    pub unknown: i64,
    /// Stops in which the time of the app was measured.
    pub measured: i64,
    /// Half of the recent measured stops took at most this long. A stop that ended with SIGKILL is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<String>,
    /// 90 % of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<String>,
    /// 99 % of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<String>,
    /// The longest of all stops in which the app exited by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest: Option<String>,
    /// When counting began.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub since: String,
}

impl From<&Shutdowns> for ShutdownCounts {
    fn from(shutdowns: &Shutdowns) -> Self {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let words = |time: Option<Seconds>| time.map(|time| time.to_string());
        let Shutdowns { count, totals, p50, p90, p99, longest, since } = *shutdowns;
        let Totals { clean, overran, failed, killed, cut_short, out_of_memory, killed_otherwise, unknown, measured } =
            totals;
        Self {
            count: number(count),
            clean: number(clean),
            overran: number(overran),
            failed: number(failed),
            killed: number(killed),
            cut_short: number(cut_short),
            out_of_memory: number(out_of_memory),
            killed_otherwise: number(killed_otherwise),
            unknown: number(unknown),
            measured: number(measured),
            p50: words(p50),
            p90: words(p90),
            p99: words(p99),
            longest: words(longest),
            since: since.to_string(),
        }
    }
}
