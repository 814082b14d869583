//! Platforms that stop a pod after a limit that does not depend on its grace period: `data/platforms.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::budget::Budget;
use crate::duration::Seconds;
use crate::pod::placement::{NodeLabel, Placement};
use crate::workload::Workload;

/// A platform with a limit.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Its name, as used after "on" in messages.
    pub name: String,
    /// The maximum time of a pod when its node is removed.
    pub cap: Seconds,
    /// The labels of its nodes, each of which may also be the key and value of their taint; none if any node may be
    /// affected.
    #[serde(default)]
    pub known_by: Vec<Label>,
    /// The annotation or the node selector of pods without this limit.
    pub exempt: Option<Label>,
    /// The hint, if it is not to shorten the budget or to avoid these nodes.
    pub hint: Option<String>,
    /// What sets the limit, and whether it can be configured.
    pub why: String,
    /// The sources for the limit.
    pub sources: Vec<String>,
}

/// A label of nodes, or an annotation or a node selector of pods.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

// A test checks that it can be read.
static PLATFORMS: LazyLock<Vec<Platform>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/platforms.yaml")).unwrap_or_default());

impl Platform {
    /// Every platform.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &PLATFORMS
    }

    /// Whether an annotation or the node selector of the pods shows that they do not have this limit.
    pub(crate) fn exempts(&self, workload: &Workload) -> bool {
        let selector = workload.pod.node_selector.as_ref();
        self.exempt.as_ref().is_some_and(|Label { key, value }| {
            workload.annotations.get(key) == Some(value) || selector.and_then(|nodes| nodes.get(key)) == Some(value)
        })
    }

    /// Whether the pods run on nodes with one of the platform's labels.
    pub(crate) fn placement(&self, workload: &Workload) -> Option<Placement> {
        Placement::of_any(&workload.pod, self.known_by.iter().map(|Label { key, value }| NodeLabel { key, value }))
    }

    /// The effect of the limit on a budget, as text; `None` if it only shortens the margin.
    pub(crate) fn effect(&self, budget: &Budget) -> Option<String> {
        let Budget { drain, deadline, .. } = budget;
        (self.cap < drain.plus(*deadline)).then(|| match self.cap.minus(*drain) {
            _ if self.cap == Seconds::ZERO => {
                "no preStop hook runs, and the containers are killed immediately".to_owned()
            }
            Seconds::ZERO => format!("the drain of {drain} uses all of it"),
            left => format!("the drain of {drain} leaves {left} of the deadline of {deadline}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;
    use crate::catalog::tests::assert_documented;

    #[test]
    fn every_platform_is_documented() {
        let platforms = Platform::all().iter();
        assert_documented(platforms.map(|it| (it.name.as_str(), it.why.as_str(), it.sources.as_slice())));
    }
}
