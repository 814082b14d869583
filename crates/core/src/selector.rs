//! Label selectors.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// More requirements than any real selector has. Each is compared with the labels of many workloads.
const MAX_REQUIREMENTS: usize = 100;

/// Labels that a pod must have and must not have; without requirements, it selects every pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    DoesNotExist(String),
}

impl Selector {
    /// `None` if the API server would reject it, or it has too many requirements.
    pub(crate) fn read(selector: &LabelSelector) -> Option<Self> {
        let mut requirements = equal(selector.match_labels.iter().flatten());
        for expression in selector.match_expressions.iter().flatten() {
            let key = expression.key.clone();
            let values: BTreeSet<_> = expression.values.iter().flatten().cloned().collect();
            requirements.push(match (expression.operator.as_str(), values.is_empty()) {
                ("In", false) => Requirement::In(key, values),
                ("NotIn", false) => Requirement::NotIn(key, values),
                ("Exists", true) => Requirement::Exists(key),
                ("DoesNotExist", true) => Requirement::DoesNotExist(key),
                _ => return None,
            });
        }
        Self::with(requirements)
    }

    /// The selector of a Service; `None` without labels: it then selects nothing.
    pub(crate) fn of_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        if labels.is_empty() { None } else { Self::with(equal(labels)) }
    }

    fn with(requirements: Vec<Requirement>) -> Option<Self> {
        (requirements.len() <= MAX_REQUIREMENTS).then_some(Self(requirements))
    }

    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::DoesNotExist(key) => !labels.contains_key(key),
        })
    }
}

fn equal<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<Requirement> {
    labels.into_iter().map(|(key, value)| Requirement::In(key.clone(), BTreeSet::from([value.clone()]))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::Selector;

    fn matches(selector: &Value, labels: &[(&str, &str)]) -> Option<bool> {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Selector::read(&serde_json::from_value(selector.clone()).unwrap()).map(|selector| selector.matches(&labels))
    }

    #[test]
    fn labels_and_expressions_are_matched_as_by_the_api_server() {
        let shop = [("app", "shop"), ("tier", "web")];
        let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        for (selector, expected) in [
            (json!({}), true),
            (json!({"matchLabels": {"app": "shop"}}), true),
            (json!({"matchLabels": {"app": "shop", "tier": "db"}}), false),
            (expression("app", "In", &["a", "shop"]), true),
            (expression("app", "In", &["a"]), false),
            (expression("app", "NotIn", &["shop"]), false),
            (expression("absent", "NotIn", &["shop"]), true),
            (expression("app", "Exists", &[]), true),
            (expression("absent", "Exists", &[]), false),
            (expression("absent", "DoesNotExist", &[]), true),
            (expression("app", "DoesNotExist", &[]), false),
        ] {
            assert_eq!(matches(&selector, &shop), Some(expected), "{selector}");
        }
        let incomplete = ["In", "NotIn"].map(|operator| expression("app", operator, &[]));
        let too_many = ["Exists", "DoesNotExist"].map(|operator| expression("app", operator, &["shop"]));
        let no_values = json!({"matchExpressions": [{"key": "app", "operator": "NotIn"}]});
        for invalid in incomplete.iter().chain(&too_many).chain([&expression("app", "Gt", &["1"]), &no_values]) {
            assert_eq!(matches(invalid, &shop), None, "{invalid}");
        }
        let many: BTreeMap<_, _> = (0..200).map(|number| (number.to_string(), "x")).collect();
        assert_eq!(matches(&json!({"matchLabels": many}), &shop), None);
    }
}
