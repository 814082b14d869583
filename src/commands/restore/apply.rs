//! The requests: reading the workloads, patching them, and waiting for their rollouts.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::target::{Target, is_injected};
use crate::cluster::lists::{Scope, Selection};
use crate::cluster::workloads::{WorkloadName, path, resource};
use crate::cluster::{Cluster, Error};
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::rollout::is_in_progress;

/// The name of this client in `managedFields`.
const MANAGER: &str = "kubectl-winddown";
/// Time between two looks at a rollout.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why a workload was not restored.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unrestored {
    #[error(transparent)]
    Cluster(#[from] Error),
    #[error("it changed since it was read; run the command again")]
    Changed,
    #[error("Winddown injected again")]
    InjectedAgain,
    #[error("the rollout did not end within {} s", .0.as_secs())]
    RolloutLasts(Duration),
}

/// Reads one workload.
pub(super) async fn read(cluster: &Cluster, namespace: &str, workload: &WorkloadName) -> Result<Value, Error> {
    let call = format!("read {} in the namespace {namespace}", workload.qualified());
    cluster.read(call, &format!("{}/{}", path(workload.kind, namespace), workload.name)).await
}

/// Reads all workloads of a scope that have something of Winddown, each with its kind.
pub(super) async fn read_all(
    cluster: &Cluster,
    scope: &Scope,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Vec<(Kind, Value)>, Error> {
    let selection = Selection { scope: scope.clone(), labels: None };
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let each = |workload: Value| {
            if is_wanted(&workload) {
                found.push((kind, workload));
            }
        };
        cluster.list(resource(kind), &selection, each).await?;
    }
    Ok(found)
}

/// Sends the patch. As a dry run, it shows whether Winddown would inject again, and whether the user may patch.
pub(super) async fn patch(cluster: &Cluster, target: &Target, is_dry_run: bool) -> Result<Value, Unrestored> {
    let parameters =
        PatchParams { dry_run: is_dry_run, field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let Target { namespace, workload, .. } = target;
    let call = format!("patch {} in the namespace {namespace}", workload.qualified());
    let patch = Patch::<()>::Json(target.patch());
    let request = Request::new(path(workload.kind, namespace)).patch(&workload.name, &parameters, &patch);
    let request = request.map_err(|error| Error::new(&call, kube::Error::BuildRequest(error)))?;
    let patched: Value = match cluster.within(call, cluster.client.request(request)).await {
        Ok(patched) => patched,
        Err(error) if is_failed_test(&error) => return Err(Unrestored::Changed),
        Err(error) => return Err(error.into()),
    };
    if is_injected(&patched) { Err(Unrestored::InjectedAgain) } else { Ok(patched) }
}

/// A JSON patch whose `test` fails is answered like this (measured on 1.37); a rejection by a webhook has a text of its own.
fn is_failed_test(error: &Error) -> bool {
    let is_of_patch = |message: &str| message.contains("the server rejected our request");
    error.status().is_some_and(|status| status.code == 422 && is_of_patch(&status.message))
}

/// Waits until the pods of a workload are replaced.
pub(super) async fn wait(cluster: &Cluster, target: &Target, limit: Duration) -> Result<(), Unrestored> {
    let start = Instant::now();
    loop {
        let workload = read(cluster, &target.namespace, &target.workload).await?;
        let view = Object::new(&workload);
        let is_observed = workload.pointer("/status/observedGeneration") == workload.pointer("/metadata/generation");
        if is_observed && (view.is_deleted() || !is_in_progress(target.workload.kind, &workload)) {
            return Ok(());
        }
        if start.elapsed() >= limit {
            return Err(Unrestored::RolloutLasts(limit));
        }
        sleep(INTERVAL).await;
    }
}
