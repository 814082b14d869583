//! Plans the budget and the mutations for one workload.
//!
//! [`plan`] is a pure function. It receives a *bare* workload, which has no injected fields, and makes all decisions; the
//! later steps only apply them.

pub(crate) mod hooks;
pub(crate) mod readiness;
pub mod timeline;

use crate::budget::{Budget, Source};
use crate::mutation::Mutation;
use crate::policy::Resolved;
use crate::workload::{DEFAULT_GRACE_PERIOD, GracePeriod, Workload};
use hooks::PlannedHook;
use readiness::PlannedProbe;
use timeline::Timeline;

/// The plan for one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The budget, with the grace period after the mutations.
    pub budget: Budget,
    /// The fields to inject.
    pub mutations: Vec<Mutation>,
    /// The shutdown of each container.
    pub timeline: Timeline,
    /// The hook of each main container, in the template's order.
    pub(crate) hooks: Vec<PlannedHook>,
    /// The readiness probe to inject.
    pub(crate) probe: PlannedProbe,
}

/// Plans a bare workload. Deterministic.
#[must_use]
pub fn plan(workload: &Workload, resolved: &Resolved<'_>) -> Plan {
    let pod = &workload.pod;
    let hooks = hooks::plan(pod, resolved);
    let injected = hooks.iter().filter(|hook| hook.injected);
    let mut mutations: Vec<_> = injected
        .map(|hook| Mutation::SetPreStopSleep { container: hook.container.clone(), sleep: hook.duration })
        .collect();

    let (drain, owner) = hooks::longest(&hooks, resolved.drain);
    let mut budget = Budget {
        drain,
        deadline: resolved.deadline,
        margin: resolved.margin,
        grace_period: DEFAULT_GRACE_PERIOD,
        drain_from: owner.map_or_else(|| resolved.drain_from.clone(), |owner| Source::Hook(owner.to_owned())),
        deadline_from: resolved.deadline_from.clone(),
    };
    match workload.grace_period {
        GracePeriod::Explicit(grace_period) => budget.grace_period = grace_period,
        GracePeriod::Unset if budget.needed() > DEFAULT_GRACE_PERIOD => {
            budget.grace_period = budget.needed();
            mutations.push(Mutation::SetGracePeriod(budget.grace_period));
        }
        GracePeriod::Unset => {}
    }

    let probe = readiness::plan(pod, resolved);
    if let PlannedProbe::Inject { container, probe } = &probe {
        mutations.push(Mutation::SetReadinessProbe { container: container.clone(), probe: probe.clone() });
    }
    Plan { timeline: Timeline::new(pod, &budget, &hooks), budget, mutations, hooks, probe }
}

#[cfg(test)]
mod tests;
