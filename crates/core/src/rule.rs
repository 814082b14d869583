//! What a rule is: a code with its severity, title and page, and the check.

use k8s_openapi::api::core::v1::Container;

use crate::annotations::Reading;
use crate::budget::Budget;
use crate::catalog::meshes::Proxy;
use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::Plan;
use crate::plan::hooks::PlannedHook;
use crate::plan::lanes::{PlannedLane, Role, last_exit};
use crate::pod::hooks::PreStop;
use crate::pod::sidecars::{Running, native_sidecars, running};
use crate::policy::Resolved;
use crate::related::Neighbours;
use crate::workload::Workload;

/// One kind of finding.
pub(crate) struct Rule {
    pub(crate) code: Code,
    pub(crate) severity: Severity,
    /// The problem in one sentence.
    pub(crate) title: &'static str,
    /// Markdown with the sections `Why`, `What to do` and `Source`.
    pub(crate) page: &'static str,
    pub(crate) check: Check,
}

/// The input of a rule.
pub(crate) enum Check {
    /// The parsed annotations.
    Annotations(fn(&Reading) -> Vec<Finding>),
    /// Each container that runs when the pod is deleted.
    Running(fn(Running<'_>) -> Option<Finding>),
    /// The workload and its plan.
    Plan(fn(&Subject<'_>) -> Vec<Finding>),
    /// The workload, its plan, and the objects that are related to it. Where those are unknown, as in the webhooks, it
    /// reports nothing, because one of them could refute a finding.
    Related(fn(&Subject<'_>, &Neighbours<'_>) -> Vec<Finding>),
    /// None: evaluation or review call the function in the rule's file.
    Reported,
}

/// The input of a rule about the plan.
pub(crate) struct Subject<'a> {
    /// The workload without injected fields.
    pub(crate) workload: &'a Workload,
    /// The declaration and the resolved numbers.
    pub(crate) resolved: &'a Resolved<'a>,
    /// The plan, including injected fields.
    pub(crate) plan: &'a Plan,
    /// The objects that are related to the workload, if they are known.
    pub(crate) related: Option<&'a Neighbours<'a>>,
}

impl<'a> Subject<'a> {
    pub(crate) fn budget(&self) -> &'a Budget {
        &self.plan.budget
    }

    /// The main containers.
    pub(crate) fn containers(&self) -> &'a [Container] {
        &self.workload.pod.containers
    }

    /// The main containers and the native sidecars with their own hooks.
    pub(crate) fn own_hooks(&self) -> impl Iterator<Item = (Running<'a>, PreStop)> {
        let pod = &self.workload.pod;
        let main = self.plan.hooks.iter().map(|hook| hook.own);
        let own = main.chain(native_sidecars(pod).map(|container| PreStop::of(container, pod)));
        running(pod).zip(own)
    }

    /// The main containers with their hooks, including injected ones.
    pub(crate) fn hooks(&self) -> impl Iterator<Item = (&'a Container, &'a PlannedHook)> {
        self.workload.pod.containers.iter().zip(&self.plan.hooks)
    }

    /// The proxies that meshes inject as classic sidecars, as far as the workload and its namespace show it.
    pub(crate) fn proxies(&self, related: &Neighbours<'_>) -> Vec<Proxy> {
        Proxy::of(self.workload, self.resolved.declaration, related)
    }

    /// The time at which all main containers have exited, so that native sidecars get their stop signal.
    pub(crate) fn main_exit(&self) -> Seconds {
        last_exit(self.plan.lanes.iter().filter(|lane| lane.role != Role::NativeSidecar))
    }

    /// The containers with that role, and their lanes.
    pub(crate) fn lanes(&self, role: Role) -> impl Iterator<Item = (&'a Container, &'a PlannedLane)> {
        let pod = &self.workload.pod;
        let containers = pod.containers.iter().chain(native_sidecars(pod));
        containers.zip(&self.plan.lanes).filter(move |(_, lane)| lane.role == role)
    }
}

impl Rule {
    /// A finding of this rule.
    pub(crate) fn finding(&self, field: FieldPath, problem: impl Into<String>) -> Finding {
        Finding::new(self.code, self.severity, field, problem)
    }
}
