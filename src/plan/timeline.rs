//! A pod's last seconds, from the deletion request (t = 0) to SIGKILL.

use std::fmt;

use super::hooks::Sleep;
use crate::budget::Budget;
use crate::seconds::Seconds;

/// The phases of a pod's termination, one after the other, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// In order of time.
    pub phases: Vec<Phase>,
    /// When the kubelet kills what is left.
    pub kill_at: Seconds,
}

/// One stretch of the termination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Seconds after the deletion request.
    pub start: Seconds,
    /// Seconds after the deletion request.
    pub end: Seconds,
    /// What the phase is called.
    pub name: &'static str,
    /// What happens in it.
    pub what: String,
}

impl Timeline {
    /// The timeline of a budget, for containers that each sleep so long before SIGTERM.
    pub(super) fn new(budget: &Budget, sleeps: &[Sleep]) -> Self {
        let sigterm = budget.drain;
        let exit = sigterm.plus(budget.deadline);
        let kill_at = budget.grace_period;
        let mut phases = Vec::new();
        if budget.drain > Seconds::ZERO {
            let sleeping: Vec<_> = sleeps
                .iter()
                .filter(|sleep| sleep.seconds > Seconds::ZERO)
                .map(|Sleep { container, seconds }| format!("{container} {seconds}"))
                .collect();
            let what = format!("preStop ({}); endpoints and balancers forget the pod", sleeping.join(", "));
            phases.push(Phase { start: Seconds::ZERO, end: sigterm, name: "drain", what });
        }
        phases.push(Phase {
            start: sigterm,
            end: exit,
            name: "deadline",
            what: "SIGTERM; the app finishes what is open and exits 0".to_owned(),
        });
        if exit < kill_at {
            phases.push(Phase { start: exit, end: kill_at, name: "slack", what: "belongs to nobody".to_owned() });
        }
        Self { phases, kill_at }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Phase { start, end, name, what } in &self.phases {
            let (start, end) = (start.to_string(), end.to_string());
            writeln!(f, "{start:>7} – {end:<7} {name:<9} {what}")?;
        }
        write!(f, "{:>7}           SIGKILL", self.kill_at.to_string())?;
        let promised = self.phases.iter().map(|phase| phase.end).max().unwrap_or_default();
        if promised > self.kill_at {
            write!(f, ", {} before the app is done", promised.minus(self.kill_at))
        } else {
            Ok(())
        }
    }
}
