//! What a plan depends on: the bare template, and how the workload replaces its pods.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSetUpdateStrategy, DeploymentStrategy, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decode::{self, WrongField};
use crate::duration::Seconds;
use crate::kind::Kind;
use crate::plan::GracePeriod;

/// A workload without anything that Winddown injected.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// What it is.
    pub kind: Kind,
    /// How it replaces its pods.
    pub rollout: Rollout,
    /// The annotations of the pod template.
    pub annotations: BTreeMap<String, String>,
    /// The labels of the pod template.
    pub labels: BTreeMap<String, String>,
    /// The pod template's spec.
    pub pod: PodSpec,
    /// The template's grace period, and whether anybody asked for it.
    pub grace_period: GracePeriod,
}

/// How a workload replaces its pods, with the API server's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// How many pods there are to be; `None` where the nodes decide (`DaemonSet`).
    pub replicas: Option<u32>,
    /// How many are replaced at once.
    pub step: Step,
    /// How long a new pod has to be ready before it counts as available: `minReadySeconds`.
    pub min_ready: Seconds,
    /// How long a Deployment may go without progress: `progressDeadlineSeconds`. Other kinds wait for ever.
    pub progress_deadline: Option<Seconds>,
}

/// How many pods are replaced at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All stop, then all start: `Recreate`.
    AllAtOnce,
    /// Some at a time: `RollingUpdate`.
    Some {
        /// How many may be missing.
        max_unavailable: Amount,
        /// How many may be too many.
        max_surge: Amount,
    },
    /// Whenever somebody deletes one: `OnDelete`, or a `partition` that holds all of them back.
    OnDelete,
}

/// A number of pods, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// That many.
    Pods(u32),
    /// That many in a hundred.
    Percent(u32),
}

impl Amount {
    /// Of so many pods, rounded down as `maxUnavailable` is.
    #[must_use]
    pub fn rounded_down(self, pods: u32) -> u32 {
        match self {
            Self::Pods(amount) => amount,
            Self::Percent(percent) => clamped(u64::from(pods) * u64::from(percent) / 100),
        }
    }

    /// Of so many pods, rounded up as `maxSurge` is.
    #[must_use]
    pub fn rounded_up(self, pods: u32) -> u32 {
        match self {
            Self::Pods(amount) => amount,
            Self::Percent(percent) => clamped((u64::from(pods) * u64::from(percent)).div_ceil(100)),
        }
    }

    /// `None` where the API server would refuse it.
    fn read(value: &IntOrString) -> Option<Self> {
        match value {
            IntOrString::Int(pods) => u32::try_from(*pods).ok().map(Self::Pods),
            IntOrString::String(text) => text.strip_suffix('%')?.parse().ok().map(Self::Percent),
        }
    }
}

fn clamped(pods: u64) -> u32 {
    u32::try_from(pods).unwrap_or(u32::MAX)
}

/// The part of a workload's `spec` that says how its pods are replaced.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i32>,
    min_ready_seconds: Option<i32>,
    progress_deadline_seconds: Option<i32>,
    strategy: Option<DeploymentStrategy>,
    update_strategy: Option<Value>,
}

/// What the API server fills in (API reference of `DeploymentSpec`).
const PROGRESS_DEADLINE: i32 = 600;
const QUARTER: Amount = Amount::Percent(25);

impl Rollout {
    /// Reads it from a workload's `spec`.
    pub fn read(kind: Kind, spec: &Value) -> Result<Self, WrongField> {
        let spec: Spec = decode::read(spec, "spec")?;
        let seconds = |value: Option<i32>| Seconds::from_api(value.unwrap_or(0).into());
        let replicas = u32::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
        Ok(Self {
            replicas: (kind != Kind::DaemonSet).then_some(replicas),
            step: match kind {
                Kind::Deployment => deployment(spec.strategy.as_ref()),
                Kind::StatefulSet => stateful_set(read(spec.update_strategy.as_ref())?.as_ref(), replicas),
                Kind::DaemonSet => daemon_set(read(spec.update_strategy.as_ref())?.as_ref()),
            },
            min_ready: seconds(spec.min_ready_seconds),
            progress_deadline: (kind == Kind::Deployment)
                .then(|| seconds(Some(spec.progress_deadline_seconds.unwrap_or(PROGRESS_DEADLINE)))),
        })
    }
}

