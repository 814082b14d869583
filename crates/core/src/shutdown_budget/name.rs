//! The name of a `ShutdownBudget`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::fingerprint::of_texts;
use crate::kind::Kind;
use crate::observation::WorkloadRef;

/// The limit of Kubernetes for the name of an object.
const LONGEST: usize = 253;
/// Hexadecimal digits of the hash that ends a name which was cut.
const DIGITS: usize = 10;

/// The name of the budget of a workload: `deployment-web`. A longer one than Kubernetes permits is cut, and ends with a hash of
/// all of it.
#[must_use]
pub fn name(kind: Kind, workload: &str) -> String {
    let name = format!("{}-{workload}", kind.as_str().to_lowercase());
    if name.len() <= LONGEST {
        return name;
    }
    let start = &name[..name.floor_char_boundary(LONGEST - 1 - DIGITS)];
    // A label of a name ends with a letter or digit.
    let start = start.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let hash = of_texts(&[&name]);
    format!("{start}-{}", &hash[..DIGITS])
}

/// The workload that owns a budget. `None` if somebody changed the owner or the name.
#[must_use]
pub fn workload(budget: &ObjectMeta) -> Option<WorkloadRef> {
    let owners = budget.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    let kind = Kind::named(&owner.kind).filter(|_| owner.api_version == Kind::API_VERSION)?;
    let namespace = budget.namespace.clone().unwrap_or_default();
    let is_named_after_it = budget.name.as_deref() == Some(name(kind, &owner.name).as_str());
    is_named_after_it.then(|| WorkloadRef { kind, namespace, name: owner.name.clone() })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

    use super::{Kind, name, workload};

    #[test]
    fn a_budget_belongs_to_the_workload_that_it_is_named_after() {
        let owner = |api_version: &str, kind: &str| OwnerReference {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: "web".to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        for (budget, api_version, kind, belongs) in [
            ("deployment-web", "apps/v1", "Deployment", true),
            ("deployment-api", "apps/v1", "Deployment", false),
            ("deployment-web", "apps/v1", "StatefulSet", false),
            ("deployment-web", "example.com/v1", "Deployment", false),
        ] {
            let metadata = ObjectMeta {
                name: Some(budget.to_owned()),
                namespace: Some("shop".to_owned()),
                owner_references: Some(vec![owner(api_version, kind)]),
                ..ObjectMeta::default()
            };
            let found = workload(&metadata).map(|workload| workload.to_string());
            assert_eq!(found.as_deref(), belongs.then_some("Deployment shop/web"), "{budget} {api_version} {kind}");
        }
    }

    #[test]
    fn kind_and_name_of_the_workload_are_the_name() {
        assert_eq!(name(Kind::Deployment, "web"), "deployment-web");
        assert_eq!(name(Kind::StatefulSet, "db.eu"), "statefulset-db.eu");
        let longest = "a".repeat(253 - "daemonset-".len());
        assert_eq!(name(Kind::DaemonSet, &longest), format!("daemonset-{longest}"));
    }

    #[test]
    fn a_long_name_is_cut_and_still_the_name_of_one_workload() {
        let long = |end: &str| name(Kind::StatefulSet, &format!("{}{end}", "a".repeat(250)));
        assert_eq!(long("x").len(), 253);
        assert_ne!(long("x"), long("y"));
        // "deployment-" has 11 characters: the name would be cut after the dots.
        let dots = name(Kind::Deployment, &format!("{}..{}", "a".repeat(229), "b".repeat(20)));
        assert!(dots.starts_with("deployment-aaa") && dots.contains("a-") && !dots.contains('.'), "{dots}");
        assert!(name(Kind::Deployment, &"\u{1f600}".repeat(300)).len() <= 253);
    }
}
