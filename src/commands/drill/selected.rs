//! The workload and the pod that is evicted.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::core::Selector;
use serde_json::Value;

use crate::cluster::lists::{Resource, Scope, Selection, identify};
use crate::cluster::workloads::WorkloadName;
use crate::cluster::{Cluster, Error};
use winddown_core::annotations::BUDGET;
use winddown_core::drill::{Candidate, Choice, Refusal, choose};
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::rollout;
use winddown_core::sanitize::{escaped, truncated};

/// A workload, and one of its pods.
pub(super) struct Selected {
    pub(super) candidate: Candidate,
    target: WorkloadName,
    namespace: String,
    context: String,
    /// `winddown.dev/budget` of the workload.
    budget: Option<String>,
    replicas: usize,
}

impl Selected {
    /// Reads the workload and its pods, and chooses one.
    pub(super) async fn choose(
        cluster: &Cluster,
        namespace: &str,
        target: &WorkloadName,
        choice: Choice<'_>,
    ) -> Result<Self, Error> {
        let call = format!("read {target} in the namespace {namespace}");
        let mut workload = cluster.read(call, &format!("{}/{}", target.kind.path(namespace), target.name)).await?;
        identify(&mut workload, Kind::API_VERSION, target.kind.as_str());
        let selector = workload.pointer("/spec/selector").cloned().unwrap_or_default();
        let selector: LabelSelector = serde_json::from_value(selector).unwrap_or_default();
        let labels = Selector::try_from(selector).map(|selector| selector.to_string()).ok();
        let selection = Selection { scope: Scope::Namespace(namespace.to_owned()), labels };
        let mut pods: Vec<Value> = Vec::new();
        cluster.list(Resource::namespaced("v1", "pods"), &selection, |pod| pods.push(pod)).await?;
        Self::of(&cluster.context, target, &workload, &pods, choice).map_err(Error::NotRehearsed)
    }

    /// One of these pods of the workload, which was read from the cluster of this context.
    pub(super) fn of(
        context: &str,
        target: &WorkloadName,
        workload: &Value,
        pods: &[Value],
        choice: Choice<'_>,
    ) -> Result<Self, Refusal> {
        let object = Object::new(workload);
        Ok(Self {
            candidate: choose(workload, pods, choice)?,
            target: target.clone(),
            namespace: object.namespace().to_owned(),
            context: context.to_owned(),
            budget: object.annotation(BUDGET).map(|budget| truncated(&escaped(budget), 300).into_owned()),
            replicas: rollout::wanted(target.kind, workload),
        })
    }
}

/// Whether the pod was deleted or replaced since it was chosen.
pub(super) async fn is_gone(cluster: &Cluster, namespace: &str, candidate: &Candidate) -> Result<bool, Error> {
    // The right to list pods is needed in any case.
    let selection = Selection { scope: Scope::Namespace(namespace.to_owned()), labels: None };
    let mut is_there = false;
    let same = |pod: &ObjectMeta| pod.uid.as_ref() == Some(&candidate.uid) && pod.deletion_timestamp.is_none();
    cluster.list_metadata(Resource::namespaced("v1", "pods"), &selection, |pod| is_there |= same(&pod)).await?;
    Ok(!is_there)
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Candidate { name, node, ready, promised, .. } = &self.candidate;
        writeln!(
            f,
            "workload: {} in the namespace {} of {}: {} of {} pods are ready",
            self.target,
            self.namespace,
            escaped(&self.context),
            ready.len(),
            self.replicas
        )?;
        writeln!(
            f,
            "budget:   {}",
            self.budget.as_deref().unwrap_or("none; the workload has no winddown.dev annotations")
        )?;
        writeln!(f, "pod:      {} on {}", escaped(name), escaped(node))?;
        write!(f, "promised: {promised}")
    }
}
