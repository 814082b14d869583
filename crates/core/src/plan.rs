//! What a declaration asks of a workload: the heart of Winddown, a pure function.
//!
//! [`plan`] sees a *bare* workload, one without anything that Winddown injected before, and decides all there is to
//! decide; nothing after it has a choice left.

pub(crate) mod hooks;
mod readiness;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::annotations::{self, Declaration};
use crate::budget::{Budget, Source};
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::mutation::Mutation;
use crate::policy::Policy;
use crate::rules::{self, Subject};
use crate::timeline::Timeline;
use crate::workload::Workload;

/// What Kubernetes gives a pod that asks for nothing (`terminationGracePeriodSeconds`, API reference of `PodSpec`).
pub const DEFAULT_GRACE_PERIOD: Seconds = Seconds::new(30);

/// The path of the field that everything else has to fit into.
pub const GRACE_PERIOD_FIELD: &str = "spec.template.spec.terminationGracePeriodSeconds";

/// The grace period of a template, and whether anybody asked for it. The API server fills in 30 before admission, so
/// the number alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GracePeriod {
    /// Nobody wrote one: [`DEFAULT_GRACE_PERIOD`] applies, and Winddown may raise it.
    Unset,
    /// Somebody wrote it, so it stands.
    Explicit(Seconds),
}

/// Everything a declaration comes to on one template.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The sum, with the grace period as it will be once the mutations are made.
    pub budget: Budget,
    /// What is missing on the template. Empty where a finding is an error: half a promise is worse than none.
    pub mutations: Vec<Mutation>,
    /// What there is to say about it.
    pub findings: Vec<Finding>,
    /// The pod's last seconds.
    pub timeline: Timeline,
}

/// Plans a bare workload. Total and deterministic.
#[must_use]
pub fn plan(workload: &Workload, declaration: &Declaration, policy: &Policy) -> Plan {
    let pod = &workload.pod;
    let (drain, drain_from) = declaration.drain(policy);
    let (deadline, deadline_from) = declaration.deadline(policy);
    let mut findings = unknown_containers(pod, declaration);
    let hooks = hooks::plan(pod, declaration, drain);
    findings.extend(hooks.findings);
    let mut mutations = hooks.mutations;

    let mut budget = Budget {
        drain: hooks.longest,
        deadline,
        margin: declaration.margin.unwrap_or(policy.margin),
        grace_period: DEFAULT_GRACE_PERIOD,
        drain_from: hooks.longest_from.map_or(drain_from, Source::Hook),
        deadline_from,
    };
    match workload.grace_period {
        GracePeriod::Explicit(grace_period) => budget.grace_period = grace_period,
        GracePeriod::Unset if budget.needed() > DEFAULT_GRACE_PERIOD => {
            budget.grace_period = budget.needed();
            mutations.push(Mutation::SetGracePeriod(budget.grace_period));
        }
        GracePeriod::Unset => {}
    }
    if !budget.fits() {
        findings.push(does_not_fit(&budget));
    }

    let probe = readiness::plan(pod, declaration, policy);
    findings.extend(probe.finding);
    mutations.extend(probe.mutation);

    findings.extend(rules::findings(&Subject { workload, declaration, budget: &budget, sleeps: &hooks.sleeps }));
    if findings.iter().any(Finding::is_error) {
        mutations.clear();
    }
    Plan { timeline: Timeline::new(pod, &budget, &hooks.sleeps), budget, mutations, findings }
}

fn does_not_fit(budget: &Budget) -> Finding {
    let Budget { drain, deadline, margin, grace_period, drain_from, .. } = budget;
    let (needed, missing) = (budget.needed(), budget.missing());
    let whose = match drain_from {
        Source::Hook(container) => format!("the preStop of {container}"),
        _ => annotations::DRAIN.to_owned(),
    };
    Finding::new(
        Code::BudgetDoesNotFit,
        GRACE_PERIOD_FIELD,
        format!(
            "drain {drain} + deadline {deadline} + margin {margin} = {needed}, {missing} more than the grace period of \
             {grace_period}: raise it to {}, leave it out, or lower {whose}, {} or {}",
            needed.as_i64(),
            annotations::DEADLINE,
            annotations::MARGIN,
        ),
    )
}

fn unknown_containers(pod: &PodSpec, declaration: &Declaration) -> Vec<Finding> {
    let named = declaration.containers.iter().flatten();
    named
        .filter(|name| !pod.containers.iter().any(|container| container.name == **name))
        .map(|name| {
            let reason = if init_containers(pod).any(|container| container.name == *name) {
                "is an init container, and those stop after the app by themselves: name only main containers"
            } else {
                "is not a container of this pod"
            };
            Finding::new(
                Code::ContainerNotFound,
                annotations::field(annotations::CONTAINERS),
                format!("{} {reason}; there are {}", annotations::quoted(name), names(&pod.containers)),
            )
        })
        .collect()
}

pub(crate) fn init_containers(pod: &PodSpec) -> impl Iterator<Item = &Container> {
    pod.init_containers.iter().flatten()
}

/// Container names for a message, at most a handful of them.
pub(crate) fn names<'a>(containers: impl IntoIterator<Item = &'a Container>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = containers.into_iter().map(|container| container.name.as_str()).collect();
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The path of a field of a container, by the container's name.
pub(crate) fn container_field(container: &str, field: &str) -> String {
    format!("spec.template.spec.containers[{container}].{field}")
}

#[cfg(test)]
mod tests;
