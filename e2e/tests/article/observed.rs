//! What clients saw, what the process did, and what the operator reported.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use winddown_e2e::article::Facts;
use winddown_e2e::budgets::Status;

use crate::stops::Stop;

/// The result of one arm.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) name: String,
    /// `3 rollouts`, or `1 pod`.
    pub(crate) sample: String,
    /// None if the arm has no load.
    pub(crate) load: Option<Load>,
    pub(crate) stops: Vec<Stop>,
    pub(crate) budget: Status,
}

/// The last line of the client that sends at a constant rate.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Load {
    pub(crate) new: Counts,
    pub(crate) kept: Counts,
    actual_rate: f64,
    /// Ids of requests without an answer of success.
    pub(crate) unacknowledged: Vec<String>,
    /// When and how the first of them failed, for a message.
    first_failures: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    /// Failed requests by kind.
    failures: BTreeMap<String, u64>,
    /// Answers with `Connection: close`.
    pub(crate) said_close: u64,
}

/// The fields of `status.shutdowns` that are outcomes.
const OUTCOMES: [&str; 7] = ["clean", "failed", "killed", "cutShort", "outOfMemory", "killedOtherwise", "unknown"];

/// Failures of an order whose answer was late: the service answers 503 after 10 s, or earlier where a server did not
/// answer.
const LATE: [&str; 2] = ["serverError", "timeout"];

/// The share of the rate that must be reached.
pub(crate) const MIN_RATE: f64 = 0.9;

/// What the service logs, in order; the clients of the last phase close together.
const PHASES: [&str; 4] = ["listeners-closed", "connections-closed", "phase-finished 1", "phase-finished 2"];

/// In a message, of each pod.
const MAX_FAILED_ORDERS: usize = 3;

/// The last line of a log.
const FINISHED: &str = "finished";

impl Load {
    /// The client kept its rate, and its numbers add up.
    pub(crate) fn verify(&self, rate: u32) -> Result<()> {
        ensure!(
            self.actual_rate >= MIN_RATE * f64::from(rate),
            "sent {} requests/s instead of {rate}",
            self.actual_rate
        );
        let failures: u64 = [&self.new, &self.kept].iter().flat_map(|counts| counts.failures.values()).sum();
        ensure!(failures == self.dropped() && failures == self.unacknowledged.len() as u64, "{self:?}");
        Ok(())
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.new.failed + self.kept.failed
    }

    /// Whether orders failed, and all of them because an answer was late.
    pub(crate) fn is_only_late(&self) -> bool {
        let mut kinds = [&self.new, &self.kept].into_iter().flat_map(|counts| counts.failures.keys());
        self.dropped() > 0 && kinds.all(|kind| LATE.contains(&kind.as_str()))
    }
}

impl Observed {
    /// Requests that failed.
    pub(crate) fn dropped(&self) -> u64 {
        self.load.as_ref().map_or(0, Load::dropped)
    }

    /// Whether every pod exited with this code.
    pub(crate) fn all_exited_with(&self, code: i32) -> bool {
        !self.stops.is_empty() && self.exited_with(code) == self.stops.len() as u64
    }

    /// How many pods exited with this code.
    pub(crate) fn exited_with(&self, code: i32) -> u64 {
        self.stops.iter().filter(|stop| stop.exit_code == code).count() as u64
    }

    /// Whether the operator counted all stops with this outcome, which is a field of `status.shutdowns`.
    pub(crate) fn all_reported(&self, outcome: &str) -> bool {
        self.reported(outcome) == self.stops.len() as u64
    }

    /// How many stops the operator counted with this outcome.
    pub(crate) fn reported(&self, outcome: &str) -> u64 {
        self.budget.count(outcome)
    }

    /// No request was dropped, every pod exited with 0 and in time, and the operator says the same.
    pub(crate) fn ensure_clean(&self) -> Result<()> {
        ensure!(self.dropped() == 0, "requests were dropped: {self}");
        ensure!(self.all_exited_with(0), "not every pod exited with 0: {self}");
        let honoured = self.budget.reason("Honoured");
        ensure!(self.all_reported("clean") && honoured == Some("InTime"), "not reported as clean: {self}");
        Ok(())
    }

    /// The same of the service, and each pod closed its resources in the order of the phases.
    pub(crate) fn ensure_clean_in_phases(&self) -> Result<()> {
        self.ensure_clean()?;
        let logs: Vec<_> = self.stops.iter().map(Stop::events).collect();
        for log in &logs {
            let phases: Vec<_> = log.iter().map(String::as_str).filter(|event| PHASES.contains(event)).collect();
            ensure!(PHASES.starts_with(&phases), "not in the order of the phases: {log:?}");
            // The end of a log is missing if the container is removed while it is read.
            ensure!(!has_ended(log) || phases == PHASES, "not all phases: {log:?}");
        }
        ensure!(logs.iter().any(|log| has_ended(log)), "no log has its end: {logs:?}");
        Ok(())
    }

    /// The same in words.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            sample: self.sample.clone(),
            clients: self.clients(),
            process: self.process(),
            operator: self.operator(),
        }
    }

    fn clients(&self) -> String {
        let Some(Load { new, kept, .. }) = &self.load else { return String::new() };
        let row = |counts: &Counts| {
            let failures: Vec<_> = counts.failures.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            let failures = if failures.is_empty() { String::new() } else { format!(" ({})", failures.join(", ")) };
            format!("{} of {}{failures}", counts.failed, counts.sent)
        };
        format!("dropped over new connections: {}, over kept ones: {}", row(new), row(kept))
    }

    fn process(&self) -> String {
        let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
        self.stops.iter().for_each(|stop| *codes.entry(stop.exit_code).or_default() += 1);
        let codes: Vec<_> = codes.iter().map(|(code, count)| format!("{count} × exit code {code}")).collect();
        let all = || self.stops.iter().map(Stop::seconds);
        let (least, most) = (all().min().unwrap_or_default(), all().max().unwrap_or_default());
        let events = self.stops.first().map(Stop::events).unwrap_or_default();
        let events = if events.is_empty() { "nothing logged".to_owned() } else { events.join(" → ") };
        let seconds = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let first = if self.stops.len() == 1 { "" } else { "first pod: " };
        format!("{}, {seconds} s after the deletion; {first}{events}", codes.join(", "))
    }

    fn operator(&self) -> String {
        let counts = OUTCOMES.iter().map(|outcome| (outcome, self.budget.count(outcome)));
        let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).map(|(o, count)| format!("{count} {o}")).collect();
        format!("{}; Honoured: {}", counts.join(", "), self.budget.reason("Honoured").unwrap_or_default())
    }
}

fn has_ended(log: &[String]) -> bool {
    log.iter().any(|event| event == FINISHED)
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { clients, process, operator, .. } = self.facts();
        write!(formatter, "  {}\n    {clients}\n    {process}\n    operator: {operator}", self.name)?;
        let failures = self.load.iter().flat_map(|load| &load.first_failures);
        let failed_orders = self.stops.iter().flat_map(|stop| stop.failed_orders().take(MAX_FAILED_ORDERS));
        failures.chain(failed_orders).try_for_each(|line| write!(formatter, "\n    {line}"))
    }
}
