//! One workload: read, settle, bring to plan, tell what changed.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use json_patch::Patch;
use kube::Resource;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use serde_json::Value;

use super::rollout_gate::Claim;
use super::workload_client::Reference;
use super::{Context, RETRY, Shared, Watched};
use crate::error_chain::ErrorChain;
use crate::kubernetes::{self, api_resource, within};
use winddown_core::evaluation::{Before, Origin, Settlement, settle};
use winddown_core::kind::Kind;
use winddown_core::patch;
use winddown_core::report::{self, EventKind, Seen};

pub(super) async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Action, kubernetes::Error> {
    let metadata = &watched.metadata;
    let (Some(namespace), Some(name), Some(uid)) = (&metadata.namespace, &metadata.name, &metadata.uid) else {
        return Ok(Action::await_change());
    };
    let kind = context.kind;
    let name = Reference { kind, namespace: namespace.clone(), name: name.clone() };
    let context = &*context.shared;
    let annotated = metadata.annotations.as_ref().is_some_and(|annotations| !annotations.is_empty());
    let before = context.memory.last_told(uid, Instant::now());
    let own = (kind, namespace, &name.name) == (Kind::Deployment, &context.own.namespace, &context.own.deployment);
    if own || metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    if !annotated && before.as_ref().is_none_or(|before| *before == Seen::default()) {
        // To be remembered, too: once it is annotated, that is a change.
        context.memory.told(uid, Seen::default());
        return Ok(Action::await_change());
    }
    let Some(workload) = context.workloads.read(&name).await? else {
        return Ok(Action::await_change());
    };
    let settlement = match settle(&workload, Before::Itself, &context.policy, Origin::ApiServer) {
        Ok(settlement) => settlement,
        Err(unreadable) => {
            tracing::warn!(workload = %name, "passed over unchanged: {unreadable}");
            return Ok(Action::await_change());
        }
    };
    let now = Seen::new(&workload, &settlement);
    if !*context.leading.borrow() {
        context.memory.noticed(uid, now, Instant::now());
        return Ok(Action::await_change());
    }
    let made = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let just_made = made.is_some_and(|made: Timestamp| made >= context.started);
    let mut to_be_told = false;
    for event in report::events(before.as_ref(), &now, just_made) {
        // A namespace whose quota has no room for Events still gets its workloads repaired.
        if let Err(error) = tell(context, kind, &watched, event).await {
            tracing::warn!(workload = %name, "{}", ErrorChain(&error));
            to_be_told |= error.may_pass();
        }
    }
    if !to_be_told {
        context.memory.told(uid, now);
    }

    let action = if settlement.desired == workload {
        context.workloads.disown(&name, &workload).await?;
        Action::await_change()
    } else {
        bring_to_plan(context, &name, &workload, &settlement).await?
    };
    Ok(if to_be_told { Action::requeue(RETRY) } else { action })
}

/// Changes the workload; at most one rollout at a time is begun.
async fn bring_to_plan(
    context: &Shared,
    name: &Reference,
    workload: &Value,
    settlement: &Settlement,
) -> Result<Action, kubernetes::Error> {
    let template = |workload: &Value| workload.pointer("/spec/template").cloned();
    let rolls = template(workload) != template(&settlement.desired);
    // Before the patches: should only the first one get through, its rollout counts.
    let leave = if rolls {
        match context.turn.claim(name, &context.workloads, Instant::now()).await? {
            Claim::Given(leave) => Some(leave),
            Claim::Later(later) => return Ok(Action::requeue(later)),
        }
    } else {
        None
    };
    // A patch of nothing makes the API server ask the webhook again. What admission changes belongs to no field manager,
    // so that whoever applies the workload from Git never meets us in a conflict.
    let nothing = patch::guarded(workload, &Patch::default());
    let changed = context.workloads.patch(name, nothing).await?;
    if let Ok(left) = settle(&changed, Before::Itself, &context.policy, Origin::ApiServer)
        && left.desired != changed
    {
        // The fields are ours then; the change makes us look again, and then they are given up.
        tracing::info!(workload = %name, "the webhook was not reached; patching directly");
        let patch = patch::guarded(&changed, &patch::between(&changed, &left.desired));
        context.workloads.patch(name, patch).await?;
    }
    drop(leave);
    tracing::info!(workload = %name, rolls, "brought to plan");
    Ok(Action::await_change())
}

async fn tell(context: &Shared, kind: Kind, watched: &Watched, event: report::Event) -> Result<(), kubernetes::Error> {
    let reference = watched.object_ref(&api_resource(kind));
    let event = Event {
        type_: match event.kind {
            EventKind::Normal => EventType::Normal,
            EventKind::Warning => EventType::Warning,
        },
        reason: event.reason.to_owned(),
        note: Some(event.note),
        action: "Plan".to_owned(),
        secondary: None,
    };
    within("publish an Event", context.recorder().publish(&event, &reference)).await
}
