//! The numbers that apply where a workload's annotations leave something out.

use crate::annotations::{Declaration, Mode};
use crate::budget::Source;
use crate::duration::Seconds;

/// Defaults for everything a declaration may leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long traffic keeps arriving.
    pub drain: Seconds,
    /// How long the app needs after SIGTERM.
    pub deadline: Seconds,
    /// Slack between the app's own deadline and SIGKILL.
    pub margin: Seconds,
    /// `periodSeconds` of an injected readiness probe.
    pub readiness_period: i32,
    /// `failureThreshold` of an injected readiness probe.
    pub readiness_failure_threshold: i32,
}

impl Default for Policy {
    /// What is built in.
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

/// The policies of a cluster, one of which applies to each namespace.
///
/// There is only the built-in one so far. Callers choose by namespace already, so that a policy per namespace changes
/// nothing but this type.
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

/// A declaration under a policy: nothing is left out any more. Plan, record and verdict share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// What was declared.
    pub declaration: &'a Declaration,
    /// The policy that fills in the rest.
    pub policy: &'a Policy,
    /// What Winddown may do.
    pub mode: Mode,
    /// How long traffic keeps arriving.
    pub drain: Seconds,
    /// Where the drain comes from.
    pub drain_from: Source,
    /// How long the app needs after SIGTERM.
    pub deadline: Seconds,
    /// Where the deadline comes from.
    pub deadline_from: Source,
    /// Slack before SIGKILL.
    pub margin: Seconds,
}

impl<'a> Resolved<'a> {
    /// Fills in what the declaration leaves out: from its presets, then from the policy.
    #[must_use]
    pub fn new(declaration: &'a Declaration, mode: Mode, policy: &'a Policy) -> Self {
        let traffic = declaration.traffic.map(|traffic| (traffic.drain, traffic.name.as_str()));
        let runtime = declaration.runtime.and_then(|runtime| Some((runtime.deadline?, runtime.name.as_str())));
        let (drain, drain_from) = choose(declaration.drain, traffic, policy.drain);
        let (deadline, deadline_from) = choose(declaration.deadline, runtime, policy.deadline);
        let margin = declaration.margin.unwrap_or(policy.margin);
        Self { declaration, policy, mode, drain, drain_from, deadline, deadline_from, margin }
    }

    /// The numbers as a declaration in canonical form, so that two spellings of the same budget can be compared.
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
