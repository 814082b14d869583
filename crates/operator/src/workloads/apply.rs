//! Patches one workload to its desired state.

use std::time::Duration;

use json_patch::Patch;
use serde_json::Value;

use super::context::{Shared, now};
use super::rollout_gate::Decision;
use super::watched::Watched;
use super::workload_client::FIELD_MANAGER;
use crate::kubernetes::Error;
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::object::Object;
use winddown_core::observation::WorkloadRef;
use winddown_core::pacing::{Turn, desired_state};
use winddown_core::patch;
use winddown_core::policy::Governing;
use winddown_core::report;

/// Patches the workload. A change of the pod template waits until no other rollout is in progress, another change for its
/// turn, and a change that was reverted several times until the workload changes for another reason. Returns the delay after
/// which to try again.
pub(super) async fn apply(
    context: &Shared,
    workload: &WorkloadRef,
    watched: &Watched,
    object: &Value,
    governing: Governing<'_>,
    evaluation: &Evaluation,
) -> Result<Option<Duration>, Error> {
    let uid = watched.metadata.uid.as_deref().unwrap_or_default();
    let rollout = evaluation.changes.rolls_out();
    let desired = desired_state(&evaluation.changes.apply(object));
    // Asked first: a workload that was given up must not wait for, or hold, a turn of the others.
    let by = Object::new(object).last_manager(FIELD_MANAGER);
    let turn = context.pacing.turn(uid, &desired, now());
    if let Some(delay) = delayed(context, workload, watched, turn, by).await {
        return Ok(Some(delay));
    }
    // Requested before the first patch, because that patch alone can start the rollout.
    let permit = if rollout {
        match context.gate.request(workload, &context.workloads, now()).await? {
            Decision::Start(permit) => Some(permit),
            Decision::RetryAfter(delay) => return Ok(Some(delay)),
        }
    } else if let Some(delay) = context.pacing.delay_without_rollout(uid, now()) {
        return Ok(Some(delay));
    } else {
        None
    };
    // An empty patch makes the API server call the webhook again. Fields that admission changes have no field manager, so
    // a later apply of the workload from Git has no conflict.
    let empty = patch::guarded(object, Patch::default());
    let mut changed = patched(context, workload, watched, empty).await?;
    let remaining = |object: &Value| {
        let evaluation = evaluate(object, Existing::Unchanged, governing, Origin::ApiServer).ok()?;
        Some(evaluation.changes).filter(|changes| !changes.is_empty())
    };
    if let Some(changes) = remaining(&changed) {
        // Winddown then manages these fields; the next reconciliation, which this change triggers, releases them.
        tracing::info!(%workload, "the mutating webhook was not called; patching directly");
        let patch = patch::guarded(&changed, changes.patch(Object::new(&changed)));
        changed = patched(context, workload, watched, patch).await?;
    }
    drop(permit);
    context.pacing.sent(uid, &desired, now());
    tracing::info!(%workload, rollout, "patched");
    if remaining(&changed).is_none() {
        return Ok(None);
    }
    // Another webhook changed the same request, and no event may follow.
    let turn = context.pacing.turn(uid, &desired, now());
    Ok(delayed(context, workload, watched, turn, None).await)
}

/// Sends a patch and returns the workload. A rejection, for example because another webhook changes the same request, is
/// reported to the owner of the workload once.
async fn patched(context: &Shared, workload: &WorkloadRef, watched: &Watched, patch: Patch) -> Result<Value, Error> {
    let result = context.workloads.patch(workload, patch).await;
    let uid = watched.metadata.uid.as_deref().unwrap_or_default();
    if let Err(error @ Error::Refused { status, .. }) = &result
        && !(error.is_transient() || error.is_conflict() || error.is_not_found())
        && context.pacing.reports_rejection(uid, now())
        && context.publisher.publish(workload, uid, vec![report::rejected(&status.message)]).await.is_none()
    {
        context.pacing.reported_rejection(uid, now());
    }
    result
}

/// How long it is not the workload's turn. Reverts are reported once.
async fn delayed(
    context: &Shared,
    workload: &WorkloadRef,
    watched: &Watched,
    turn: Turn,
    by: Option<&str>,
) -> Option<Duration> {
    match turn {
        Turn::Now => None,
        Turn::After(delay) => Some(delay),
        Turn::Reverted { times, pause, report } => {
            if report {
                tracing::warn!(%workload, times, by, "patches were reverted, not patched again until it changes");
                let uid = watched.metadata.uid.as_deref().unwrap_or_default();
                if context.publisher.publish(workload, uid, vec![report::reverted(times, by)]).await.is_none() {
                    context.pacing.reported_reverts(uid, now());
                }
            }
            Some(pause)
        }
    }
}
