//! What is reported about a policy: whether it can be used, what it counts for, and which policy counts instead.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{InvalidPolicy, Policies, ShutdownPolicyStatus};
use crate::sanitize::{escaped, truncated};

/// The condition that says whether a policy can be used.
const ACCEPTED: &str = "Accepted";
/// The condition that says whether a policy counts for a namespace.
const EFFECTIVE: &str = "Effective";
/// The longest message of a condition, in bytes; some messages quote a field.
const LONGEST_MESSAGE: usize = 1000;

/// What a policy counts for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The namespaces for which it counts.
    pub namespaces: i32,
    /// The policy that counts in a namespace which this one selects, too.
    pub overridden_by: Option<String>,
    /// The workloads for which it counts; `None` if that is not known.
    pub workloads: Option<i32>,
    /// How many of them follow at the next change of their template.
    pub waiting: Option<i32>,
}

impl Policies {
    /// The namespaces of each policy that selects one, by name.
    #[must_use]
    pub fn reach<'a>(
        &self,
        namespaces: impl IntoIterator<Item = &'a BTreeMap<String, String>>,
    ) -> BTreeMap<String, Reach> {
        let mut reach = BTreeMap::<_, Reach>::new();
        for labels in namespaces {
            let selecting = self.ranked().iter().filter(|policy| policy.selection.namespaces.matches(labels));
            let mut names = selecting.filter_map(|policy| policy.name.as_deref());
            let Some(winner) = names.next() else { continue };
            reach.entry(winner.to_owned()).or_default().namespaces += 1;
            for name in names {
                reach.entry(name.to_owned()).or_default().overridden_by.get_or_insert_with(|| winner.to_owned());
            }
        }
        reach
    }
}

impl ShutdownPolicyStatus {
    /// The status after this one. A condition keeps its time while its status stays the same.
    #[must_use]
    pub fn next(&self, generation: Option<i64>, policy: Result<(), &InvalidPolicy>, reach: &Reach, now: &Time) -> Self {
        let condition = |type_: &str, status: bool, reason: &str, message: String| {
            let status = if status { "True" } else { "False" };
            let before = self.conditions.iter().find(|before| before.type_ == type_ && before.status == status);
            Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: truncated(&escaped(&message), LONGEST_MESSAGE).into_owned(),
                observed_generation: generation,
                last_transition_time: before.map_or_else(|| now.clone(), |before| before.last_transition_time.clone()),
            }
        };
        let accepted = match policy {
            Ok(()) => condition(ACCEPTED, true, "Valid", "the policy can be used".to_owned()),
            Err(invalid) => condition(ACCEPTED, false, "Invalid", invalid.to_string()),
        };
        let effective = match (policy, reach) {
            (Err(_), _) => condition(EFFECTIVE, false, "NotAccepted", "the policy cannot be used".to_owned()),
            (Ok(()), Reach { namespaces: 1.., .. }) => {
                condition(EFFECTIVE, true, "Counts", "the policy counts for at least one namespace".to_owned())
            }
            (Ok(()), Reach { overridden_by: Some(other), .. }) => {
                condition(EFFECTIVE, false, "Overridden", format!("Overridden by {other}"))
            }
            (Ok(()), _) => {
                condition(EFFECTIVE, false, "SelectsNothing", "spec.namespaceSelector selects no namespace".to_owned())
            }
        };
        Self {
            observed_generation: generation,
            conditions: vec![accepted, effective],
            namespaces: Some(reach.namespaces),
            workloads: reach.workloads,
            waiting: reach.waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::Policy;

    fn policy(name: &str, priority: i32, team: Option<&str>) -> Policy {
        let selector = team.map(|team| json!({"matchLabels": {"team": team}}));
        let spec = json!({"priority": priority, "namespaceSelector": selector, "validationActions": ["Deny"]});
        Policy::read(&json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    }

    fn namespace(team: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("team".to_owned(), team.to_owned())])
    }

    fn epoch() -> Time {
        serde_json::from_value(json!("1970-01-01T00:00:00Z")).unwrap()
    }

    /// Type, status, reason and message of the conditions.
    fn conditions(status: &ShutdownPolicyStatus) -> Vec<[&str; 4]> {
        status
            .conditions
            .iter()
            .map(|Condition { type_, status, reason, message, .. }| [&**type_, status, reason, message])
            .collect()
    }

    #[test]
    fn a_policy_counts_for_the_namespaces_where_no_other_is_ranked_higher() {
        let policies = Policies::new(vec![
            policy("all", 0, None),
            policy("shop", 1, Some("shop")),
            policy("second", 0, Some("shop")),
            policy("none", 9, Some("none")),
        ]);
        let namespaces = [namespace("shop"), namespace("shop"), namespace("pay")];
        let reach = policies.reach(&namespaces);
        let of = |name: &str| reach.get(name).map(|reach| (reach.namespaces, reach.overridden_by.as_deref()));
        assert_eq!(of("shop"), Some((2, None)));
        assert_eq!(of("all"), Some((1, Some("shop"))));
        assert_eq!(of("second"), Some((0, Some("shop"))));
        assert_eq!(of("none"), None);
    }

    #[test]
    fn the_conditions_say_whether_a_policy_counts_and_which_one_counts_instead() {
        let before = ShutdownPolicyStatus::default();
        let overridden = Reach { overridden_by: Some("gold".to_owned()), ..Reach::default() };
        let invalid = InvalidPolicy::NoAction;
        let accepted = ["Accepted", "True", "Valid", "the policy can be used"];
        for (policy, reach, expected) in [
            (
                Ok(()),
                Reach { namespaces: 3, ..overridden.clone() },
                [accepted, ["Effective", "True", "Counts", "the policy counts for at least one namespace"]],
            ),
            (Ok(()), overridden, [accepted, ["Effective", "False", "Overridden", "Overridden by gold"]]),
            (
                Ok(()),
                Reach::default(),
                [accepted, ["Effective", "False", "SelectsNothing", "spec.namespaceSelector selects no namespace"]],
            ),
            (
                Err(&invalid),
                Reach::default(),
                [
                    ["Accepted", "False", "Invalid", "spec.validationActions is empty; write Deny, Warn or Audit"],
                    ["Effective", "False", "NotAccepted", "the policy cannot be used"],
                ],
            ),
        ] {
            assert_eq!(conditions(&before.next(Some(2), policy, &reach, &epoch())), expected);
        }
    }

    #[test]
    fn a_status_that_is_right_does_not_change_with_time() {
        let reach = Reach { namespaces: 1, workloads: Some(3), waiting: Some(1), ..Reach::default() };
        let later: Time = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let first = ShutdownPolicyStatus::default().next(Some(1), Ok(()), &reach, &epoch());
        assert_eq!(first.next(Some(1), Ok(()), &reach, &later), first);
        let next = first.next(Some(2), Ok(()), &Reach::default(), &later);
        let times = next.conditions.iter().map(|condition| condition.last_transition_time.clone()).collect::<Vec<_>>();
        assert_eq!(times, [epoch(), later], "only Effective changed");
        assert!(next.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    }

    #[test]
    fn a_message_is_bounded_and_one_line() {
        let invalid = InvalidPolicy::Duration {
            field: "spec.defaults.drain",
            value: "5\n".repeat(10_000),
            problem: "x".parse::<crate::duration::Seconds>().unwrap_err(),
        };
        let status = ShutdownPolicyStatus::default().next(None, Err(&invalid), &Reach::default(), &epoch());
        let message = &status.conditions[0].message;
        assert!(message.len() <= LONGEST_MESSAGE + 3 && !message.contains('\n'), "{message}");
    }
}
