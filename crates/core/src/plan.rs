//! Plans the budget and the mutations for one workload.
//!
//! [`plan`] is a pure function. It receives a *bare* workload, which has no injected fields, and makes all decisions; the
//! later steps only apply them.

pub(crate) mod hooks;
pub mod lanes;
pub(crate) mod readiness;
pub mod timeline;
pub(crate) mod variables;

use crate::annotations::Expose;
use crate::budget::{Budget, LongestHelper, Source};
use crate::duration::Seconds;
use crate::mutation::Mutation;
use crate::pod::hooks::PreStop;
use crate::policy::{Resolved, TooSmall};
use crate::variables::Variables;
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
    let ((drain, drain_from), (deadline, deadline_from)) = longest_app(&lanes, &hooks, resolved);
    let mut budget = Budget {
        drain,
        deadline,
        margin: resolved.margin,
        grace_period: DEFAULT_GRACE_PERIOD,
        drain_from,
        deadline_from,
        margin_from: resolved.margin_from.clone(),
        longest_helper: None,
    };
    let longest = lanes.iter().rev().filter(|lane| lane.role != Role::App).max_by_key(|lane| lane.needs);
    budget.longest_helper = longest.filter(|lane| lane.needs > budget.sum()).map(|lane| LongestHelper {
        container: lane.container.clone(),
        needs: lane.needs,
        at_least: lane.stop.is_none() || lane.assumed,
    });
    match workload.grace_period {
        GracePeriod::Explicit(grace_period) => {
            budget.grace_period = grace_period;
            if !budget.fits() && resolved.policy.when_grace_period_too_small == TooSmall::Raise {
                budget.grace_period = budget.needed();
                mutations.push(Mutation::SetGracePeriod { to: budget.grace_period, explicit: true });
            }
        }
        GracePeriod::Unset if budget.needed() > DEFAULT_GRACE_PERIOD => {
            budget.grace_period = budget.needed();
            mutations.push(Mutation::SetGracePeriod { to: budget.grace_period, explicit: false });
        }
        GracePeriod::Unset => {}
    }

    let probe = readiness::plan(pod, resolved);
    if let PlannedProbe::Inject { container, probe } = &probe {
        mutations.push(Mutation::SetReadinessProbe { container: container.clone(), probe: probe.clone() });
    }
    if resolved.declaration.expose == Some(Expose::Env) {
        let apps = pod.containers.iter().zip(&hooks).zip(&lanes).filter(|(_, lane)| lane.role == Role::App);
        let missing = apps.map(|((container, hook), _)| {
            let variables = variables::of(hook, resolved, budget.grace_period);
            (container.name.clone(), variables::missing(variables, container))
        });
        let missing = missing.filter(|(_, variables)| *variables != Variables::default());
        mutations.extend(missing.map(|(container, variables)| Mutation::SetVariables { container, variables }));
    }
    let timeline = Timeline::new(pod, &lanes, budget.grace_period);
    Plan { budget, mutations, timeline, hooks, lanes, probe }
}

/// A duration and its source.
type Term = (Seconds, Source);

/// Drain and deadline of the app that exits last.
fn longest_app(lanes: &[PlannedLane], hooks: &[PlannedHook], resolved: &Resolved<'_>) -> (Term, Term) {
    let apps = || lanes.iter().zip(hooks).filter(|(lane, _)| lane.role == Role::App);
    let exit = lanes::last_exit(apps().map(|(lane, _)| lane));
    let longest = || apps().filter(|(lane, _)| lane.exit() == exit).map(|(_, hook)| hook);
    let own = longest().find(|hook| hook.own != PreStop::None);
    let Some(hook) = own.or_else(|| longest().next()) else {
        return ((Seconds::ZERO, resolved.drain_from.clone()), (resolved.deadline, resolved.deadline_from.clone()));
    };
    let drain_from = match own.filter(|own| own.duration != resolved.drain) {
        Some(own) => Source::Hook(own.container.clone()),
        None => resolved.drain_from.clone(),
    };
    ((hook.duration, drain_from), resolved.deadline_of(&hook.container))
}

#[cfg(test)]
mod tests;
