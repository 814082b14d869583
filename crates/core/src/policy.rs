//! What a cluster's owner decides for workloads: defaults for values that annotations do not set, limits, and what a misfit
//! gets.

mod actions;
mod invalid;
mod namespace;
mod resolved;
pub mod resource;
#[cfg(feature = "schema")]
pub(crate) mod schema;
mod selection;
mod status;

pub use actions::{TooSmall, ValidationAction, ValidationActions};
pub use invalid::InvalidPolicy;
pub use namespace::{INJECT, Namespace};
pub(crate) use resolved::OTHERS;
pub use resolved::{Numbers, Resolved};
pub use resource::{ShutdownPolicy, ShutdownPolicyStatus};
pub use selection::{Policies, Selection};
pub use status::Reach;

use crate::budget::Source;
use crate::duration::Seconds;

/// The defaults, the limits and the answers of one policy. [`Policy::default`] is the built-in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The name of its `ShutdownPolicy`; `None` for the built-in policy.
    pub name: Option<String>,
    /// How long traffic keeps arriving.
    pub drain: Seconds,
    /// How long the app needs after SIGTERM.
    pub deadline: Seconds,
    /// The time between the deadline and SIGKILL.
    pub margin: Seconds,
    /// Which of the three stand in the `ShutdownPolicy`.
    pub written: Written,
    /// `periodSeconds` of an injected readiness probe.
    pub readiness_period: i32,
    /// `failureThreshold` of an injected readiness probe.
    pub readiness_failure_threshold: i32,
    /// The largest numbers that a workload may have.
    pub limits: Limits,
    /// What a misfit or a number above a limit gets.
    pub validation_actions: ValidationActions,
    /// What an explicit grace period gets that is smaller than the sum.
    pub when_grace_period_too_small: TooSmall,
    /// The namespaces that it is for, and its rank among the policies.
    pub selection: Selection,
}

/// Which defaults stand in a `ShutdownPolicy`. The others are built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// `spec.defaults.drain`.
    pub drain: bool,
    /// `spec.defaults.deadline`.
    pub deadline: bool,
    /// `spec.defaults.margin`.
    pub margin: bool,
}

/// The largest numbers that a workload may have; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of `terminationGracePeriodSeconds`.
    pub grace_period: Option<Seconds>,
    /// Of the drain.
    pub drain: Option<Seconds>,
}

impl Default for Policy {
    /// The built-in policy.
    fn default() -> Self {
        Self {
            name: None,
            drain: Seconds::new(5),
            deadline: Seconds::new(25),
            margin: Seconds::new(5),
            written: Written::default(),
            readiness_period: 5,
            readiness_failure_threshold: 1,
            limits: Limits::default(),
            validation_actions: ValidationActions::default(),
            when_grace_period_too_small: TooSmall::default(),
            selection: Selection::default(),
        }
    }
}

impl Policy {
    /// The source of a default of this policy.
    fn source(&self, written: bool) -> Source {
        match &self.name {
            Some(name) if written => Source::Policy(name.clone()),
            _ => Source::Default,
        }
    }

    /// Its name behind a number of it in a text; empty for the built-in policy.
    pub(crate) fn suffix(&self) -> String {
        self.name.as_ref().map(|name| format!(" (policy {name})")).unwrap_or_default()
    }

    /// The sum of the defaults.
    #[must_use]
    pub fn sum(&self) -> Seconds {
        self.drain.plus(self.deadline).plus(self.margin)
    }
}

/// What governs a workload: the policy of its namespace, and whether the namespace opted in.
#[derive(Clone, Copy, Debug)]
pub struct Governing<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Whether the namespace opted in: a workload needs no annotation then.
    pub opted_in: bool,
}

impl<'a> From<&'a Policy> for Governing<'a> {
    /// In a namespace that did not opt in.
    fn from(policy: &'a Policy) -> Self {
        Self { policy, opted_in: false }
    }
}
