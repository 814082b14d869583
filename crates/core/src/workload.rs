//! The input of a plan: the pod template without injected fields, and how the workload replaces its pods.

pub(crate) mod misplaced;
pub(crate) mod slow_step;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::apps::v1::{DaemonSetUpdateStrategy, DeploymentStrategy, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decode::{InvalidField, decode};
use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::kind::Kind;
use misplaced::Misplaced;

/// A workload without injected fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its kind.
    pub kind: Kind,
    /// How it replaces its pods.
    pub rollout: Rollout,
    /// The annotations of the pod template.
    pub annotations: BTreeMap<String, String>,
    /// The labels of the pod template.
    pub labels: BTreeMap<String, String>,
    /// The pod template's spec.
    pub pod: PodSpec,
    /// The template's grace period, and whether the user set it.
    pub grace_period: GracePeriod,
    /// Fields about the shutdown that the API does not have where they stand.
    pub(crate) misplaced: Vec<Misplaced>,
}

/// The default of `terminationGracePeriodSeconds` (API reference of `PodSpec`).
pub const DEFAULT_GRACE_PERIOD: Seconds = Seconds::new(30);

/// The grace period of a template, and whether the user set it. The API server fills in 30 before admission, so the number
/// alone does not show that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GracePeriod {
    /// Not set: the default applies, and Winddown may raise it.
    Unset,
    /// Set by the user, so it stays.
    Explicit(Seconds),
}

/// How a workload replaces its pods, with the API server's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The number of pods; `None` if it depends on the nodes (`DaemonSet`).
    pub replicas: Option<u32>,
    /// Which pods may be replaced at the same time.
    pub strategy: Strategy,
    /// How long a new pod has to be ready before it counts as available: `minReadySeconds`.
    pub min_ready: Seconds,
    /// How long a Deployment may make no progress: `progressDeadlineSeconds`. Other kinds have no limit.
    pub progress_deadline: Option<Seconds>,
}

/// Which pods may be replaced at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// All old pods stop before the first new pod starts.
    Recreate,
    /// Some at a time.
    RollingUpdate {
        /// How many pods may be missing.
        max_unavailable: Amount,
        /// How many pods may exist in addition.
        max_surge: Amount,
    },
    /// Each pod when it is deleted. A `partition` of at least the number of replicas has the same effect.
    OnDelete,
}

/// A number of pods, or a percentage of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A number.
    Pods(u32),
    /// A percentage of the replicas.
    Percent(u32),
}

impl Amount {
    /// The number of pods of that many replicas, rounded down as for `maxUnavailable`.
    #[must_use]
    pub fn rounded_down(self, pods: u32) -> u32 {
        match self {
            Self::Pods(amount) => amount,
            Self::Percent(percent) => clamped(u64::from(pods) * u64::from(percent) / 100),
        }
    }

    /// The number of pods of that many replicas, rounded up as for `maxSurge`.
    #[must_use]
    pub fn rounded_up(self, pods: u32) -> u32 {
        match self {
            Self::Pods(amount) => amount,
            Self::Percent(percent) => clamped((u64::from(pods) * u64::from(percent)).div_ceil(100)),
        }
    }

    /// `None` if the API server would reject it.
    pub(crate) fn read(value: &IntOrString) -> Option<Self> {
        match value {
            IntOrString::Int(pods) => u32::try_from(*pods).ok().map(Self::Pods),
            IntOrString::String(text) => text.strip_suffix('%')?.parse().ok().map(Self::Percent),
        }
    }
}

impl fmt::Display for Amount {
    /// As in the manifest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pods(pods) => write!(f, "{pods}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

fn clamped(pods: u64) -> u32 {
    u32::try_from(pods).unwrap_or(u32::MAX)
}

/// The part of a workload's `spec` that configures how its pods are replaced.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i32>,
    min_ready_seconds: Option<i32>,
    progress_deadline_seconds: Option<i32>,
    strategy: Option<DeploymentStrategy>,
    update_strategy: Option<Value>,
}

/// The defaults of the API server (API reference of `DeploymentSpec`).
const PROGRESS_DEADLINE: i32 = 600;
const QUARTER: Amount = Amount::Percent(25);

impl Rollout {
    /// Reads it from a workload's `spec`.
    pub fn read(kind: Kind, spec: &Value) -> Result<Self, InvalidField> {
        Self::read_autoscaled(kind, spec, None)
    }

    /// Reads it from the `spec` of a workload of which an autoscaler keeps at least that many pods. At 0 replicas an
    /// autoscaler is disabled.
    pub(crate) fn read_autoscaled(kind: Kind, spec: &Value, least: Option<u32>) -> Result<Self, InvalidField> {
        let spec: Spec = decode(spec, FieldPath::new("spec"))?;
        let seconds = |value: Option<i32>| Seconds::from_api(value.unwrap_or(0).into());
        let replicas = u32::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
        let replicas = least.filter(|_| replicas > 0).unwrap_or(replicas);
        Ok(Self {
            replicas: (kind != Kind::DaemonSet).then_some(replicas),
            strategy: match kind {
                Kind::Deployment => deployment(spec.strategy.as_ref()),
                Kind::StatefulSet => stateful_set(read(spec.update_strategy.as_ref())?.as_ref(), replicas),
                Kind::DaemonSet => daemon_set(read(spec.update_strategy.as_ref())?.as_ref()),
            },
            min_ready: seconds(spec.min_ready_seconds),
            progress_deadline: (kind == Kind::Deployment)
                .then(|| seconds(Some(spec.progress_deadline_seconds.unwrap_or(PROGRESS_DEADLINE)))),
        })
    }

