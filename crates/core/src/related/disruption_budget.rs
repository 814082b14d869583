//! How many pods an eviction may stop: a `PodDisruptionBudget`.

use std::collections::BTreeMap;

use k8s_openapi::api::policy::v1::PodDisruptionBudgetSpec;
use serde::Deserialize;
use serde_json::Value;

use super::labels;
use crate::kind::Kind;
use crate::object::Object;
use crate::selector::Selector;
use crate::workload::Amount;

/// A `PodDisruptionBudget`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DisruptionBudget {
    pub(crate) name: String,
    pub(super) selector: Selector,
    limit: Limit,
    /// The number of its pods, from its status.
    expected: Option<u32>,
}

/// The limit, as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    MaxUnavailable(Amount),
    MinAvailable(Amount),
}

/// The pods of a workload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PodGroup {
    labels: BTreeMap<String, String>,
    replicas: u32,
}

impl PodGroup {
    /// `None` for a workload whose number of pods depends on the nodes.
    pub(super) fn read(object: &Value) -> Option<Self> {
        let workload = Object::new(object);
        if workload.kind()? == Kind::DaemonSet {
            return None;
        }
        let replicas = workload.spec().get("replicas").and_then(Value::as_u64);
        let labels = labels(object.pointer("/spec/template/metadata/labels"));
        Some(Self { labels, replicas: replicas.map_or(1, |replicas| u32::try_from(replicas).unwrap_or(u32::MAX)) })
    }
}

impl DisruptionBudget {
    /// `None` if it limits nothing or cannot be read.
    pub(super) fn read(object: &Value) -> Option<Self> {
        let spec = PodDisruptionBudgetSpec::deserialize(object.get("spec")?).ok()?;
        let limit = match (&spec.max_unavailable, &spec.min_available) {
            (Some(amount), _) => Limit::MaxUnavailable(Amount::read(amount)?),
            (None, Some(amount)) => Limit::MinAvailable(Amount::read(amount)?),
            (None, None) => return None,
        };
        let expected = object.pointer("/status/expectedPods").and_then(Value::as_u64);
        Some(Self {
            name: Object::new(object).name()?.to_owned(),
            // Without a selector, it selects no pods.
            selector: Selector::read(spec.selector.as_ref()?)?,
            limit,
            expected: expected.and_then(|expected| u32::try_from(expected).ok()).filter(|expected| *expected > 0),
        })
    }

    /// The limit if no eviction is allowed, even of a healthy workload that has its most pods.
    pub(crate) fn blocks(&self, most: u32, pods: &[PodGroup]) -> Option<Limit> {
        let selected = || {
            let groups = pods.iter().filter(|group| self.selector.matches(&group.labels));
            groups.fold(0_u32, |sum, group| sum.saturating_add(group.replicas))
        };
        let blocks = match self.limit {
            Limit::MaxUnavailable(amount) => amount.rounded_up(most) == 0,
            Limit::MinAvailable(amount) => {
                let total = most.max(self.expected.unwrap_or_else(selected));
                amount.rounded_up(total) >= total
            }
        };
        (blocks && most > 0).then_some(self.limit)
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MaxUnavailable(amount) => write!(f, "maxUnavailable {amount}"),
            Self::MinAvailable(amount) => write!(f, "minAvailable {amount}"),
        }
    }
}
