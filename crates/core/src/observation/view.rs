//! The fields of pods and endpoint slices that an observer reads. Decoding drops all others.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec, Probe};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::annotations::INJECTED;
use crate::duration::Seconds;
use crate::observation::Timestamp;
use crate::workload::DEFAULT_GRACE_PERIOD;

/// How many containers of a pod are looked at.
pub(crate) const MAX_CONTAINERS: usize = 64;

/// A pod of `core/v1`. The metadata have the type that `kube::Resource` requires.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PodView {
    /// `metadata`, without `managedFields` and others that are not read.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// `spec`.
    pub spec: PodSpecView,
    /// `status`.
    pub status: PodStatusView,
}

/// `spec` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpecView {
    /// `nodeName`.
    pub node_name: Option<String>,
    /// `terminationGracePeriodSeconds`.
    pub termination_grace_period_seconds: Option<i64>,
    /// `containers`.
    #[serde(deserialize_with = "null_as_default")]
    pub containers: Vec<ContainerView>,
}

/// A main container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerView {
    /// `name`.
    pub name: String,
    /// `image`.
    pub image: Option<String>,
    /// `ports`.
    pub ports: Option<Vec<ContainerPort>>,
    /// Whether there is a `readinessProbe`.
    pub readiness_probe: Option<IgnoredAny>,
    /// `lifecycle`.
    pub lifecycle: Option<Lifecycle>,
}

/// `lifecycle` of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Lifecycle {
    /// `preStop`.
    pub pre_stop: Option<PreStop>,
}

/// `preStop` of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PreStop {
    /// `sleep`; absent for a hook of unknown length.
    pub sleep: Option<Sleep>,
}

/// A sleep.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Sleep {
    /// `seconds`.
    pub seconds: i64,
}

/// `status` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatusView {
    /// `phase`.
    pub phase: Option<String>,
    /// `reason`.
    pub reason: Option<String>,
    /// `observedGeneration`: from 1.34 on, the kubelet sets it when it starts to stop the pod.
    pub observed_generation: Option<i64>,
    /// `conditions`.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
    /// `containerStatuses`: those of the main containers.
    #[serde(deserialize_with = "null_as_default")]
    pub container_statuses: Vec<ContainerStatus>,
}

/// A condition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `status`.
    pub status: String,
    /// `reason`.
    pub reason: Option<String>,
    /// `lastTransitionTime`.
    pub last_transition_time: Option<Time>,
}

/// The status of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// `name`.
    pub name: String,
    /// `state`.
    pub state: Option<ContainerState>,
    /// `lastState`: the end of the run before.
    pub last_state: Option<ContainerState>,
}

/// The state of a container; neither field is set while it waits.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// `running`.
    pub running: Option<Running>,
    /// `terminated`.
    pub terminated: Option<Terminated>,
}

/// A container that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Running {}

/// The end of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// `exitCode`.
    pub exit_code: i32,
    /// `reason`.
    pub reason: Option<String>,
    /// `startedAt`; absent if the container never ran or its status was lost.
    pub started_at: Option<Time>,
    /// `finishedAt`; absent if the status was lost.
    pub finished_at: Option<Time>,
}

/// An `EndpointSlice` of `discovery.k8s.io/v1`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EndpointSliceView {
    /// `metadata`, without `managedFields` and others that are not read.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// `endpoints`: at most 1,000 in the API, 100 by default.
    #[serde(deserialize_with = "null_as_default")]
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// `conditions`.
    pub conditions: EndpointConditions,
    /// `targetRef`.
    pub target_ref: Option<Target>,
}

/// The conditions of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// `ready`; absent counts as true.
    pub ready: Option<bool>,
    /// `terminating`: whether the pod is being deleted.
    pub terminating: Option<bool>,
}

/// The pod of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Target {
    /// `uid`.
    pub uid: Option<String>,
}