    /// The pods in a sentence, for example `all 3 pods`.
    pub(crate) fn all_pods(&self) -> String {
        match self.replicas {
            None => "all pods".to_owned(),
            Some(1) => "the only pod".to_owned(),
            Some(replicas) => format!("all {replicas} pods"),
        }
    }

    /// Whether there is a rollout in which pods are replaced a few at a time.
    pub(crate) fn is_rolling(&self) -> bool {
        matches!(self.strategy, Strategy::RollingUpdate { .. }) && self.replicas != Some(0)
    }
}

impl Workload {
    /// Whether every rollout stops the only pod before its replacement starts: two pods of a `StatefulSet` never have the
    /// same name.
    pub(crate) fn is_single_stateful_pod(&self) -> bool {
        self.kind == Kind::StatefulSet && self.rollout.replicas == Some(1) && self.rollout.is_rolling()
    }
}

fn read<T: DeserializeOwned>(update_strategy: Option<&Value>) -> Result<Option<T>, InvalidField> {
    update_strategy.map(|strategy| decode(strategy, FieldPath::new("spec.updateStrategy"))).transpose()
}

fn amount(value: Option<&IntOrString>, default: Amount) -> Amount {
    value.and_then(Amount::read).unwrap_or(default)
}

fn deployment(strategy: Option<&DeploymentStrategy>) -> Strategy {
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate") {
        return Strategy::Recreate;
    }
    Strategy::RollingUpdate {
        max_unavailable: amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), QUARTER),
        max_surge: amount(rolling.and_then(|rolling| rolling.max_surge.as_ref()), QUARTER),
    }
}

/// There are never more pods than replicas, and by default one pod is replaced at a time.
fn stateful_set(strategy: Option<&StatefulSetUpdateStrategy>, replicas: u32) -> Strategy {
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    // Pods with a lower ordinal than this keep the old template.
    let kept = rolling.and_then(|rolling| u32::try_from(rolling.partition?).ok()).unwrap_or(0);
    let on_delete = strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete");
    if on_delete || (kept > 0 && kept >= replicas) {
        return Strategy::OnDelete;
    }
    let max_unavailable = amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), Amount::Pods(1));
    Strategy::RollingUpdate {
        max_unavailable: match kept {
            0 => max_unavailable,
            kept => Amount::Pods(max_unavailable.rounded_down(replicas).min(replicas - kept)),
        },
        max_surge: Amount::Pods(0),
    }
}

fn daemon_set(strategy: Option<&DaemonSetUpdateStrategy>) -> Strategy {
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
        return Strategy::OnDelete;
    }
    Strategy::RollingUpdate {
        max_unavailable: amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), Amount::Pods(1)),
        max_surge: amount(rolling.and_then(|rolling| rolling.max_surge.as_ref()), Amount::Pods(0)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Amount, Kind, Rollout, Seconds, Strategy};

    fn rolling(max_unavailable: Amount, max_surge: Amount) -> Strategy {
        Strategy::RollingUpdate { max_unavailable, max_surge }
    }

    #[test]
    fn defaults_are_those_of_the_api_server() {
        for (kind, replicas, expected, progress) in [
            (Kind::Deployment, Some(1), rolling(Amount::Percent(25), Amount::Percent(25)), Some(600)),
            (Kind::StatefulSet, Some(1), rolling(Amount::Pods(1), Amount::Pods(0)), None),
            (Kind::DaemonSet, None, rolling(Amount::Pods(1), Amount::Pods(0)), None),
        ] {
            let rollout = Rollout::read(kind, &json!({})).unwrap();
            let progress_deadline = rollout.progress_deadline.map(Seconds::as_i64);
            assert_eq!(
                (rollout.replicas, rollout.strategy, progress_deadline),
                (replicas, expected, progress),
                "{kind}"
            );
        }
    }

    #[test]
    fn strategies_are_read() {
        let read = |kind, spec: &Value| Rollout::read(kind, spec).map(|rollout| rollout.strategy).ok();
        let recreate = json!({"strategy": {"type": "Recreate"}});
        assert_eq!(read(Kind::Deployment, &recreate), Some(Strategy::Recreate));
        let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
        assert_eq!(read(Kind::StatefulSet, &on_delete), Some(Strategy::OnDelete));
        let update = json!({"rollingUpdate": {"maxUnavailable": "50%", "maxSurge": 2}});
        let expected = rolling(Amount::Percent(50), Amount::Pods(2));
        assert_eq!(read(Kind::Deployment, &json!({"strategy": update})), Some(expected));
        assert_eq!(read(Kind::DaemonSet, &json!({"updateStrategy": update})), Some(expected));
        assert_eq!(read(Kind::DaemonSet, &json!({"updateStrategy": "fast"})), None);
    }

    #[test]
    fn percentages_are_rounded_as_by_the_controllers() {
        for (amount, pods, down, up) in [
            (Amount::Percent(25), 3, 0, 1),
            (Amount::Percent(100), 3, 3, 3),
            (Amount::Pods(2), 1, 2, 2),
            (Amount::Percent(u32::MAX), u32::MAX, u32::MAX, u32::MAX),
        ] {
            assert_eq!((amount.rounded_down(pods), amount.rounded_up(pods)), (down, up), "{amount:?}");
        }
    }
}
