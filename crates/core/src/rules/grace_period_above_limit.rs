//! A grace period above the limit of the policy.

use crate::annotations::{DEADLINE, DRAIN, MARGIN};
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};
use crate::workload::GracePeriod;

pub(crate) const RULE: Rule = Rule {
    code: Code::GracePeriodAboveLimit,
    severity: Severity::Error,
    title: "The grace period is more than the policy of the namespace allows.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let (budget, policy) = (subject.budget(), subject.resolved.policy);
    let grace_period = budget.grace_period;
    let Some(limit) = policy.limits.grace_period.filter(|limit| grace_period > *limit) else { return Vec::new() };
    let needed = budget.needed();
    let (what, seconds, hint) = match subject.workload.grace_period {
        GracePeriod::Explicit(explicit) if explicit == grace_period => {
            ("the grace period is", explicit, "lower it".to_owned())
        }
        GracePeriod::Unset if needed <= limit => {
            ("the default grace period is", grace_period, format!("set it to {needed}"))
        }
        _ => ("the budget needs a grace period of", needed, format!("lower {DRAIN}, {DEADLINE} or {MARGIN}")),
    };
    let problem = format!("{what} {seconds}, more than the limit of {limit}{}", policy.suffix());
    let finding = RULE.finding(FieldPath::pod("terminationGracePeriodSeconds"), problem);
    vec![finding.fact(seconds).fact(limit).hint(hint)]
}

const PAGE: &str = r"## Why

A node that is drained waits for the longest grace period of its pods. Who runs the cluster can limit it, with
`limits.gracePeriod` of the [ShutdownPolicy](policies.md) that counts for the namespace. What happens to a workload above the
limit, `validationActions` of the policy say: the request is rejected, the client is warned, or the audit log gets a note.
Nothing is injected.

## What to do

If the workload sets `terminationGracePeriodSeconds`, lower it. If it does not, Winddown would set the sum of drain, deadline
and margin, or what a [helper](how-it-works.md#lanes) needs: lower these. If the workload needs that long, ask those who run
the cluster for a policy with a higher limit for its namespace.

## Source

- [Policies](policies.md)
- [Safely drain a node](https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::GracePeriodAboveLimit;
    use crate::rules::tests::{annotated, fires, governed, pod, silent};

    #[test]
    fn a_grace_period_above_the_limit_fires_for_every_origin() {
        let limits = json!({"limits": {"gracePeriod": "60s"}});
        let explicit = pod(|pod| pod["terminationGracePeriodSeconds"] = json!(61));
        let (field, message) = fires(&governed(explicit, &limits), GracePeriodAboveLimit);
        assert_eq!(field, "spec.template.spec.terminationGracePeriodSeconds");
        assert_eq!(message, "the grace period is 61s, more than the limit of 60s (policy web); lower it");
        let computed = annotated(&json!({"winddown.dev/drain": "31s"}));
        let (_, message) = fires(&governed(computed, &limits), GracePeriodAboveLimit);
        assert_eq!(
            message,
            "the budget needs a grace period of 61s, more than the limit of 60s (policy web); lower winddown.dev/drain, \
             winddown.dev/deadline or winddown.dev/margin"
        );
    }

    #[test]
    fn a_limit_below_the_default_grace_period_is_about_what_the_budget_needs() {
        let limits = json!({"limits": {"gracePeriod": "20s"}, "defaults": {"deadline": "5s"}});
        for (deadline, expected) in [
            ("5s", "the default grace period is 30s, more than the limit of 20s (policy web); set it to 15s"),
            (
                "12s",
                "the budget needs a grace period of 22s, more than the limit of 20s (policy web); lower \
                 winddown.dev/drain, winddown.dev/deadline or winddown.dev/margin",
            ),
        ] {
            let unset = annotated(&json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": deadline}));
            assert_eq!(fires(&governed(unset, &limits), GracePeriodAboveLimit).1, expected);
        }
    }

    #[test]
    fn a_grace_period_up_to_the_limit_is_silent() {
        let explicit = pod(|pod| pod["terminationGracePeriodSeconds"] = json!(60));
        let limits = json!({"limits": {"gracePeriod": "60s"}});
        silent(&governed(explicit.clone(), &limits), GracePeriodAboveLimit);
        silent(&governed(explicit, &json!({})), GracePeriodAboveLimit);
    }
}
