//! Places that give a pod less time than it asks for: the table in `data/platforms.yaml`, and how a pod says that it goes
//! there.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, Toleration};
use serde::Deserialize;

use crate::duration::Seconds;
use crate::workload::Workload;

/// A place with a cap on the grace period.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub(crate) struct Platform {
    /// What people call it; stands behind "on".
    pub(crate) name: String,
    /// What a pod really gets there.
    pub(crate) cap: Seconds,
    /// `None` where it holds for every node.
    known_by: Option<Label>,
    /// The annotation of a pod that is never asked to leave.
    spares: Option<Label>,
    /// What to do about it, where that is not to shorten the budget or to stay away.
    pub(crate) way_out: Option<String>,
    // For whoever reads the data.
    #[cfg(test)]
    why: String,
    #[cfg(test)]
    sources: Vec<String>,
}

/// A label of nodes, which is also the key and value of their taint; or an annotation of pods.
#[derive(Debug, Deserialize)]
struct Label {
    key: String,
    value: String,
}

/// How surely a pod runs in a place, and which field says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
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
    pub(crate) fn all() -> &'static [Self] {
        &PLATFORMS
    }

    /// Whether a workload's pods run here, as far as it says.
    pub(crate) fn hosts(&self, workload: &Workload) -> Option<Stay> {
        if self.spares.as_ref().is_some_and(|mark| workload.annotations.get(&mark.key) == Some(&mark.value)) {
            return None;
        }
        let Some(label) = &self.known_by else { return Some(Stay::Everywhere) };
        let pod = &workload.pod;
        let field = |path: &str| format!("spec.template.spec.{path}");
        match pod.node_selector.as_ref().and_then(|labels| labels.get(&label.key)) {
            Some(value) if *value == label.value => {
                return Some(Stay::Certain(field(&format!("nodeSelector[{}]", label.key))));
            }
            Some(_) => return None,
            None => {}
        }
        let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let required = affinity.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution.as_ref());
        // A pod goes where one of the terms holds.
        let terms = required.into_iter().flat_map(|required| &required.node_selector_terms);
        let leads = terms.map(|term| label.term(term.match_expressions.as_deref())).collect::<Vec<_>>();
        let (elsewhere, possible) = leads.iter().copied().partition::<Vec<_>, _>(|leads| *leads == Leads::Elsewhere);
        if possible.is_empty() && !elsewhere.is_empty() {
            return None;
        }
        if !possible.is_empty() && possible.iter().all(|leads| *leads == Leads::Here) {
            return Some(Stay::Certain(field("affinity.nodeAffinity")));
        }
        let preferred = affinity.and_then(|nodes| nodes.preferred_during_scheduling_ignored_during_execution.as_ref());
        let preferred =
            preferred.into_iter().flatten().map(|term| label.term(term.preference.match_expressions.as_deref()));
        if leads.into_iter().chain(preferred).any(|leads| matches!(leads, Leads::Here | Leads::HereToo)) {
            return Some(Stay::Possible(field("affinity.nodeAffinity")));
        }
        let tolerated = pod.tolerations.iter().flatten().any(|toleration| label.is_tolerated(toleration));
        tolerated.then(|| Stay::Possible(field("tolerations")))
    }
}

/// Where a rule for nodes leads, as far as one label goes. The first that a term's rules come to holds for the term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leads {
    Elsewhere,
    Here,
    HereToo,
    Anywhere,
}

impl Label {
    /// All rules of a term have to hold.
    fn term(&self, rules: Option<&[NodeSelectorRequirement]>) -> Leads {
        rules.into_iter().flatten().map(|rule| self.rule(rule)).min().unwrap_or(Leads::Anywhere)
    }

    fn rule(&self, rule: &NodeSelectorRequirement) -> Leads {
        let values = rule.values.as_deref().unwrap_or_default();
        let named = values.contains(&self.value);
        match rule.operator.as_str() {
            _ if rule.key != self.key => Leads::Anywhere,
            "In" if named && values.len() == 1 => Leads::Here,
            "In" if named => Leads::HereToo,
            "Exists" => Leads::HereToo,
            "NotIn" if !named => Leads::Anywhere,
            "In" | "NotIn" | "DoesNotExist" => Leads::Elsewhere,
            _ => Leads::Anywhere,
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
