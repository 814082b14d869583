//! Patches one workload to its desired state.

use std::time::Instant;

use json_patch::Patch;
use kube::runtime::controller::Action;
use serde_json::Value;

use super::context::Shared;
use super::rollout_gate::Decision;
use super::workload_client::Reference;
use crate::kubernetes::Error;
use winddown_core::evaluation::{Before, Origin, Settlement, settle};
use winddown_core::patch;

/// Patches the workload. A change of the pod template waits until no other rollout is in progress.
pub(super) async fn apply(
    context: &Shared,
    name: &Reference,
    workload: &Value,
    settlement: &Settlement,
) -> Result<Action, Error> {
    let template = |workload: &Value| workload.pointer("/spec/template").cloned();
    let rollout = template(workload) != template(&settlement.desired);
    // Requested before the first patch, because that patch alone can start the rollout.
    let permit = if rollout {
        match context.gate.request(name, &context.workloads, Instant::now()).await? {
            Decision::Start(permit) => Some(permit),
            Decision::RetryAfter(delay) => return Ok(Action::requeue(delay)),
        }
    } else {
        None
    };
    // An empty patch makes the API server call the webhook again. Fields that admission changes have no field manager, so
    // a later apply of the workload from Git has no conflict.
    let empty = patch::guarded(workload, &Patch::default());
    let changed = context.workloads.patch(name, empty).await?;
    if let Ok(left) = settle(&changed, Before::Itself, &context.policy, Origin::ApiServer)
        && left.desired != changed
    {
        // Winddown then manages these fields; the next reconciliation, which this change triggers, releases them.
        tracing::info!(workload = %name, "the mutating webhook was not called; patching directly");
        let patch = patch::guarded(&changed, &patch::between(&changed, &left.desired));
        context.workloads.patch(name, patch).await?;
    }
    drop(permit);
    tracing::info!(workload = %name, rollout, "patched");
    Ok(Action::await_change())
}