impl PodView {
    /// `metadata.uid`; `None` if it has no plausible length.
    pub(crate) fn uid(&self) -> Option<&str> {
        self.metadata.uid.as_deref().filter(|uid| !uid.is_empty() && uid.len() <= 128)
    }

    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.metadata.creation_timestamp.as_ref().map(Timestamp::from)
    }

    pub(crate) fn deleted(&self) -> Option<Timestamp> {
        self.metadata.deletion_timestamp.as_ref().map(Timestamp::from)
    }

    /// The time of the deletion request, and the grace period. The kubelet's last write, with a grace period of 0, does not
    /// have them.
    pub(crate) fn deletion(&self) -> Option<(Timestamp, Seconds)> {
        let grace = Seconds::from_api(self.metadata.deletion_grace_period_seconds.filter(|seconds| *seconds > 0)?);
        Some((self.deleted()?.minus(grace), grace))
    }

    /// Whether this is the state in which the API server removes it, and not only a label that was removed.
    pub(crate) fn is_removed(&self) -> bool {
        self.metadata.deletion_timestamp.is_some() && self.metadata.deletion_grace_period_seconds == Some(0)
    }

    /// Whether the kubelet has started to stop it; always false before Kubernetes 1.34.
    pub(crate) fn is_acknowledged(&self) -> bool {
        let generations = self.status.observed_generation.zip(self.metadata.generation);
        generations.is_some_and(|(observed, current)| observed >= current)
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// `terminationGracePeriodSeconds`.
    pub(crate) fn grace_period(&self) -> Seconds {
        self.spec.termination_grace_period_seconds.map_or(DEFAULT_GRACE_PERIOD, Seconds::from_api)
    }

    /// The main containers that are looked at, with their states.
    pub(crate) fn containers(&self) -> impl Iterator<Item = (&ContainerView, Option<&ContainerStatus>)> {
        let statuses = &self.status.container_statuses;
        let looked_at = statuses.len().min(MAX_CONTAINERS);
        let status = move |name: &str| statuses[..looked_at].iter().find(|status| status.name == name);
        self.spec.containers.iter().take(MAX_CONTAINERS).map(move |container| (container, status(&container.name)))
    }

    /// Whether a main container runs or has run.
    pub(crate) fn has_started(&self) -> bool {
        let mut statuses = self.containers().filter_map(|(_, status)| status);
        statuses.any(|status| status.states().any(ContainerState::has_started))
    }

    /// The positions of the containers that run, as bits.
    pub(crate) fn running(&self) -> u64 {
        let runs = |status: Option<&ContainerStatus>| status.is_some_and(ContainerStatus::is_running);
        let bits = self.containers().enumerate().filter(|(_, (_, status))| runs(*status));
        bits.fold(0, |bits, (position, _)| bits | (1 << position))
    }

    /// The fields of the main containers from which their roles follow.
    pub(crate) fn for_roles(&self) -> PodSpec {
        let container = |view: &ContainerView| Container {
            name: view.name.clone(),
            image: view.image.clone(),
            ports: view.ports.clone(),
            readiness_probe: view.readiness_probe.map(|_| Probe::default()),
            ..Container::default()
        };
        PodSpec { containers: self.containers().map(|(view, _)| container(view)).collect(), ..PodSpec::default() }
    }
}

impl ContainerView {
    /// How long its preStop hook runs; `None` if that is unknown.
    pub(crate) fn hook(&self) -> Option<Seconds> {
        match self.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref()) {
            None => Some(Seconds::ZERO),
            Some(hook) => hook.sleep.as_ref().map(|sleep| Seconds::from_api(sleep.seconds)),
        }
    }
}

impl ContainerStatus {
    fn states(&self) -> impl Iterator<Item = &ContainerState> {
        self.state.iter().chain(&self.last_state)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.running.is_some())
    }

    pub(crate) fn terminated(&self) -> Option<&Terminated> {
        self.state.as_ref()?.terminated.as_ref()
    }
}

impl ContainerState {
    fn has_started(&self) -> bool {
        self.running.is_some() || self.terminated.as_ref().is_some_and(|end| end.started_at.is_some())
    }
}

impl Terminated {
    pub(crate) fn finished(&self) -> Option<Timestamp> {
        self.finished_at.as_ref().map(Timestamp::from)
    }
}

/// Go writes an empty list without `omitempty` as null.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The fields of `metadata` that are read. `managedFields` are longer than all others together, and deeply nested.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<Annotations>,
    owner_references: Option<Vec<OwnerReference>>,
}

/// A pod can have 256 KiB of annotations.
#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "winddown.dev/injected")]
    injected: Option<String>,
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Read::deserialize(deserializer)?;
    let injected = read.annotations.and_then(|annotations| annotations.injected);
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        deletion_grace_period_seconds: read.deletion_grace_period_seconds,
        labels: read.labels,
        annotations: injected.map(|injected| BTreeMap::from([(INJECTED.to_owned(), injected)])),
        owner_references: read.owner_references,
        ..ObjectMeta::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{EndpointSliceView, PodView};

    #[test]
    fn only_metadata_that_are_read_are_kept() {
        let metadata = json!({
            "name": "web", "uid": "1", "resourceVersion": "7", "labels": {"app": "web"},
            "annotations": {"winddown.dev/injected": "{}", "team": "shop"},
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        });
        let pod: PodView = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        let kept = json!({
            "name": "web", "uid": "1", "resourceVersion": "7", "labels": {"app": "web"},
            "annotations": {"winddown.dev/injected": "{}"},
        });
        assert_eq!(serde_json::to_value(&pod.metadata).unwrap(), kept);
        let slice: EndpointSliceView = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        assert_eq!(slice.metadata, pod.metadata);
    }
}
