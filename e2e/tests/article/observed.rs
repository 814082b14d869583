//! What clients saw, what the process did, and what the operator reported, in words.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};
use winddown_e2e::budgets::Status;
use winddown_e2e::variant::Row;

use crate::stops::Stop;

/// The result of one arm.
pub(crate) struct Observed {
    pub(crate) name: String,
    pub(crate) rollouts: u32,
    /// Over new connections and over kept ones.
    pub(crate) load: [Row; 2],
    pub(crate) stops: Vec<Stop>,
    pub(crate) budget: Status,
}

/// The fields of `status.shutdowns` that are outcomes.
const OUTCOMES: [&str; 7] = ["clean", "failed", "killed", "cutShort", "outOfMemory", "killedOtherwise", "unknown"];

impl Observed {
    /// Requests that failed, over new and over kept connections.
    pub(crate) fn dropped(&self) -> u64 {
        self.load.iter().map(|row| row.counts.failed).sum()
    }

    /// Whether every pod exited with this code.
    pub(crate) fn all_exited_with(&self, code: i32) -> bool {
        self.stops.iter().all(|stop| stop.exit_code == code)
    }

    /// Stops that the operator counted with an outcome, which is a field of `status.shutdowns`.
    pub(crate) fn reported(&self, outcome: &str) -> u64 {
        self.budget.count(outcome)
    }

    /// No request was dropped, every pod exited with 0 and in time, and the operator says the same.
    pub(crate) fn ensure_clean(&self) -> Result<()> {
        let stops = self.stops.len() as u64;
        ensure!(self.dropped() == 0, "requests were dropped: {self}");
        ensure!(self.all_exited_with(0), "not every pod exited with 0: {self}");
        ensure!(self.reported("clean") == stops && self.budget.reason("Honoured") == Some("InTime"), "{self}");
        Ok(())
    }

    fn client(&self) -> String {
        let row = |row: &Row| {
            let failures: Vec<_> = row.counts.failures.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            let failures = if failures.is_empty() { String::new() } else { format!(" ({})", failures.join(", ")) };
            format!(
                "{} of {} over {} connections dropped{failures}",
                row.counts.failed, row.counts.sent, row.connections
            )
        };
        self.load.iter().map(row).collect::<Vec<_>>().join("; ")
    }

    fn process(&self) -> String {
        let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
        self.stops.iter().for_each(|stop| *codes.entry(stop.exit_code).or_default() += 1);
        let codes: Vec<_> = codes.iter().map(|(code, count)| format!("{count} × exit code {code}")).collect();
        let seconds = || self.stops.iter().map(|stop| stop.seconds);
        let (least, most) = (seconds().min().unwrap_or_default(), seconds().max().unwrap_or_default());
        let phases = self.stops.first().map(Stop::phases).unwrap_or_default();
        format!("{}, {least} to {most} s after the deletion; log: {}", codes.join(", "), phases.join(" → "))
    }

    fn operator(&self) -> String {
        let counts = OUTCOMES.iter().map(|outcome| (outcome, self.budget.count(outcome)));
        let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).map(|(o, count)| format!("{count} {o}")).collect();
        format!("{}; Honoured: {}", counts.join(", "), self.budget.reason("Honoured").unwrap_or_default())
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "  {}, {} rollouts", self.name, self.rollouts)?;
        writeln!(formatter, "    client:   {}", self.client())?;
        writeln!(formatter, "    process:  {}", self.process())?;
        write!(formatter, "    operator: {}", self.operator())
    }
}
