//! The defaults for values that a workload's annotations do not set.

use crate::annotations::{Declaration, Mode};
use crate::budget::Source;
use crate::duration::Seconds;

/// Defaults for the values that a declaration does not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long traffic keeps arriving.
    pub drain: Seconds,
    /// How long the app needs after SIGTERM.
    pub deadline: Seconds,
    /// The time between the deadline and SIGKILL.
    pub margin: Seconds,
    /// `periodSeconds` of an injected readiness probe.
    pub readiness_period: i32,
    /// `failureThreshold` of an injected readiness probe.
    pub readiness_failure_threshold: i32,
}

impl Default for Policy {
    /// The built-in policy.
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

/// The policies of a cluster: one applies to each namespace.
///
/// Only the built-in one exists. Callers select by namespace, so that a policy for each namespace changes only this type.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    built_in: Policy,
}

impl Policies {
    /// The policy for the workloads of a namespace.
    #[must_use]
    pub fn for_namespace(&self, _namespace: &str) -> &Policy {
        &self.built_in
    }
}

/// The numbers of a budget, from wherever each of them came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// How long traffic keeps arriving.
    pub drain: Seconds,
    /// How long the app needs after SIGTERM.
    pub deadline: Seconds,
    /// The time between the deadline and SIGKILL.
    pub margin: Seconds,
}

/// A declaration with the defaults of a policy. Plan and record use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The declaration.
    pub declaration: &'a Declaration,
    /// The policy with the defaults.
    pub policy: &'a Policy,
    /// What Winddown may change and reject.
    pub mode: Mode,
    /// How long traffic keeps arriving.
    pub drain: Seconds,
    /// The source of the drain.
    pub drain_from: Source,
    /// How long the app needs after SIGTERM.
    pub deadline: Seconds,
    /// The source of the deadline.
    pub deadline_from: Source,
    /// The time between the deadline and SIGKILL.
    pub margin: Seconds,
}

impl<'a> Resolved<'a> {
    /// Fills in absent values from the presets of the declaration, then from the policy.
    #[must_use]
    pub fn new(declaration: &'a Declaration, mode: Mode, policy: &'a Policy) -> Self {
        let traffic = declaration.traffic.map(|traffic| (traffic.drain, traffic.name.as_str()));
        let runtime = declaration.runtime.and_then(|runtime| Some((runtime.deadline?, runtime.name.as_str())));
        let (drain, drain_from) = choose(declaration.drain, traffic, policy.drain);
        let (deadline, deadline_from) = choose(declaration.deadline, runtime, policy.deadline);
        let margin = declaration.margin.unwrap_or(policy.margin);
        Self { declaration, policy, mode, drain, drain_from, deadline, deadline_from, margin }
    }

    /// The numbers of the budget.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        Numbers { drain: self.drain, deadline: self.deadline, margin: self.margin }
    }

    /// The same with other numbers for what the declaration leaves open, such as those of an earlier version.
    #[must_use]
    pub fn with_numbers(&self, numbers: Numbers) -> Self {
        Self {
            drain: self.declaration.drain.unwrap_or(numbers.drain),
            deadline: self.declaration.deadline.unwrap_or(numbers.deadline),
            margin: self.declaration.margin.unwrap_or(numbers.margin),
            ..self.clone()
        }
    }

    /// The numbers as a declaration in canonical form, to compare declarations that result in the same budget.
    #[must_use]
    pub fn canonical(&self) -> String {
        Declaration {
            drain: Some(self.drain),
            deadline: Some(self.deadline),
            traffic: None,
            runtime: None,
            margin: Some(self.margin),
            ..self.declaration.clone()
        }
        .to_string()
    }
}

fn choose(declared: Option<Seconds>, preset: Option<(Seconds, &str)>, default: Seconds) -> (Seconds, Source) {
    match (declared, preset) {
        (Some(declared), _) => (declared, Source::Declared),
        (None, Some((proposed, name))) => (proposed, Source::Preset(name.to_owned())),
        (None, None) => (default, Source::Default),
    }
}
