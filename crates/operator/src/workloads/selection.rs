//! Which workloads the selectors of the webhooks select, so that the controller acts on no others.

use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{ParseExpressionError, Selector, SelectorExt as _};
use serde::Deserialize;

use crate::namespaces::Labels;
use crate::policies::CurrentPolicies;
use winddown_core::policy::Namespace;
use winddown_core::related::NAMESPACE_LABELS;

/// The selectors of one webhook; by default, they select everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selectors {
    namespace: Selector,
    object: Selector,
}

/// Why a text is not the selectors of a webhook.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseSelectorsError {
    /// Not JSON, or with other fields.
    #[error("is not JSON like {{\"namespaceSelector\": {{…}}, \"objectSelector\": {{…}}}}")]
    Malformed(#[from] serde_json::Error),
    /// An operator that does not exist, or one without the values that it needs.
    #[error("has an invalid expression")]
    Expression(#[from] ParseExpressionError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    namespace_selector: Option<LabelSelector>,
    object_selector: Option<LabelSelector>,
}

impl FromStr for Selectors {
    type Err = ParseSelectorsError;

    /// From a JSON object with the two fields of a webhook configuration.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Written { namespace_selector, object_selector } = serde_json::from_str(text)?;
        let selector = |written: Option<LabelSelector>| Selector::try_from(written.unwrap_or_default());
        Ok(Self { namespace: selector(namespace_selector)?, object: selector(object_selector)? })
    }
}

/// The selectors of both webhooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) mutating: Selectors,
    pub(crate) validating: Selectors,
}

/// Which webhooks select a workload, or could select one in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) mutating: bool,
    pub(super) validating: bool,
}

impl Selected {
    pub(super) fn by_any(self) -> bool {
        self.mutating || self.validating
    }
}

impl Selection {
    /// Whether labels of workloads count.
    pub(super) fn needs_object_labels(&self) -> bool {
        !self.mutating.object.selects_all() || !self.validating.object.selects_all()
    }

    /// By namespace alone.
    pub(super) fn namespace(&self, namespace: &Namespace) -> Selected {
        let selects = |selectors: &Selectors| selectors.namespace.matches(&namespace.labels);
        Selected { mutating: selects(&self.mutating), validating: selects(&self.validating) }
    }

    /// By the labels of a workload in a namespace that is selected like this.
    pub(super) fn workload(&self, namespace: Selected, labels: &Labels) -> Selected {
        Selected {
            mutating: namespace.mutating && self.mutating.object.matches(labels),
            validating: namespace.validating && self.validating.object.matches(labels),
        }
    }
}

/// Tells whether a change of the labels of a namespace means anything for its workloads: another policy or opt-in, other
/// webhooks, or other findings.
pub(crate) fn relabelling_matters(
    policies: CurrentPolicies,
    selection: Selection,
) -> impl Fn(&Namespace, &Namespace) -> bool + Send {
    move |before, after| {
        let policies = policies.get();
        let (was, is) = (policies.for_namespace(before), policies.for_namespace(after));
        let is_read = |namespace: &Namespace| NAMESPACE_LABELS.map(|key| namespace.labels.get(key).cloned());
        was.opted_in != is.opted_in
            || !std::ptr::eq(was.policy, is.policy)
            || selection.namespace(before) != selection.namespace(after)
            || is_read(before) != is_read(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_KUBE_SYSTEM: &str = r#"{"namespaceSelector": {"matchExpressions":
        [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]}}"#;

    fn labels(labels: &[(&str, &str)]) -> Labels {
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn selection(text: &str) -> Selection {
        let selectors: Selectors = text.parse().unwrap();
        Selection { mutating: selectors.clone(), validating: selectors }
    }

    #[test]
    fn selectors_select_like_those_of_a_webhook() {
        let staged = r#"{"namespaceSelector": {"matchLabels": {"stage": "1"}},
            "objectSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}}"#;
        for (text, namespace, of_namespace, of_workload, selected) in [
            ("{}", "kube-system", labels(&[]), labels(&[]), true),
            (r#"{"namespaceSelector": null, "objectSelector": {}}"#, "shop", labels(&[]), labels(&[]), true),
            (NOT_KUBE_SYSTEM, "kube-system", labels(&[]), labels(&[]), false),
            (NOT_KUBE_SYSTEM, "shop", labels(&[]), labels(&[]), true),
            (staged, "shop", labels(&[("stage", "1")]), labels(&[("tier", "web")]), true),
            (staged, "shop", labels(&[("stage", "2")]), labels(&[("tier", "web")]), false),
            (staged, "shop", labels(&[("stage", "1")]), labels(&[]), false),
        ] {
            let selection = selection(text);
            let found =
                selection.workload(selection.namespace(&Namespace::labelled(namespace, of_namespace)), &of_workload);
            assert_eq!(found, Selected { mutating: selected, validating: selected }, "{text} {namespace}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "[]",
            r#"{"namespaceSelectors": {}}"#,
            r#"{"objectSelector": {"matchExpressions": [{"key": "a", "operator": "in"}]}}"#,
        ] {
            assert!(text.parse::<Selectors>().is_err(), "{text}");
        }
    }
}
