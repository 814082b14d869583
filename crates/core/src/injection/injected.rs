//! A description of the fields that Winddown injected into a template.

use std::fmt;

use super::record::Record;
use crate::workload::DEFAULT_GRACE_PERIOD;

/// The injected fields of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Container names and the seconds of their preStop sleep.
    pub sleeps: Vec<(String, i64)>,
    /// The containers with an injected readiness probe.
    pub probes: Vec<String>,
    /// The containers with injected variables.
    pub variables: Vec<String>,
    /// The grace period before and after, in seconds.
    pub grace_period: Option<(i64, i64)>,
}

impl Injected {
    /// Whether only label and record were injected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&Record> for Injected {
    fn from(record: &Record) -> Self {
        Self {
            sleeps: record.pre_stop.iter().map(|(container, seconds)| (container.clone(), *seconds)).collect(),
            probes: record.readiness.keys().cloned().collect(),
            variables: record.env.keys().cloned().collect(),
            grace_period: record
                .grace_period
                .map(|change| (change.was.unwrap_or(DEFAULT_GRACE_PERIOD.as_i64()), change.set)),
        }
    }
}

impl fmt::Display for Injected {
    /// `preStop sleep 5s into app, readiness probe into app, variables into app, grace period 30s → 35s`; empty if there is
    /// nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sleeps =
            self.sleeps.iter().map(|(container, seconds)| format!("preStop sleep {seconds}s into {container}"));
        let probes = self.probes.iter().map(|container| format!("readiness probe into {container}"));
        let variables = self.variables.iter().map(|container| format!("variables into {container}"));
        let grace_period = self.grace_period.map(|(was, set)| format!("grace period {was}s → {set}s"));
        f.write_str(&sleeps.chain(probes).chain(variables).chain(grace_period).collect::<Vec<_>>().join(", "))
    }
}
