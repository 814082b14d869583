//! The stored form of a history.

use serde::{Deserialize, Serialize};

use super::{Histogram, History, Honoured, Kills, LONGEST_TEMPLATE, Ledger, Scale, TEMPLATES, Totals, shown};
use crate::duration::Seconds;
use crate::observation::Timestamp;
use crate::observation::ledger::MAX_AHEAD;

/// The version that is written and read.
const VERSION: u64 = 1;

/// More than any checkpoint that Winddown writes, in bytes.
pub(crate) const MAX_SIZE: usize = 8 * 1024;

/// The reason why a checkpoint cannot be used: the caller begins with [`History::starting_again`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Longer than any that Winddown writes.
    #[error("the checkpoint has {0} bytes, more than the limit of {MAX_SIZE}; counting starts again")]
    TooLarge(usize),
    /// Written by another version of Winddown.
    #[error("the checkpoint has version {0}, but this Winddown supports version {VERSION}; counting starts again")]
    Version(u64),
    /// Not written by Winddown.
    #[error("the checkpoint was not written by Winddown; counting starts again")]
    Malformed,
    /// Nothing would be counted until then.
    #[error("the checkpoint contains the time {0}, which is in the future; counting starts again")]
    Future(Timestamp),
}

/// What all versions have.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    v: u64,
    since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// The time of the oldest stop in `seen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    seen: String,
    totals: Totals,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    app: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    endpoints: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    longest: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Kills::is_empty")]
    kills: Kills,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    honoured: Vec<Honoured>,
}

impl History {
    /// Everything but the lines, as a text of at most 8 KiB; 1 KiB with 64 remembered stops.
    #[must_use]
    pub fn checkpoint(&self) -> String {
        let remembered = self.ledger.remembered();
        let (from, seen) = remembered.map_or((None, String::new()), |(from, seen)| (Some(from), seen));
        let stored = Stored {
            v: VERSION,
            since: self.since,
            until: self.ledger.until(),
            from,
            seen,
            totals: self.totals,
            app: self.app_time.to_string(),
            endpoints: self.withdrawal.to_string(),
            longest: self.longest,
            kills: self.kills.clone(),
            honoured: self.honoured.clone(),
        };
        // It contains only numbers and strings, which can always be written.
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// The history with this checkpoint and the lines of its [`super::Summary`]. Lines of another form are left out.
    pub fn restore(
        checkpoint: &str,
        recent: &[String],
        not_honoured: &[String],
        now: Timestamp,
    ) -> Result<Self, CheckpointError> {
        if checkpoint.len() > MAX_SIZE {
            return Err(CheckpointError::TooLarge(checkpoint.len()));
        }
        let versioned: Versioned = serde_json::from_str(checkpoint).map_err(|_| CheckpointError::Malformed)?;
        if versioned.v != VERSION {
            return Err(CheckpointError::Version(versioned.v));
        }
        let stored: Stored = serde_json::from_str(checkpoint).map_err(|_| CheckpointError::Malformed)?;
        let remembered = stored.from.map(|from| (from, stored.seen.as_str()));
        let ledger = Ledger::of(stored.until, remembered).map_err(|_| CheckpointError::Malformed)?;
        // What was admitted could be that far ahead, and the next leader's clock be behind by the same.
        let limit = now.plus(MAX_AHEAD.times(2));
        if let Some(time) = ledger.newest().filter(|newest| *newest > limit) {
            return Err(CheckpointError::Future(time));
        }
        let parse = |scale, text: &str| Histogram::parse(scale, text).map_err(|_| CheckpointError::Malformed);
        let known = |honoured: &Honoured| honoured.template.len() <= LONGEST_TEMPLATE && honoured.at <= limit;
        Ok(Self {
            ledger,
            since: stored.since,
            totals: stored.totals,
            app_time: parse(Scale::AppTime, &stored.app)?,
            withdrawal: parse(Scale::Withdrawal, &stored.endpoints)?,
            longest: stored.longest,
            kills: stored.kills.within_bounds(),
            honoured: stored.honoured.into_iter().filter(known).take(TEMPLATES).collect(),
            recent: shown(recent, limit),
            not_honoured: shown(not_honoured, limit),
        })
    }
}
