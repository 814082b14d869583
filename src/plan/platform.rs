//! Places that give a pod less time than it asks for: the table in `data/platforms.yaml`, and how a pod says that it goes
//! there.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, PodSpec, Toleration};
use serde::Deserialize;

use crate::seconds::Seconds;

/// A place with a cap on the grace period.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub(super) struct Platform {
    /// What people call it; stands behind "on".
    pub(super) name: String,
    /// What a pod really gets there.
    pub(super) cap: Seconds,
    /// `None` where it holds for every node.
    known_by: Option<Label>,
    // For whoever reads the data.
    #[cfg(test)]
    why: String,
    #[cfg(test)]
    sources: Vec<String>,
}

/// A label of nodes, which is also the key and value of their taint.
#[derive(Debug, Deserialize)]
struct Label {
    key: String,
    value: String,
}

/// How surely a pod runs in a place, and which field says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// It runs nowhere else.
    Certain(String),
    /// It may.
    Possible(String),
    /// Every node is like that.
    Everywhere,
}

// A test holds that it can be read.
static PLATFORMS: LazyLock<Vec<Platform>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/platforms.yaml")).unwrap_or_default());

impl Platform {
    /// All that are known.
    pub(super) fn all() -> &'static [Self] {
        &PLATFORMS
    }

    /// Whether a pod runs here, as far as it says.
    pub(super) fn hosts(&self, pod: &PodSpec) -> Option<Stay> {
        let Some(label) = &self.known_by else { return Some(Stay::Everywhere) };
        let field = |path: &str| format!("spec.template.spec.{path}");
        if pod.node_selector.as_ref().and_then(|labels| labels.get(&label.key)) == Some(&label.value) {
            return Some(Stay::Certain(field(&format!("nodeSelector[{}]", label.key))));
        }
        let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let required = affinity.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution.as_ref());
        let terms = required.map_or(&[][..], |required| &required.node_selector_terms);
        let here = |rules: &Option<Vec<NodeSelectorRequirement>>| rules.iter().flatten().any(|rule| label.is_in(rule));
        // A pod goes where one of the terms holds.
        if !terms.is_empty() && terms.iter().all(|term| here(&term.match_expressions)) {
            return Some(Stay::Certain(field("affinity.nodeAffinity")));
        }
        let preferred = affinity.and_then(|nodes| nodes.preferred_during_scheduling_ignored_during_execution.as_ref());
        let preferred = preferred.into_iter().flatten().map(|term| &term.preference);
        if terms.iter().chain(preferred).any(|term| here(&term.match_expressions)) {
            return Some(Stay::Possible(field("affinity.nodeAffinity")));
        }
        let tolerated = pod.tolerations.iter().flatten().any(|toleration| label.is_tolerated(toleration));
        tolerated.then(|| Stay::Possible(field("tolerations")))
    }
}

impl Label {
    fn is_in(&self, rule: &NodeSelectorRequirement) -> bool {
        rule.key == self.key
            && match rule.operator.as_str() {
                "In" => rule.values.iter().flatten().any(|value| *value == self.value),
                "Exists" => true,
                _ => false,
            }
    }

    /// By its own key: whoever tolerates everything, as agents on every node do, asks for no place.
    fn is_tolerated(&self, toleration: &Toleration) -> bool {
        toleration.key.as_deref() == Some(&self.key)
            && (toleration.operator.as_deref() == Some("Exists") || toleration.value.as_deref() == Some(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;

    #[test]
    fn every_platform_has_a_name_of_its_own_a_cap_a_reason_and_a_source() {
        assert!(!Platform::all().is_empty());
        for (at, platform) in Platform::all().iter().enumerate() {
            let name = &platform.name;
            assert!(Platform::all()[..at].iter().all(|other| other.name != *name), "{name} twice");
            assert!(platform.cap.as_i64() > 0 && !platform.why.is_empty() && !platform.sources.is_empty(), "{name}");
            assert!(platform.sources.iter().all(|source| source.starts_with("https://")), "{name}");
        }
    }
}
