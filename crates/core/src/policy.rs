//! What holds where a workload's annotations say nothing.

use crate::duration::Seconds;

/// Defaults for everything a declaration may leave out. Built in for now; a cluster-wide policy object will fill it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long traffic keeps arriving, where only the deadline is declared.
    pub drain: Seconds,
    /// How long the app needs after SIGTERM, where only the drain is declared.
    pub deadline: Seconds,
    /// Slack between the app's own deadline and SIGKILL.
    pub margin: Seconds,
    /// `periodSeconds` of an injected readiness probe.
    pub readiness_period: i32,
    /// `failureThreshold` of an injected readiness probe.
    pub readiness_failure_threshold: i32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            drain: Seconds::new(5),
            deadline: Seconds::new(25),
            margin: Seconds::new(5),
            readiness_period: 5,
            readiness_failure_threshold: 1,
        }
    }
}
