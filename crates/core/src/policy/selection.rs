//! Which policy is for which namespace.

use std::cmp::Reverse;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Governing, Namespace, Policy};
use crate::selector::Selector;

/// The namespaces that a policy is for, and its rank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The labels of the namespaces; without requirements, all namespaces.
    pub(super) namespaces: Selector,
    /// A higher one wins.
    pub priority: i32,
    /// Among the same priorities, the oldest wins; one that was never stored is the newest.
    pub created: Option<Time>,
}

/// The policies of a cluster: exactly one is for each namespace, as a whole.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// The policies of the cluster; earlier ones win.
    ranked: Vec<Policy>,
    built_in: Policy,
}

impl Policies {
    /// The policies of a cluster, in any order.
    #[must_use]
    pub fn new(mut policies: Vec<Policy>) -> Self {
        policies.sort_by(|a, b| rank(a).cmp(&rank(b)));
        Self { ranked: policies, built_in: Policy::default() }
    }

    /// What governs the workloads of a namespace: of the policies that select it, the one with the highest priority, then the
    /// oldest, then the first by name. Without one, the built-in policy.
    #[must_use]
    pub fn for_namespace(&self, namespace: &Namespace) -> Governing<'_> {
        let selected = self.ranked.iter().find(|policy| policy.selection.namespaces.matches(&namespace.labels));
        Governing { policy: selected.unwrap_or(&self.built_in), opted_in: namespace.opted_in() }
    }

    /// The policies, earlier ones win.
    #[must_use]
    pub fn ranked(&self) -> &[Policy] {
        &self.ranked
    }
}

fn rank(policy: &Policy) -> impl Ord + '_ {
    let Selection { priority, created, .. } = &policy.selection;
    (Reverse(*priority), created.is_none(), created, &policy.name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Namespace, Policies, Policy};

    fn policy(name: &str, spec: &Value, created: Option<&str>) -> Policy {
        let mut spec = spec.clone();
        spec["validationActions"] = json!(["Deny"]);
        let metadata = json!({"name": name, "creationTimestamp": created});
        Policy::read(&json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn namespace(labels: &[(&str, &str)]) -> Namespace {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Namespace { name: "shop".to_owned(), labels }
    }

    fn winner(policies: &[Policy], labels: &[(&str, &str)]) -> Option<String> {
        Policies::new(policies.to_vec()).for_namespace(&namespace(labels)).policy.name.clone()
    }

    #[test]
    fn the_highest_priority_wins_then_the_oldest_then_the_name() {
        let (old, new) = (Some("2026-01-01T00:00:00Z"), Some("2026-02-01T00:00:00Z"));
        let policies = [
            policy("low", &json!({"priority": -1}), old),
            policy("b", &json!({}), new),
            policy("a", &json!({}), new),
            policy("unstored", &json!({}), None),
            policy("older", &json!({}), old),
            policy("high", &json!({"priority": 7}), new),
        ];
        let expected = ["high", "older", "a", "b", "unstored", "low"];
        for reversed in [false, true] {
            let mut policies = policies.to_vec();
            if reversed {
                policies.reverse();
            }
            for name in expected {
                assert_eq!(winner(&policies, &[]).as_deref(), Some(name));
                policies.retain(|policy| policy.name.as_deref() != Some(name));
            }
            assert_eq!(winner(&policies, &[]), None, "the built-in policy");
        }
    }

    #[test]
    fn a_policy_is_for_the_namespaces_that_it_selects() {
        let labels = policy("labels", &json!({"namespaceSelector": {"matchLabels": {"tier": "web"}}}), None);
        let expressions = json!([{"key": "tier", "operator": "NotIn", "values": ["db"]}]);
        let expressions = policy(
            "expressions",
            &json!({"namespaceSelector": {"matchExpressions": expressions}, "priority": -1}),
            None,
        );
        let policies = [labels, expressions];
        for (tier, expected) in [("web", Some("labels")), ("batch", Some("expressions")), ("db", None)] {
            assert_eq!(winner(&policies, &[("tier", tier)]).as_deref(), expected, "{tier}");
        }
        assert_eq!(winner(&policies, &[]).as_deref(), Some("expressions"));
        let empty = [policy("empty", &json!({"namespaceSelector": {}}), None)];
        assert_eq!(winner(&empty, &[("tier", "db")]).as_deref(), Some("empty"), "an empty selector selects all");
    }

    #[test]
    fn the_winner_counts_whole() {
        let low = policy("low", &json!({"defaults": {"drain": "9s", "margin": "9s"}}), None);
        let high = policy("high", &json!({"priority": 1, "defaults": {"drain": "7s"}}), None);
        let policies = Policies::new(vec![low, high]);
        let policy = policies.for_namespace(&namespace(&[])).policy;
        assert_eq!((policy.drain.as_i64(), policy.margin), (7, Policy::default().margin));
    }

    #[test]
    fn a_namespace_opts_in_by_a_label_with_one_value() {
        for (labels, expected) in [
            (&[("winddown.dev/inject", "enabled")][..], true),
            (&[("winddown.dev/inject", "disabled")], false),
            (&[("winddown.dev/inject", "Enabled")], false),
            (&[("winddown.dev/inject", "")], false),
            (&[], false),
        ] {
            assert_eq!(Policies::default().for_namespace(&namespace(labels)).opted_in, expected, "{labels:?}");
        }
    }
}
