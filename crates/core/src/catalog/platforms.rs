//! Platforms that end a pod after a limit, whatever its grace period is: `data/platforms.yaml`.

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
    /// Its name, as it follows "on" in a sentence.
    pub name: String,
    /// The time a pod gets at most when its node is removed.
    pub cap: Seconds,
    /// The label of its nodes, which is also the key and value of their taint; `None` where any node may be affected.
    pub known_by: Option<Label>,
    /// The annotation of pods that are never evicted.
    pub exempt: Option<Label>,
    /// What to do, where that is not to shorten the budget or to avoid these nodes.
    pub hint: Option<String>,
    /// What sets the limit, and whether it can be configured.
    pub why: String,
    /// Where the limit comes from.
    pub sources: Vec<String>,
}

/// A label of nodes, or an annotation of pods.
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

    /// Whether an annotation of the pods prevents that they are evicted.
    pub(crate) fn exempts(&self, workload: &Workload) -> bool {
        self.exempt.as_ref().is_some_and(|label| workload.annotations.get(&label.key) == Some(&label.value))
    }

    /// Whether the pods run on nodes with the platform's label.
    pub(crate) fn placement(&self, workload: &Workload) -> Option<Placement> {
        let label = self.known_by.as_ref()?;
        Placement::of(&workload.pod, NodeLabel { key: &label.key, value: &label.value })
    }

    /// What the limit does to a budget, in a sentence; `None` where it only costs a part of the margin.
    pub(crate) fn effect(&self, budget: &Budget) -> Option<String> {
        let Budget { drain, deadline, .. } = budget;
        (self.cap < drain.plus(*deadline)).then(|| match self.cap.minus(*drain) {
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
    fn every_platform_is_documented_and_has_a_limit() {
        let platforms = Platform::all().iter();
        assert_documented(platforms.map(|it| (it.name.as_str(), it.why.as_str(), it.sources.as_slice())));
        assert!(Platform::all().iter().all(|platform| platform.cap.as_i64() > 0));
    }
}
