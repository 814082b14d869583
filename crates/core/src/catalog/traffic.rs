//! What sends traffic to a pod: presets for the drain, from `data/traffic.yaml`.

use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{UnknownPreset, preset};
use crate::duration::Seconds;

/// What sends traffic to a pod.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// The value of `winddown.dev/traffic`.
    pub name: String,
    /// How long it keeps sending after the pod started to terminate.
    pub drain: Seconds,
    /// The reason for this duration.
    pub why: String,
    /// Its health check, if it detects terminating pods with it.
    pub polls: Option<Polling>,
    /// Whether it sends to a new pod only some time after the pod is Ready.
    #[serde(default)]
    pub registers: bool,
    /// The sources for the numbers.
    pub sources: Vec<String>,
}

/// The health check of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polling {
    /// Time between two checks.
    pub period: Seconds,
    /// The number of consecutive failures.
    pub failures: u32,
}

impl Polling {
    /// The longest time until the check has failed.
    #[must_use]
    pub const fn notices_after(self) -> Seconds {
        self.period.times(self.failures)
    }
}

// A test checks that it can be read.
static TRAFFIC: LazyLock<Vec<Traffic>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/traffic.yaml")).unwrap_or_default());

impl Traffic {
    /// Every preset.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &TRAFFIC
    }
}

impl FromStr for &'static Traffic {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        preset(text, Traffic::all(), |traffic| &traffic.name)
    }
}

#[cfg(test)]
mod tests {
    use super::Traffic;
    use crate::catalog::tests::assert_documented;

    #[test]
    fn every_preset_is_documented() {
        assert_documented(
            Traffic::all().iter().map(|preset| (preset.name.as_str(), preset.why.as_str(), preset.sources.as_slice())),
        );
    }

    #[test]
    fn the_drain_of_a_preset_is_longer_than_its_polling() {
        for traffic in Traffic::all() {
            assert!(traffic.polls.is_none_or(|polls| polls.notices_after() < traffic.drain), "{}", traffic.name);
        }
    }

    #[test]
    fn a_preset_is_found_by_name_and_a_typo_gets_a_suggestion() {
        assert_eq!("service".parse::<&Traffic>().map(|traffic| traffic.drain.as_i64()), Ok(5));
        let error = "servce".parse::<&Traffic>().unwrap_err().to_string();
        assert_eq!(error, "is not a preset; did you mean service?");
        assert!(
            "x".parse::<&Traffic>().unwrap_err().to_string().starts_with("is not a preset; the presets are service, ")
        );
    }
}
