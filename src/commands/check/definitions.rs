//! The custom resource definitions.

use serde_json::Value;

use super::report::{Check, Page};
use crate::cluster::lists::Resource;
use crate::cluster::{Cluster, Error};
use crate::commands::crd::DEFINITIONS;

/// Where definitions are read.
const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// How to install those of this version.
const INSTALL: &str = "kubectl winddown crd | kubectl apply --server-side -f -";

pub(super) async fn checks(cluster: &Cluster) -> Vec<Check> {
    let mut checks = Vec::new();
    for text in DEFINITIONS {
        let Ok(own) = serde_saphyr::from_str::<Value>(text) else { continue };
        let name = own.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let found = cluster.read(format!("read the definition {name}"), &format!("{PATH}/{name}")).await;
        checks.push(match found {
            Err(error) if error.is_forbidden() => undisclosed(cluster, &name, &error).await,
            found => judged(&name, &own, found.as_ref()),
        });
    }
    checks
}

/// Whether a definition is installed can also be seen without the right to read it.
async fn undisclosed(cluster: &Cluster, name: &str, error: &Error) -> Check {
    let plural = name.split('.').next().unwrap_or_default();
    let resource = if plural == "shutdownpolicies" {
        Resource::cluster_scoped("winddown.dev/v1alpha1", "shutdownpolicies")
    } else {
        crate::cluster::budgets::BUDGETS
    };
    match cluster.knows(resource).await {
        Ok(false) => absent(name),
        Ok(true) => unread(name, error),
        Err(error) => Check::unreadable(format!("{name} is installed"), &error),
    }
}

/// It is installed, and must not be read.
pub(super) fn unread(name: &str, error: &Error) -> Check {
    Check::unreadable(format!("{name} is that of this version"), error)
}

pub(super) fn judged(name: &str, own: &Value, found: Result<&Value, &Error>) -> Check {
    match found {
        Ok(found) if is_same(own, found) => Check::ok(format!("{name} is installed")),
        Ok(_) => Check::warning(
            format!("{name} is that of this version"),
            format!("it differs from the one of version {}", env!("CARGO_PKG_VERSION")),
        )
        .hint(format!("if the operator has this version: {INSTALL}"))
        .see(Page::Upgrade),
        Err(error) if error.is_not_found() => absent(name),
        Err(error) => Check::unreadable(format!("{name} is installed"), error),
    }
}

/// Winddown works without its definitions.
fn absent(name: &str) -> Check {
    let message = if name.starts_with("shutdownbudgets") {
        "it is not: workloads are injected and rejected, and no stops are observed"
    } else {
        "it is not: all workloads have the built-in policy"
    };
    Check::warning(format!("{name} is installed"), message).hint(INSTALL).see(Page::Budgets)
}

/// Whether the served versions have the same schemas. The API server adds defaults elsewhere.
fn is_same(own: &Value, found: &Value) -> bool {
    let schemas = |definition: &Value| {
        let versions = definition.pointer("/spec/versions").and_then(Value::as_array).cloned().unwrap_or_default();
        let served = versions.into_iter().filter(|version| version["served"] == true);
        served.map(|version| (version["name"].clone(), version["schema"].clone())).collect::<Vec<_>>()
    };
    let (own, found) = (schemas(own), schemas(found));
    own.len() == found.len() && own.iter().zip(&found).all(|(own, found)| own.0 == found.0 && equals(&own.1, &found.1))
}

/// As `==`, but 1 is 1.0: the API server stores limits as floating-point numbers.
fn equals(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| equals(value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equals(one, other))
        }
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::report::Outcome;
    use super::*;

    #[test]
    fn a_definition_is_compared_by_the_schemas_of_its_served_versions() {
        let own: Value = serde_saphyr::from_str(DEFINITIONS[0]).unwrap();
        let mut stored = own.clone();
        stored["spec"]["conversion"] = json!({"strategy": "None"});
        assert_eq!(judged("x", &own, Ok(&stored)).outcome, Outcome::Ok);
        stored["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = json!("of an earlier version");
        assert_eq!(judged("x", &own, Ok(&stored)).outcome, Outcome::Warning);
        assert!(equals(&json!({"maximum": 5}), &json!({"maximum": 5.0})) && !equals(&json!([1]), &json!([1, 2])));
    }
}
