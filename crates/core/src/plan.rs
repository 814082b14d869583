//! Plans the budget and the mutations for one workload.
//!
//! [`plan`] is a pure function. It receives a *bare* workload, which has no injected fields, and makes all decisions; the
//! later steps only apply them.

pub(crate) mod hooks;
pub mod lanes;
pub(crate) mod readiness;
pub mod timeline;

use crate::budget::{Budget, LongestHelper, Source};
use crate::duration::Seconds;
use crate::mutation::Mutation;
use crate::pod::hooks::PreStop;
use crate::policy::Resolved;
use crate::workload::{DEFAULT_GRACE_PERIOD, GracePeriod, Workload};
use hooks::PlannedHook;
use lanes::{PlannedLane, Role};
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
    /// The lane of each main container, then of each native sidecar, in the template's order.
    pub(crate) lanes: Vec<PlannedLane>,
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

    let lanes = lanes::plan(workload, resolved, &hooks);
    let (drain, drain_from) = drain(&lanes, &hooks, resolved);
    let mut budget = Budget {
        drain,
        deadline: resolved.deadline,
        margin: resolved.margin,
        grace_period: DEFAULT_GRACE_PERIOD,
        drain_from,
        deadline_from: resolved.deadline_from.clone(),
        longest_helper: None,
    };
    let longest = lanes.iter().rev().filter(|lane| lane.role != Role::App).max_by_key(|lane| lane.needs);
    budget.longest_helper = longest.filter(|lane| lane.needs > budget.sum()).map(|lane| LongestHelper {
        container: lane.container.clone(),
        needs: lane.needs,
        at_least: lane.stop.is_none() || lane.assumed,
    });
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
    let timeline = Timeline::new(pod, &lanes, budget.grace_period);
    Plan { budget, mutations, timeline, hooks, lanes, probe }
}

/// The longest hook of an app, and its source.
fn drain(lanes: &[PlannedLane], hooks: &[PlannedHook], resolved: &Resolved<'_>) -> (Seconds, Source) {
    let apps = || lanes.iter().zip(hooks).filter(|(lane, _)| lane.role == Role::App).map(|(_, hook)| hook);
    let drain = apps().map(|hook| hook.duration).max().unwrap_or_default();
    let own = apps().find(|hook| hook.duration == drain && hook.own != PreStop::None);
    match own.filter(|_| drain != resolved.drain) {
        Some(own) => (drain, Source::Hook(own.container.clone())),
        None => (drain, resolved.drain_from.clone()),
    }
}

#[cfg(test)]
mod tests;
