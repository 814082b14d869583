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
    /// The shortest drain that may be enough, if the proposal has a reserve.
    pub least: Option<Seconds>,
    /// The reason for this duration.
    pub why: String,
    /// Its health check, if it detects terminating pods with it.
    pub polls: Option<Polling>,
    /// What configures that check.
    pub health_check: Option<HealthCheck>,
    /// Whether it sends to a new pod only some time after the pod is Ready.
    #[serde(default)]
    pub registers: bool,
    /// `spec.controller` of its `IngressClasses`, or what precedes a slash there.
    #[serde(default)]
    pub controllers: Vec<String>,
    /// The usual names of these `IngressClasses`.
    #[serde(default)]
    pub classes: Vec<String>,
    /// How annotations, or the `loadBalancerClass`, of a Service with `externalTrafficPolicy: Local` begin if it is this
    /// load balancer.
    #[serde(default)]
    pub local: Vec<String>,
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

/// The annotations that configure the health check of a load balancer.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The seconds between two checks.
    pub period: String,
    /// The number of consecutive failures.
    pub failures: String,
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

    /// What serves an Ingress, by the name of its class and, if the `IngressClass` is known, by the controller of that.
    pub(crate) fn of_ingress(class: &str, controller: Option<&str>) -> Option<&'static Self> {
        let is_of = |controller: &str, name: &str| {
            controller.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Self::all().iter().find(|traffic| match controller {
            Some(controller) => traffic.controllers.iter().any(|name| is_of(controller, name)),
            None => traffic.classes.iter().any(|name| name == class),
        })
    }

    /// The load balancer of a Service with `externalTrafficPolicy: Local`, by the keys of its annotations and its
    /// `loadBalancerClass`.
    pub(crate) fn of_local(names: &[&str]) -> Option<&'static Self> {
        let shows = |start: &String| names.iter().any(|name| name.starts_with(start.as_str()));
        Self::all().iter().find(|traffic| traffic.local.iter().any(shows)).or_else(|| SERVICE_LOCAL.parse().ok())
    }

    /// Whether it sends to the nodes that have a pod of a Service.
    pub(crate) fn is_local(&self) -> bool {
        self.name == SERVICE_LOCAL || !self.local.is_empty()
    }
}

/// Any load balancer for a Service with `externalTrafficPolicy: Local`.
const SERVICE_LOCAL: &str = "service-local";

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
            assert!(traffic.least.is_none_or(|least| least < traffic.drain), "{}", traffic.name);
        }
    }

    #[test]
    fn what_shows_a_preset_shows_no_other() {
        let all = |list: fn(&Traffic) -> &Vec<String>| Traffic::all().iter().flat_map(list).collect::<Vec<_>>();
        for names in
            [all(|traffic| &traffic.controllers), all(|traffic| &traffic.classes), all(|traffic| &traffic.local)]
        {
            for (at, name) in names.iter().enumerate() {
                let others = names.iter().enumerate().filter(|(other, _)| *other != at);
                assert!(others.clone().all(|(_, other)| !name.starts_with(other.as_str())), "{name}");
            }
        }
        assert!(Traffic::all().iter().all(|traffic| traffic.health_check.is_none() || traffic.polls.is_some()));
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
