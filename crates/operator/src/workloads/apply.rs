//! Patches one workload to its desired state.

use std::time::Instant;

use json_patch::Patch;
use kube::runtime::controller::Action;
use serde_json::Value;

use super::context::Shared;
use super::rollout_gate::Decision;
use super::workload_client::Reference;
use crate::kubernetes::Error;
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::object::Object;
use winddown_core::patch;

/// Patches the workload. A change of the pod template waits until no other rollout is in progress.
pub(super) async fn apply(
    context: &Shared,
    workload: &Reference,
    object: &Value,
    evaluation: &Evaluation,
) -> Result<Action, Error> {
    let rollout = evaluation.changes.rolls_out();
    // Requested before the first patch, because that patch alone can start the rollout.
    let permit = if rollout {
        match context.gate.request(workload, &context.workloads, Instant::now()).await? {
            Decision::Start(permit) => Some(permit),
            Decision::RetryAfter(delay) => return Ok(Action::requeue(delay)),
        }
    } else {
        None
    };
    // An empty patch makes the API server call the webhook again. Fields that admission changes have no field manager, so
    // a later apply of the workload from Git has no conflict.
    let empty = patch::guarded(object, Patch::default());
    let changed = context.workloads.patch(workload, empty).await?;
    let policy = context.policies.for_namespace(&workload.namespace);
    if let Ok(remaining) = evaluate(&changed, Existing::Unchanged, policy, Origin::ApiServer)
        && !remaining.changes.is_empty()
    {
        // Winddown then manages these fields; the next reconciliation, which this change triggers, releases them.
        tracing::info!(%workload, "the mutating webhook was not called; patching directly");
        let patch = patch::guarded(&changed, remaining.changes.patch(Object::new(&changed)));
        context.workloads.patch(workload, patch).await?;
    }
    drop(permit);
    tracing::info!(%workload, rollout, "patched");
    Ok(Action::await_change())
}
