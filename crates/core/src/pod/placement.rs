//! Whether a pod is scheduled onto nodes with a certain label, from its node selector, node affinity and tolerations.

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, PodSpec, Toleration};

use crate::field_path::FieldPath;
use crate::pod::image::is_of_windows;

/// Whether a pod runs on nodes with a label, and the field that determines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// It runs only on these nodes.
    Certain(FieldPath),
    /// It may run on these nodes.
    Possible(FieldPath),
}

/// A label of nodes, which is also the key and value of their taint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeLabel<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
}

impl Placement {
    /// The same for nodes that have one of these labels.
    pub(crate) fn of_any<'a>(pod: &PodSpec, labels: impl Iterator<Item = NodeLabel<'a>>) -> Option<Self> {
        let placements: Vec<_> = labels.filter_map(|label| Self::of(pod, label)).collect();
        let certain = placements.iter().find(|placement| matches!(placement, Self::Certain(_)));
        certain.or_else(|| placements.first()).cloned()
    }

    /// `None` if the pod is not scheduled onto nodes with that label, or its spec does not refer to them.
    pub(crate) fn of(pod: &PodSpec, label: NodeLabel<'_>) -> Option<Self> {
        match pod.node_selector.as_ref().and_then(|labels| labels.get(label.key)) {
            Some(value) if value == label.value => {
                return Some(Self::Certain(FieldPath::pod("nodeSelector").key(label.key)));
            }
            Some(_) => return None,
            None => {}
        }
        let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let required = affinity.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution.as_ref());
        // A node has to match one of the terms.
        let terms = required.into_iter().flat_map(|required| &required.node_selector_terms);
        let terms = terms.map(|term| label.match_term(term.match_expressions.as_deref())).collect::<Vec<_>>();
        let allowed = terms.iter().filter(|term| **term != Match::Excluded).collect::<Vec<_>>();
        if allowed.is_empty() && !terms.is_empty() {
            return None;
        }
        let field = || FieldPath::pod("affinity.nodeAffinity");
        if !allowed.is_empty() && allowed.iter().all(|term| **term == Match::Only) {
            return Some(Self::Certain(field()));
        }
        let preferred = affinity.and_then(|nodes| nodes.preferred_during_scheduling_ignored_during_execution.as_ref());
        let preferred =
            preferred.into_iter().flatten().map(|term| label.match_term(term.preference.match_expressions.as_deref()));
        if terms.into_iter().chain(preferred).any(|term| matches!(term, Match::Only | Match::Included)) {
            return Some(Self::Possible(field()));
        }
        let tolerated = pod.tolerations.iter().flatten().any(|toleration| label.is_tolerated(toleration));
        tolerated.then(|| Self::Possible(FieldPath::pod("tolerations")))
    }
}

/// The nodes that a term or a requirement selects with regard to one label. For a term with several requirements, the first
/// variant in this order applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// None with the label.
    Excluded,
    /// Only nodes with the label.
    Only,
    /// Nodes with the label and named others.
    Included,
    /// Any nodes: the label is not used.
    Unrelated,
}

/// The field that shows that the pods run on nodes with Windows, if there is one: their placement, or an image.
pub(crate) fn windows(pod: &PodSpec) -> Option<FieldPath> {
    if pod.os.as_ref().is_some_and(|os| os.name == "windows") {
        return Some(FieldPath::pod("os.name"));
    }
    let labels = ["kubernetes.io/os", "beta.kubernetes.io/os"].map(|key| NodeLabel { key, value: "windows" });
    if let Some(Placement::Certain(field)) = Placement::of_any(pod, labels.into_iter()) {
        return Some(field);
    }
    let container = pod.containers.iter().find(|container| container.image.as_deref().is_some_and(is_of_windows))?;
    Some(FieldPath::container(&container.name, "image"))
}

