//! What else can go wrong in a pod's shutdown.
//!
//! Each rule is a file of its own: a function from the whole picture to findings, with the table that shows when it speaks
//! and when it is silent. A rule never changes anything and never denies: the sum alone does.

mod delayed_restart;
mod hook_needs_shell;
mod hook_on_host_network;
mod host_in_handler;
mod mesh;
mod platform_cap;
mod polling_balancer;
mod probe_ports;
mod progress_deadline;
mod readiness_missing;
mod readiness_placeholder;
mod readiness_slow;
mod rollout_capacity;
mod runtime;
mod signals;
mod slow_registration;
mod stop_order;
mod stop_signal;
mod surge_cost;

use crate::annotations::Declaration;
use crate::budget::Budget;
use crate::finding::Finding;
use crate::plan::hooks::Sleep;
use crate::workload::Workload;

/// Everything a rule may look at.
pub(crate) struct Subject<'a> {
    /// The bare workload.
    pub(crate) workload: &'a Workload,
    /// What its team declared.
    pub(crate) declaration: &'a Declaration,
    /// What that comes to, injections included.
    pub(crate) budget: &'a Budget,
    /// Each main container and how long it sleeps before SIGTERM, injections included, in the template's order.
    pub(crate) sleeps: &'a [Sleep],
}

type Rule = fn(&Subject<'_>) -> Vec<Finding>;

const RULES: &[Rule] = &[
    hook_needs_shell::rule,
    hook_on_host_network::rule,
    host_in_handler::rule,
    stop_signal::rule,
    signals::rule,
    stop_order::rule,
    readiness_missing::rule,
    readiness_placeholder::rule,
    readiness_slow::rule,
    probe_ports::rule,
    delayed_restart::rule,
    mesh::rule,
    rollout_capacity::rule,
    progress_deadline::rule,
    surge_cost::rule,
    polling_balancer::rule,
    slow_registration::rule,
    runtime::rule,
    platform_cap::rule,
];

/// What all rules have to say, rule by rule.
pub(crate) fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule(subject)).collect()
}

/// For the tables of the rules: what a rule says of a manifest.
#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use crate::evaluation::{Before, Origin, settle};
    use crate::finding::{Code, Finding};
    use crate::policy::Policy;

    /// A Deployment with a drain of 10s and a deadline of 20s; `change` makes of it what a case is about.
    pub(crate) fn deployment(change: impl FnOnce(&mut Value)) -> Value {
        let mut deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop", "annotations": {"winddown.dev/drain": "10s", "winddown.dev/deadline": "20s"}},
            "spec": {"replicas": 3, "template": {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "shop:1"}]}}},
        });
        change(&mut deployment);
        deployment
    }

    /// The same, where the case is about the pod's spec.
    pub(crate) fn pod(change: impl FnOnce(&mut Value)) -> Value {
        deployment(|deployment| change(&mut deployment["spec"]["template"]["spec"]))
    }

    /// The same, where the case is about the container `app`.
    pub(crate) fn container(change: impl FnOnce(&mut Value)) -> Value {
        pod(|pod| change(&mut pod["containers"][0]))
    }

    /// The findings of that kind that a manifest gets, all rules and the whole plan asked.
    pub(crate) fn found(manifest: &Value, code: Code) -> Vec<Finding> {
        let settlement = settle(manifest, Before::Nothing, &Policy::default(), Origin::File).unwrap();
        settlement.findings.into_iter().filter(|finding| finding.code == code).collect()
    }

    /// Asserts that the manifest gets no finding of that kind.
    pub(crate) fn silent(manifest: &Value, code: Code) {
        assert_eq!(found(manifest, code), vec![], "{manifest}");
    }

    /// Asserts that the manifest gets exactly one finding of that kind, and gives its field and message.
    pub(crate) fn fires(manifest: &Value, code: Code) -> (String, String) {
        match found(manifest, code).as_slice() {
            [finding] => (finding.field.clone(), finding.message.clone()),
            findings => panic!("{} findings {}: {findings:?}", findings.len(), code.as_str()),
        }
    }
}
