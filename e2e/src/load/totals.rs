//! What a load generator says it sent, line by line, checked against its own summary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Requests, and how many of them failed in which way.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Count {
    /// All that were sent.
    pub sent: u64,
    /// Those without a good answer in time.
    pub failed: u64,
    /// The failed ones by kind.
    pub failures: BTreeMap<String, u64>,
}

/// What has been said so far.
#[derive(Debug, Default)]
pub(super) struct Account {
    so_far: Count,
    summary: Option<Summary>,
}

/// Why the generator's word cannot be taken for it.
#[derive(Debug, thiserror::Error)]
pub enum Inconsistent {
    /// It said something else than it should.
    #[error("a load generator says {line:?}")]
    Line {
        /// What it said.
        line: String,
        /// Why that is nothing to count.
        source: serde_json::Error,
    },
    /// It was lost, and nobody knows what with it.
    #[error("a load generator ended without a summary")]
    NoSummary,
    /// Some requests are missing from one or the other.
    #[error("a load generator's summary of {summary:?} is not the sum of its seconds, {seconds:?}")]
    Sum {
        /// What it said in the end.
        summary: Count,
        /// What it said before.
        seconds: Count,
    },
    /// It could not keep up, so the app had less to endure than the test says.
    #[error("a load generator sent {actual} requests a second instead of {wanted}")]
    Rate {
        /// What it sent.
        actual: f64,
        /// What it was to send.
        wanted: u32,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Summary(Summary),
    Second(Count),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    #[serde(rename = "summary")]
    _marker: bool,
    actual_rate: f64,
    #[serde(flatten)]
    count: Count,
}

/// How much of the rate has to be reached.
const ENOUGH: f64 = 0.95;

impl Account {
    /// Takes a line of the generator's log.
    pub(super) fn read(&mut self, line: &str) -> Result<(), Inconsistent> {
        match serde_json::from_str(line) {
            Ok(Line::Summary(summary)) => self.summary = Some(summary),
            Ok(Line::Second(count)) => self.so_far.add(&count),
            Err(source) => return Err(Inconsistent::Line { line: line.to_owned(), source }),
        }
        Ok(())
    }

    pub(super) fn so_far(&self) -> &Count {
        &self.so_far
    }

    /// The whole count, if it adds up.
    pub(super) fn close(self, rate: u32) -> Result<Count, Inconsistent> {
        let Summary { actual_rate, count, .. } = self.summary.ok_or(Inconsistent::NoSummary)?;
        if count != self.so_far || count.failures.values().sum::<u64>() != count.failed {
            return Err(Inconsistent::Sum { summary: count, seconds: self.so_far });
        }
        if actual_rate < ENOUGH * f64::from(rate) {
            return Err(Inconsistent::Rate { actual: actual_rate, wanted: rate });
        }
        Ok(count)
    }
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        for (kind, count) in &other.failures {
            *self.failures.entry(kind.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Inconsistent};

    const SECONDS: [&str; 2] = [
        r#"{"second":1,"sent":200,"failed":1,"failures":{"reset":1},"total":{"sent":200,"failed":1,"failures":{"reset":1}}}"#,
        r#"{"second":2,"sent":201,"failed":3,"failures":{"refused":3},"total":{"sent":401,"failed":4,"failures":{"refused":3,"reset":1}}}"#,
    ];

    fn account(lines: &[&str]) -> Account {
        let mut account = Account::default();
        for line in lines {
            account.read(line).unwrap();
        }
        account
    }

    fn summary(sent: u64, actual_rate: f64) -> String {
        format!(
            r#"{{"summary":true,"connections":"new","rate":200,"actualRate":{actual_rate},"maxLagMs":1,"sent":{sent},"failed":4,"failures":{{"refused":3,"reset":1}}}}"#
        )
    }

    #[test]
    fn seconds_that_add_up_to_the_summary_count() {
        let count = account(&[SECONDS[0], SECONDS[1], &summary(401, 199.8)]).close(200).unwrap();
        assert_eq!((count.sent, count.failed, count.failures["refused"]), (401, 4, 3));
    }

    #[test]
    fn a_generator_without_a_last_word_is_lost() {
        assert!(matches!(account(&SECONDS).close(200), Err(Inconsistent::NoSummary)));
    }

    #[test]
    fn a_second_that_is_missing_is_missed() {
        let account = account(&[SECONDS[1], &summary(401, 200.0)]);
        assert!(matches!(account.close(200), Err(Inconsistent::Sum { .. })));
    }

    #[test]
    fn a_rate_that_was_not_kept_is_no_result() {
        let account = account(&[SECONDS[0], SECONDS[1], &summary(401, 189.9)]);
        assert!(matches!(account.close(200), Err(Inconsistent::Rate { .. })));
    }

    #[test]
    fn a_line_that_is_no_count_is_an_error() {
        assert!(matches!(Account::default().read("load: no such host"), Err(Inconsistent::Line { .. })));
    }
}
