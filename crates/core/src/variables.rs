//! The environment variables that tell an app its budget.

use serde::{Deserialize, Serialize};

use crate::duration::Seconds;

/// Their names, in the order in which they are injected.
pub(crate) const NAMES: [&str; 3] =
    ["WINDDOWN_DRAIN_SECONDS", "WINDDOWN_DEADLINE_SECONDS", "WINDDOWN_GRACE_PERIOD_SECONDS"];

/// The variables of one container; `None` for one that is not injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variables {
    /// What the container's preStop hook waits before SIGTERM, as far as the manifest shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Seconds>,
    /// From SIGTERM until the app in the container must have exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Seconds>,
    /// The grace period of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<Seconds>,
}

impl Variables {
    /// The names of the variables and their values.
    pub(crate) fn entries(self) -> impl Iterator<Item = (&'static str, Seconds)> {
        let values = [self.drain, self.deadline, self.grace_period];
        NAMES.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?)))
    }

    /// Those whose name passes.
    #[must_use]
    pub(crate) fn filter(self, passes: impl Fn(&str) -> bool) -> Self {
        let [drain, deadline, grace_period] = NAMES.map(passes);
        Self {
            drain: self.drain.filter(|_| drain),
            deadline: self.deadline.filter(|_| deadline),
            grace_period: self.grace_period.filter(|_| grace_period),
        }
    }
}
