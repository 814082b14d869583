//! What is remembered of the stops of one workload.

mod checkpoint;
mod kills;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, Serializer};

use crate::duration::Seconds;
use crate::observation::histogram::{Histogram, Scale};
use crate::observation::{Ledger, Outcome, Promise, Recommendation, Stop, Timestamp};
use crate::report::Event;
use crate::sanitize::{is_control, truncated};
use kills::Kills;

pub use checkpoint::CheckpointError;
#[cfg(feature = "schema")]
pub(crate) use checkpoint::MAX_SIZE as MAX_CHECKPOINT;

/// How many stops are shown of each kind.
pub(crate) const SHOWN: usize = 3;

/// How many templates are judged at the same time.
const TEMPLATES: usize = 2;

/// How many seconds after the first stop of a template pods of the one before still stop. Later ones are of a rollback.
const OVERLAP: i64 = 600;

/// The length of the hash of a template, which is the value of a label.
const LONGEST_TEMPLATE: usize = 63;

/// The characters of a line about a stop.
pub(crate) const LONGEST_LINE: usize = 200;

/// The stops of one workload: counts, times, and which UIDs were counted.
///
/// It is stored as [`Self::checkpoint`] and [`Self::summary`] in the status of the `ShutdownBudget`, with the
/// `resourceVersion` with which it was read: of two writers, one reads again and admits again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    ledger: Ledger,
    since: Timestamp,
    totals: Totals,
    app_time: Histogram,
    withdrawal: Histogram,
    longest: Option<Seconds>,
    kills: Kills,
    /// Of the template that stopped last, and of the one before, whose pods may still stop.
    honoured: Vec<Honoured>,
    recent: BTreeSet<String>,
    not_honoured: BTreeSet<String>,
}

/// The number of stops by outcome. They are never reduced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Totals {
    /// Stops in time, with success.
    pub clean: u64,
    /// Those of them in which the app needed longer than its deadline.
    pub overran: u64,
    /// Stops in time, with another exit code.
    pub failed: u64,
    /// Stops with SIGKILL at the end of the pod's own grace period.
    pub killed: u64,
    /// Stops with SIGKILL at the end of a shorter one.
    pub cut_short: u64,
    /// Stops without enough memory.
    pub out_of_memory: u64,
    /// Stops with another SIGKILL.
    pub killed_otherwise: u64,
    /// Stops of which the end is not known.
    pub unknown: u64,
    /// Stops in which the time of the app was measured.
    pub measured: u64,
}

/// The worst promise among the stops of one template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Honoured {
    template: String,
    promise: Promise,
    /// The end of its last stop.
    at: Timestamp,
}

/// What the status of a `ShutdownBudget` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Counts and times.
    pub shutdowns: Shutdowns,
    /// The last three stops, one line each, the oldest first.
    pub recent: Vec<String>,
    /// The last three in which the promise was not honoured.
    pub not_honoured: Vec<String>,
    /// What the stops suggest, in words.
    pub recommendation: String,
    /// Whether the app honoured its promise in the stops of the template that stopped last; absent before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
}

/// Counts of stops, and times of the app from SIGTERM to its exit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shutdowns {
    /// All stops.
    pub count: u64,
    /// By outcome.
    #[serde(flatten)]
    pub totals: Totals,
    /// Half of the recent stops took at most this long.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_words")]
    pub p50: Option<Seconds>,
    /// 90 % of them.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_words")]
    pub p90: Option<Seconds>,
    /// 99 % of them.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_words")]
    pub p99: Option<Seconds>,
    /// The longest of all stops in which the app exited by itself.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_words")]
    pub longest: Option<Seconds>,
    /// When counting began.
    pub since: Timestamp,
}

