//! The counts in a load generator's log, checked against its summary.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

/// Numbers of requests.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All requests.
    pub sent: u64,
    /// Requests without a complete 2xx response before the timeout.
    pub failed: u64,
    /// Failed requests by kind, such as `refused` or `timeout`.
    pub failures: BTreeMap<String, u64>,
    /// `WebSockets` that the server closed with code 1001, which is no failure.
    #[serde(default)]
    pub orderly_closes: u64,
}

/// The sum of the lines read so far, and the summary once it was read.
#[derive(Debug, Default)]
pub(super) struct Totals {
    current: Counts,
    summary: Option<Summary>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Summary(Summary),
    Second(Counts),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    #[serde(rename = "summary")]
    _marker: bool,
    actual_rate: f64,
    #[serde(default)]
    hosts: BTreeMap<String, u64>,
    #[serde(flatten)]
    counts: Counts,
}

/// The result of a generator.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// All requests.
    pub counts: Counts,
    /// When the last request that each host answered was sent, in milliseconds since 1970. Only of apps that name their host.
    pub hosts: BTreeMap<String, u64>,
}

/// The share of the configured rate that must be reached.
const MIN_RATE: f64 = 0.95;

impl Totals {
    /// Adds a line of the generator's log.
    pub(super) fn add_line(&mut self, line: &str) -> Result<()> {
        match serde_json::from_str(line).with_context(|| format!("parse {line:?}"))? {
            Line::Summary(summary) => self.summary = Some(summary),
            Line::Second(counts) => self.current.add(&counts),
        }
        Ok(())
    }

    pub(super) fn current(&self) -> &Counts {
        &self.current
    }

    /// The total counts, if the lines agree with the summary and the generator kept its rate.
    pub(super) fn verify(self, rate: u32) -> Result<Finished> {
        let Summary { actual_rate, counts, hosts, .. } = self.summary.context("no summary")?;
        ensure!(counts == self.current, "the summary has {counts:?}, its lines add up to {:?}", self.current);
        let failures: u64 = counts.failures.values().sum();
        ensure!(failures == counts.failed, "{} requests failed, but {failures} by kind", counts.failed);
        ensure!(actual_rate >= MIN_RATE * f64::from(rate), "sent {actual_rate} requests/s instead of {rate}");
        Ok(Finished { counts, hosts })
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.orderly_closes += other.orderly_closes;
        for (kind, count) in &other.failures {
            *self.failures.entry(kind.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    const SECONDS: [&str; 2] = [
        r#"{"second":1,"sent":200,"failed":1,"failures":{"reset":1},"total":{"sent":200,"failed":1,"failures":{"reset":1}}}"#,
        r#"{"second":2,"sent":201,"failed":3,"failures":{"refused":3},"total":{"sent":401,"failed":4,"failures":{"refused":3,"reset":1}}}"#,
    ];

    fn totals(lines: &[&str]) -> Totals {
        let mut totals = Totals::default();
        for line in lines {
            totals.add_line(line).unwrap();
        }
        totals
    }

    fn summary(sent: u64, actual_rate: f64) -> String {
        format!(
            r#"{{"summary":true,"connections":"new","rate":200,"actualRate":{actual_rate},"maxLagMs":1,"sent":{sent},"failed":4,"failures":{{"refused":3,"reset":1}}}}"#
        )
    }

    fn error(lines: &[&str]) -> String {
        totals(lines).verify(200).unwrap_err().to_string()
    }

    #[test]
    fn lines_that_match_the_summary_are_accepted() {
        let counts = totals(&[SECONDS[0], SECONDS[1], &summary(401, 199.8)]).verify(200).unwrap().counts;
        assert_eq!((counts.sent, counts.failed, counts.failures["refused"]), (401, 4, 3));
    }

    #[test]
    fn orderly_closes_add_up() {
        let line =
            |second: u32| format!(r#"{{"second":{second},"sent":1,"failed":0,"failures":{{}},"orderlyCloses":3}}"#);
        let summary = r#"{"summary":true,"actualRate":200.0,"sent":2,"failed":0,"failures":{},"orderlyCloses":6}"#;
        assert_eq!(totals(&[&line(1), &line(2), summary]).verify(200).unwrap().counts.orderly_closes, 6);
    }

    #[test]
    fn a_missing_summary_is_an_error() {
        assert_eq!(error(&SECONDS), "no summary");
    }

    #[test]
    fn a_missing_line_is_an_error() {
        assert!(error(&[SECONDS[1], &summary(401, 200.0)]).starts_with("the summary has Counts { sent: 401,"));
    }

    #[test]
    fn failures_by_kind_must_add_up() {
        let line = r#"{"second":1,"sent":401,"failed":4,"failures":{"refused":3}}"#;
        let summary = summary(401, 200.0).replace(r#","reset":1"#, "");
        assert_eq!(error(&[line, &summary]), "4 requests failed, but 3 by kind");
    }

    #[test]
    fn a_rate_that_is_too_low_is_an_error() {
        let lines = [SECONDS[0], SECONDS[1], &summary(401, 189.9)];
        assert_eq!(error(&lines), "sent 189.9 requests/s instead of 200");
    }

    #[test]
    fn a_line_without_counts_is_an_error() {
        let error = Totals::default().add_line("load: no such host").unwrap_err();
        assert_eq!(error.to_string(), r#"parse "load: no such host""#);
    }
}
