//! A drain above the limit of the policy.

use crate::annotations::{DRAIN, TRAFFIC};
use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::hooks::PlannedHook;
use crate::plan::lanes::Role;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::DrainAboveLimit,
    severity: Severity::Error,
    title: "The drain is more than the policy of the namespace allows.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let (resolved, policy) = (subject.resolved, subject.resolved.policy);
    let Some(limit) = policy.limits.drain else { return Vec::new() };
    let finding = |field, what: &str, at_least: &str, drain: Seconds| {
        let problem = format!("{what} is{at_least} {drain}, more than the limit of {limit}{}", policy.suffix());
        RULE.finding(field, problem).fact(drain).fact(limit).hint("lower it")
    };
    let mut findings = Vec::new();
    if resolved.drain > limit && subject.plan.hooks.iter().any(|hook| hook.injected) {
        let declared = resolved.declaration.drain.is_some();
        let field = FieldPath::annotation(if declared { DRAIN } else { TRAFFIC });
        findings.push(finding(field, "the drain", "", resolved.drain));
    }
    let apps = subject.plan.hooks.iter().zip(&subject.plan.lanes).filter(|(_, lane)| lane.role == Role::App);
    // Of a hook of unknown length, only what it certainly takes.
    let own = apps.map(|(hook, _)| (hook, hook.own.at_least()));
    let own = own.filter(|(hook, least)| !hook.injected && *least > limit);
    findings.extend(own.map(|(hook, least)| {
        let PlannedHook { container, own, .. } = hook;
        let field = FieldPath::container(container, "lifecycle.preStop");
        let at_least = if own.is_open_ended() { " at least" } else { "" };
        finding(field, &format!("the preStop hook of {container}"), at_least, least)
    }));
    findings
}

const PAGE: &str = r"## Why

During the drain a pod keeps its place on the node and takes no new work. Who runs the cluster can limit it, with
`limits.drain` of the [ShutdownPolicy](policies.md) that counts for the namespace. What happens to a workload above the limit,
`validationActions` of the policy say: the request is rejected, the client is warned, or the audit log gets a note. Nothing is
injected.

## What to do

Lower `winddown.dev/drain`, use another `winddown.dev/traffic`, or shorten the preStop hook of the container. If the load
balancer needs that long, ask those who run the cluster for a policy with a higher limit for the namespace.

## Source

- [Policies](policies.md)
- [Presets](presets.md): how long each load balancer needs
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::DrainAboveLimit;
    use crate::rules::tests::{annotated, fires, governed, pre_stop, silent};

    #[test]
    fn a_drain_above_the_limit_fires_wherever_it_comes_from() {
        let limits = json!({"limits": {"drain": "8s"}});
        for (workload, field, message) in [
            (
                annotated(&json!({"winddown.dev/drain": "9s"})),
                "metadata.annotations[winddown.dev/drain]",
                "the drain is 9s, more than the limit of 8s (policy web); lower it",
            ),
            (
                annotated(&json!({"winddown.dev/traffic": "alb-ip"})),
                "metadata.annotations[winddown.dev/traffic]",
                "the drain is 60s, more than the limit of 8s (policy web); lower it",
            ),
            (
                pre_stop(&json!({"sleep": {"seconds": 20}})),
                "spec.template.spec.containers[app].lifecycle.preStop",
                "the preStop hook of app is 20s, more than the limit of 8s (policy web); lower it",
            ),
            (
                pre_stop(&json!({"exec": {"command": ["sh", "-c", "sleep 20; ./drain.sh"]}})),
                "spec.template.spec.containers[app].lifecycle.preStop",
                "the preStop hook of app is at least 20s, more than the limit of 8s (policy web); lower it",
            ),
        ] {
            assert_eq!(fires(&governed(workload, &limits), DrainAboveLimit), (field.to_owned(), message.to_owned()));
        }
    }

    #[test]
    fn a_drain_up_to_the_limit_is_silent() {
        let ten = json!({"limits": {"drain": "10s"}});
        for workload in [
            annotated(&json!({"winddown.dev/drain": "10s"})),
            pre_stop(&json!({"sleep": {"seconds": 10}})),
            pre_stop(&json!({"httpGet": {"port": 80, "path": "/stop"}})),
        ] {
            silent(&governed(workload.clone(), &ten), DrainAboveLimit);
            silent(&governed(workload, &json!({})), DrainAboveLimit);
        }
    }
}
