//! The policies under which a grace period that is too short is raised, and not rejected.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::lists::{Resource, Scope, Selection};
use crate::cluster::{Cluster, Error};
use winddown_core::policy::{Namespace, Policies, Policy, TooSmall};

const POLICIES: Resource = Resource::cluster_scoped("winddown.dev/v1alpha1", "shutdownpolicies");

/// The names of the policies that raise the grace periods of a namespace, or may do so if its labels are not known.
pub(super) async fn raising(
    cluster: &Cluster,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<Vec<String>, Error> {
    if !cluster.knows(POLICIES).await? {
        return Ok(Vec::new());
    }
    let mut policies = Vec::new();
    // The operator ignores what it cannot read, too.
    let each = |object: Value| policies.extend(Policy::read(&object).ok());
    cluster.list(POLICIES, &Selection { scope: Scope::All, labels: None }, each).await?;
    Ok(raising_of(policies, namespace, labels))
}

fn raising_of(policies: Vec<Policy>, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> Vec<String> {
    let policies = Policies::new(policies);
    let candidates = match labels {
        Some(labels) => {
            let namespace = Namespace { name: namespace.to_owned(), labels: labels.clone() };
            vec![policies.for_namespace(&namespace).policy]
        }
        None => policies.ranked().iter().collect(),
    };
    let raising = candidates.into_iter().filter(|policy| policy.when_grace_period_too_small == TooSmall::Raise);
    raising.filter_map(|policy| policy.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(name: &str, priority: i32, too_small: &str) -> Policy {
        let selector = json!({"matchLabels": {"tier": name}});
        let spec = json!({
            "namespaceSelector": selector, "priority": priority, "validationActions": ["Deny"],
            "whenGracePeriodTooSmall": too_small,
        });
        Policy::read(&json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    }

    #[test]
    fn only_the_policy_of_the_namespace_counts_unless_its_labels_are_unknown() {
        let all = || vec![policy("low", 0, "Raise"), policy("high", 1, "Raise"), policy("strict", 2, "Deny")];
        let of = |tier: &str| raising_of(all(), "shop", Some(&[("tier".to_owned(), tier.to_owned())].into()));
        assert_eq!(of("low"), ["low"]);
        assert_eq!(of("strict"), Vec::<String>::new());
        assert_eq!(of("other"), Vec::<String>::new(), "the built-in policy");
        assert_eq!(raising_of(all(), "shop", None), ["high", "low"]);
    }
}