impl NodeLabel<'_> {
    /// A node has to match all requirements of a term.
    fn match_term(self, requirements: Option<&[NodeSelectorRequirement]>) -> Match {
        let matches = requirements.into_iter().flatten().map(|requirement| self.match_requirement(requirement));
        matches.min().unwrap_or(Match::Unrelated)
    }

    fn match_requirement(self, requirement: &NodeSelectorRequirement) -> Match {
        let values = requirement.values.as_deref().unwrap_or_default();
        let named = values.iter().any(|value| value == self.value);
        match requirement.operator.as_str() {
            _ if requirement.key != self.key => Match::Unrelated,
            "In" if named && values.len() == 1 => Match::Only,
            "In" if named => Match::Included,
            "Exists" => Match::Included,
            "NotIn" if !named => Match::Unrelated,
            "In" | "NotIn" | "DoesNotExist" => Match::Excluded,
            _ => Match::Unrelated,
        }
    }

    /// Only a toleration with the key counts: a pod that tolerates all taints, such as an agent on all nodes, does not
    /// select these nodes.
    fn is_tolerated(self, toleration: &Toleration) -> bool {
        toleration.key.as_deref() == Some(self.key)
            && (toleration.operator.as_deref() == Some("Exists")
                || toleration.value.as_deref().unwrap_or_default() == self.value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{FieldPath, NodeLabel, Placement};

    const SPOT: &str = "example.com/spot";

    fn placement(pod: Value) -> Option<Placement> {
        Placement::of(&serde_json::from_value(pod).unwrap(), NodeLabel { key: SPOT, value: "true" })
    }

    fn term(operator: &str, values: &Value) -> Value {
        json!({"matchExpressions": [{"key": SPOT, "operator": operator, "values": values}]})
    }

    fn required(terms: &Value) -> Value {
        let node_selector = json!({"nodeSelectorTerms": terms});
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": node_selector}}})
    }

    #[test]
    fn a_node_selector_is_certain() {
        let field = FieldPath::pod("nodeSelector").key(SPOT);
        assert_eq!(placement(json!({"nodeSelector": {SPOT: "true"}})), Some(Placement::Certain(field)));
        assert_eq!(placement(json!({"nodeSelector": {SPOT: "false"}})), None);
        assert_eq!(placement(json!({"nodeSelector": {"zone": "a"}})), None);
    }

    #[test]
    fn a_required_affinity_is_certain_if_every_allowed_term_selects_only_these_nodes() {
        let (only, excluded) = (term("In", &json!(["true"])), term("DoesNotExist", &Value::Null));
        let certain = Some(Placement::Certain(FieldPath::pod("affinity.nodeAffinity")));
        let possible = Some(Placement::Possible(FieldPath::pod("affinity.nodeAffinity")));
        for (terms, expected) in [
            (json!([only]), certain.clone()),
            (json!([only, excluded]), certain),
            (json!([term("In", &json!(["true", "false"]))]), possible.clone()),
            (json!([term("Exists", &Value::Null)]), possible.clone()),
            (json!([only, {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]), possible),
            (json!([excluded]), None),
            (json!([term("NotIn", &json!(["true"]))]), None),
            (json!([term("NotIn", &json!(["false"]))]), None),
        ] {
            assert_eq!(placement(required(&terms)), expected, "{terms}");
        }
    }

    #[test]
    fn a_preference_or_a_toleration_is_possible() {
        let preferred = json!([{"weight": 1, "preference": term("In", &json!(["true"]))}]);
        let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}});
        let possible = |field| Some(Placement::Possible(FieldPath::pod(field)));
        assert_eq!(placement(json!({"affinity": affinity})), possible("affinity.nodeAffinity"));
        for (toleration, expected) in [
            (json!({"key": SPOT, "operator": "Exists"}), possible("tolerations")),
            (json!({"key": SPOT, "value": "true"}), possible("tolerations")),
            (json!({"key": SPOT, "value": "false"}), None),
            (json!({"key": SPOT}), None),
            (json!({"operator": "Exists"}), None),
        ] {
            assert_eq!(placement(json!({"tolerations": [toleration]})), expected, "{toleration}");
        }
    }

    /// The taint has no value either.
    #[test]
    fn a_toleration_without_a_value_is_for_a_label_without_one() {
        let pod = json!({"tolerations": [{"key": SPOT, "effect": "NoSchedule"}]});
        let label = NodeLabel { key: SPOT, value: "" };
        let found = Placement::of(&serde_json::from_value(pod).unwrap(), label);
        assert_eq!(found, Some(Placement::Possible(FieldPath::pod("tolerations"))));
    }

    #[test]
    fn a_certain_label_precedes_a_possible_one() {
        let pod = json!({"nodeSelector": {SPOT: "true"}, "tolerations": [{"key": "other", "operator": "Exists"}]});
        let labels = ["other", SPOT].map(|key| NodeLabel { key, value: "true" });
        let found = Placement::of_any(&serde_json::from_value(pod).unwrap(), labels.into_iter());
        assert_eq!(found, Some(Placement::Certain(FieldPath::pod("nodeSelector").key(SPOT))));
    }

    #[test]
    fn a_requirement_overrides_a_toleration() {
        let mut pod = required(&json!([term("NotIn", &json!(["true"]))]));
        pod["tolerations"] = json!([{"key": SPOT, "operator": "Exists"}]);
        assert_eq!(placement(pod), None);
    }
}