impl History {
    /// The history of a workload that has none. What ended before it begins is not counted: somebody may have deleted a history
    /// that counted it.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self {
            ledger: Ledger::since(since),
            since,
            totals: Totals::default(),
            app_time: Histogram::new(Scale::AppTime),
            withdrawal: Histogram::new(Scale::Withdrawal),
            longest: None,
            kills: Kills::default(),
            honoured: Vec::new(),
            recent: BTreeSet::new(),
            not_honoured: BTreeSet::new(),
        }
    }

    /// The history of a workload whose checkpoint cannot be read. What ended before now is not counted, because it may have
    /// been.
    #[must_use]
    pub fn starting_again(now: Timestamp) -> Self {
        Self { ledger: Ledger::after(now), ..Self::new(now) }
    }

    /// Counts a stop of the workload; false if it was counted before or may have been. `now` is the time of the caller's
    /// clock: a stop that ended in its future is refused.
    #[must_use]
    pub fn admit(&mut self, stop: &Stop, now: Timestamp) -> bool {
        let is_new = self.ledger.admit(&stop.uid, stop.end, now);
        if is_new {
            self.count(stop);
        }
        is_new
    }

    fn count(&mut self, stop: &Stop) {
        let promise = stop.promise();
        self.totals.count(stop.outcome, promise);
        self.kills.count(stop);
        if let Some(time) = stop.app_time.filter(|_| matches!(stop.outcome, Outcome::Clean | Outcome::Failed)) {
            self.totals.measured = self.totals.measured.saturating_add(1);
            self.app_time.add(u32::try_from(time.as_i64()).unwrap_or(u32::MAX));
            self.longest = self.longest.max(Some(time));
        }
        if let Some(time) = stop.withdrawal {
            self.withdrawal.add(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        }
        self.judge(stop, promise);
        let line = truncated(&stop.to_string(), LONGEST_LINE).into_owned();
        if promise > Promise::Honoured {
            show(&mut self.not_honoured, line.clone());
        }
        show(&mut self.recent, line);
    }

    fn judge(&mut self, stop: &Stop, promise: Promise) {
        if promise == Promise::NotJudged {
            return;
        }
        let position = self.honoured.iter().position(|honoured| *honoured.template == *stop.template);
        let latest = self.honoured.first().map(|honoured| honoured.at);
        match position {
            Some(position) if position == 0 || latest.is_some_and(|latest| stop.at.since(latest) <= OVERLAP) => {
                let honoured = &mut self.honoured[position];
                (honoured.promise, honoured.at) = (honoured.promise.max(promise), honoured.at.max(stop.at));
            }
            None if latest.is_some_and(|latest| stop.at < latest) => {}
            _ => {
                self.honoured.retain(|honoured| *honoured.template != *stop.template);
                self.honoured.insert(0, Honoured { template: stop.template.to_string(), promise, at: stop.at });
                self.honoured.truncate(TEMPLATES);
            }
        }
    }

    /// What the stops suggest.
    #[must_use]
    pub fn recommendation(&self) -> Recommendation {
        let p99 = self.app_time.percentile(99).map(Seconds::new);
        Recommendation::of(self.totals.measured, p99, self.longest, self.kills.not_enough())
    }

    /// The Event `ShutdownKilled`, if one is due at this time: at most one in five minutes, about all kills since the last
    /// one. The history must be stored before the Event is published, so that no other leader publishes it again.
    #[must_use]
    pub fn due_event(&mut self, now: Timestamp) -> Option<Event> {
        self.kills.due_event(now, self.recommendation())
    }

    /// How long [`Self::due_event`] withholds the Event about kills since the last one; `None` if there are none.
    #[must_use]
    pub fn event_due_in(&self, now: Timestamp) -> Option<Seconds> {
        self.kills.due_in(now)
    }

    /// What the status shows.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let percentile = |percent| self.app_time.percentile(percent).map(Seconds::new);
        Summary {
            shutdowns: Shutdowns {
                count: self.totals.all(),
                totals: self.totals,
                p50: percentile(50),
                p90: percentile(90),
                p99: percentile(99),
                longest: self.longest,
                since: self.since,
            },
            recent: self.recent.iter().cloned().collect(),
            not_honoured: self.not_honoured.iter().cloned().collect(),
            recommendation: self.in_words(),
            promise: self.honoured.first().map(|honoured| honoured.promise),
        }
    }

    fn in_words(&self) -> String {
        let recommendation = self.recommendation();
        match self.withdrawal.percentile(100) {
            Some(longest) => {
                let longest = f64::from(longest) / 1000.0;
                format!("{recommendation}; endpoints were withdrawn within {longest}s")
            }
            None => recommendation.to_string(),
        }
    }
}

impl Totals {
    fn count(&mut self, outcome: Outcome, promise: Promise) {
        let total = match outcome {
            Outcome::Clean => &mut self.clean,
            Outcome::Failed => &mut self.failed,
            Outcome::Killed => &mut self.killed,
            Outcome::CutShort => &mut self.cut_short,
            Outcome::OutOfMemory => &mut self.out_of_memory,
            Outcome::KilledOtherwise => &mut self.killed_otherwise,
            Outcome::Unknown(_) => &mut self.unknown,
        };
        *total = total.saturating_add(1);
        self.overran = self.overran.saturating_add(u64::from(promise == Promise::Overran));
    }

    /// All stops.
    #[must_use]
    pub fn all(&self) -> u64 {
        let Self { clean, failed, killed, cut_short, out_of_memory, killed_otherwise, unknown, .. } = self;
        let totals = [clean, failed, killed, cut_short, out_of_memory, killed_otherwise, unknown];
        totals.into_iter().fold(0, |sum, total| sum.saturating_add(*total))
    }
}

/// Adds a line. Lines begin with their time, so that the first one is the oldest.
fn show(lines: &mut BTreeSet<String>, line: String) {
    lines.insert(line);
    while lines.len() > SHOWN {
        lines.pop_first();
    }
}

/// The lines that a status showed. Anybody who may write it can have written others; those with a time after `limit` would
/// stay and hide what comes.
fn shown(lines: &[String], limit: Timestamp) -> BTreeSet<String> {
    let is_plain = |line: &&String| line.chars().count() <= LONGEST_LINE && !line.contains(is_control);
    let time = |line: &String| line.split(' ').next()?.parse::<Timestamp>().ok();
    let has_time = |line: &&String| time(line).is_some_and(|time| time <= limit);
    let mut kept = BTreeSet::new();
    // Winddown writes three.
    for line in lines.iter().take(10).filter(is_plain).filter(has_time) {
        show(&mut kept, line.clone());
    }
    kept
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the signature that serde requires")]
fn in_words<S: Serializer>(duration: &Option<Seconds>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.collect_str(duration),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