fn read<T: DeserializeOwned>(update_strategy: Option<&Value>) -> Result<Option<T>, WrongField> {
    update_strategy.map(|strategy| decode::read(strategy, "spec.updateStrategy")).transpose()
}

fn amount(value: Option<&IntOrString>, default: Amount) -> Amount {
    value.and_then(Amount::read).unwrap_or(default)
}

fn deployment(strategy: Option<&DeploymentStrategy>) -> Step {
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate") {
        return Step::AllAtOnce;
    }
    Step::Some {
        max_unavailable: amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), QUARTER),
        max_surge: amount(rolling.and_then(|rolling| rolling.max_surge.as_ref()), QUARTER),
    }
}

/// Never more pods than replicas, and one at a time unless said otherwise.
fn stateful_set(strategy: Option<&StatefulSetUpdateStrategy>, replicas: u32) -> Step {
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    // Pods with a lower number than this keep their template.
    let kept = rolling.and_then(|rolling| u32::try_from(rolling.partition?).ok()).unwrap_or(0);
    let on_delete = strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete");
    if on_delete || (kept > 0 && kept >= replicas) {
        return Step::OnDelete;
    }
    let max_unavailable = amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), Amount::Pods(1));
    Step::Some {
        max_unavailable: match kept {
            0 => max_unavailable,
            kept => Amount::Pods(max_unavailable.rounded_down(replicas).min(replicas - kept)),
        },
        max_surge: Amount::Pods(0),
    }
}

fn daemon_set(strategy: Option<&DaemonSetUpdateStrategy>) -> Step {
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
        return Step::OnDelete;
    }
    Step::Some {
        max_unavailable: amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), Amount::Pods(1)),
        max_surge: amount(rolling.and_then(|rolling| rolling.max_surge.as_ref()), Amount::Pods(0)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Amount, Kind, Rollout, Seconds, Step};

    fn step(max_unavailable: Amount, max_surge: Amount) -> Step {
        Step::Some { max_unavailable, max_surge }
    }

    #[test]
    fn what_is_left_out_is_as_the_api_server_fills_it_in() {
        for (kind, replicas, expected, progress) in [
            (Kind::Deployment, Some(1), step(Amount::Percent(25), Amount::Percent(25)), Some(600)),
            (Kind::StatefulSet, Some(1), step(Amount::Pods(1), Amount::Pods(0)), None),
            (Kind::DaemonSet, None, step(Amount::Pods(1), Amount::Pods(0)), None),
        ] {
            let rollout = Rollout::read(kind, &json!({})).unwrap();
            let progress_deadline = rollout.progress_deadline.map(Seconds::as_i64);
            assert_eq!((rollout.replicas, rollout.step, progress_deadline), (replicas, expected, progress), "{kind}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let read = |kind, spec: &Value| Rollout::read(kind, spec).map(|rollout| rollout.step).ok();
        let recreate = json!({"strategy": {"type": "Recreate"}});
        assert_eq!(read(Kind::Deployment, &recreate), Some(Step::AllAtOnce));
        let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
        assert_eq!(read(Kind::StatefulSet, &on_delete), Some(Step::OnDelete));
        let rolling = json!({"rollingUpdate": {"maxUnavailable": "50%", "maxSurge": 2}});
        let expected = step(Amount::Percent(50), Amount::Pods(2));
        assert_eq!(read(Kind::Deployment, &json!({"strategy": rolling})), Some(expected.clone()));
        assert_eq!(read(Kind::DaemonSet, &json!({"updateStrategy": rolling})), Some(expected));
        assert_eq!(read(Kind::DaemonSet, &json!({"updateStrategy": "fast"})), None);
    }

    #[test]
    fn shares_are_rounded_as_the_controllers_do() {
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
