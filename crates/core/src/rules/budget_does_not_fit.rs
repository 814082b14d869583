//! drain + deadline + margin of an app is more than an explicit grace period.

use crate::annotations::{DEADLINE, DRAIN, MARGIN};
use crate::budget::{Budget, Source};
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::BudgetDoesNotFit,
    severity: Severity::Error,
    title: "drain + deadline + margin is more than the grace period.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let budget = subject.budget();
    if budget.fits() { Vec::new() } else { vec![finding(budget)] }
}

fn finding(budget: &Budget) -> Finding {
    let Budget { drain, deadline, margin, grace_period, drain_from, deadline_from, margin_from, .. } = budget;
    let (sum, needed, missing) = (budget.sum(), budget.needed(), budget.missing());
    let problem = format!(
        "drain {drain}{} + deadline {deadline}{} + margin {margin}{} = {sum}, {missing} more than the grace period of \
         {grace_period}",
        drain_from.policy_suffix(),
        deadline_from.policy_suffix(),
        margin_from.policy_suffix(),
    );
    let finding = RULE.finding(FieldPath::pod("terminationGracePeriodSeconds"), problem);
    let finding = finding.fact(*drain).fact(*deadline).fact(*margin).fact(*grace_period);
    let (finding, lowered) = match drain_from {
        Source::Hook(container) => (finding.fact(container.as_str()), format!("the preStop of {container}")),
        _ => (finding, DRAIN.to_owned()),
    };
    let deadline = match deadline_from {
        Source::Setting(setting) => setting.as_str(),
        _ => DEADLINE,
    };
    finding.hint(format!("set it to {}, remove it, or lower {lowered}, {deadline} or {MARGIN}", needed.as_i64()))
}

const PAGE: &str = r"## Why

The grace period starts when the deletion of a pod is requested, and the preStop hook is part of it. The drain takes its
time from the app: with a grace period of 30s and a drain of 15s, an app that needs 30s gets 15s and is then killed with
its requests still open. Users see that as broken connections at every deploy, node drain and scale-down.

Kubernetes only checks that the sleep alone is not longer than the grace period.

## What to do

Drain, deadline and margin have to fit. Only the hooks of [apps](how-it-works.md#lanes) count: a proxy or an agent with a
longer hook is not rejected (HelperDoesNotFit). In order of preference:

1. Remove `terminationGracePeriodSeconds`. Winddown sets what is needed.
   A [policy](policies.md) with `whenGracePeriodTooSmall: Raise` raises it for you.
2. Raise it to the sum in the message:

   ```yaml
   spec:
     template:
       spec:
         terminationGracePeriodSeconds: 50
   ```

3. Lower a number that is larger than necessary: `winddown.dev/drain`, `winddown.dev/deadline` or `winddown.dev/margin`.
   Lower the app's own shutdown timeout together with the deadline. If the drain comes from a preStop hook of your own,
   shorten the hook.

A budget that already did not fit before the update only causes a warning, so that it does not block a hotfix.

## Source

- [Container lifecycle hooks](https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-execution):
  the time of the hook counts against the grace period
- [Termination of pods](https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination)
- [How it works](how-it-works.md#which-grace-period-counts-as-yours)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::BudgetDoesNotFit;
    use crate::rules::tests::{fires, found, governed, pod, silent};

    fn with(drain: &str, deadline: &str, grace_period: Option<i64>) -> Value {
        let mut manifest = pod(|pod| {
            if let Some(seconds) = grace_period {
                pod["terminationGracePeriodSeconds"] = json!(seconds);
            }
        });
        manifest["metadata"]["annotations"] = json!({"winddown.dev/drain": drain, "winddown.dev/deadline": deadline});
        manifest
    }

    #[test]
    fn the_message_has_the_sum_and_the_changes_that_make_it_fit() {
        let (field, message) = fires(&with("20s", "25s", Some(30)), BudgetDoesNotFit);
        assert_eq!(field, "spec.template.spec.terminationGracePeriodSeconds");
        assert_eq!(
            message,
            "drain 20s + deadline 25s + margin 5s = 50s, 20s more than the grace period of 30s; set it to 50, remove it, \
             or lower winddown.dev/drain, winddown.dev/deadline or winddown.dev/margin"
        );
    }

    #[test]
    fn a_drain_from_a_hook_names_the_container() {
        let mut manifest = with("5s", "25s", Some(30));
        manifest["spec"]["template"]["spec"]["containers"][0]["lifecycle"] =
            json!({"preStop": {"sleep": {"seconds": 20}}});
        let (_, message) = fires(&manifest, BudgetDoesNotFit);
        assert!(message.starts_with("drain 20s + deadline 25s + margin 5s = 50s, 20s more than "), "{message}");
        assert!(message.contains(", or lower the preStop of app, winddown.dev/deadline or "), "{message}");
    }

    #[test]
    fn the_policy_is_named_behind_its_numbers_and_may_raise_the_grace_period() {
        let explicit = pod(|pod| pod["terminationGracePeriodSeconds"] = json!(30));
        let policy = json!({"defaults": {"margin": "9s"}});
        let (_, message) = fires(&governed(explicit.clone(), &policy), BudgetDoesNotFit);
        assert!(message.starts_with("drain 10s + deadline 20s + margin 9s (policy web) = 39s, 9s more"), "{message}");
        let policy = json!({"defaults": {"margin": "9s"}, "whenGracePeriodTooSmall": "Raise"});
        silent(&governed(explicit, &policy), BudgetDoesNotFit);
    }

    #[test]
    fn another_number_is_another_finding() {
        let finding = |drain, grace_period| found(&with(drain, "25s", Some(grace_period)), BudgetDoesNotFit).remove(0);
        assert!(finding("20s", 30).is_same_as(&finding("20s", 30)));
        assert!(!finding("20s", 30).is_same_as(&finding("21s", 30)));
        assert!(!finding("20s", 30).is_same_as(&finding("20s", 32)));
    }

    #[test]
    fn a_grace_period_below_the_sum_is_reported() {
        for grace_period in [0, 34] {
            fires(&with("5s", "25s", Some(grace_period)), BudgetDoesNotFit);
        }
    }

    #[test]
    fn a_grace_period_of_at_least_the_sum_fits() {
        for grace_period in [None, Some(35), Some(3600)] {
            silent(&with("5s", "25s", grace_period), BudgetDoesNotFit);
        }
        silent(&with("0s", "40s", None), BudgetDoesNotFit);
    }
}
