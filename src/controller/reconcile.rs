//! One Deployment: read, settle, bring to plan, tell what changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use json_patch::Patch;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use serde_json::Value;

use super::{Context, Watched};
use crate::error_chain::ErrorChain;
use crate::finding::Finding;
use crate::kubernetes::{self, within};
use crate::patch;
use crate::report::{self, EventKind, Seen};
use crate::settlement::{Before, Origin, Settlement, UnreadableWorkload, settle};

/// While somebody else's rollout is under way.
const WAIT_FOR_TURN: Duration = Duration::from_secs(3);

pub(super) async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Action, kubernetes::Error> {
    let metadata = &watched.metadata;
    let (Some(namespace), Some(name), Some(uid)) = (&metadata.namespace, &metadata.name, &metadata.uid) else {
        return Ok(Action::await_change());
    };
    let annotated = metadata.annotations.as_ref().is_some_and(|annotations| !annotations.is_empty());
    let before = context.memory.last_told(uid, Instant::now());
    let own = *namespace == context.own.namespace && *name == context.own.deployment;
    if own || metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    if !annotated && before.as_ref().is_none_or(|before| *before == Seen::default()) {
        // To be remembered, too: once it is annotated, that is a change.
        context.memory.told(uid, Seen::default());
        return Ok(Action::await_change());
    }
    let Some(deployment) = context.deployments.read(namespace, name).await? else {
        return Ok(Action::await_change());
    };
    let settlement = match settle(&deployment, Before::Itself, &context.policy, Origin::ApiServer) {
        Ok(settlement) => settlement,
        Err(unreadable) => {
            skip(namespace, name, &unreadable);
            return Ok(Action::await_change());
        }
    };
    let now = Seen::new(&deployment, &settlement);
    if !*context.leading.borrow() {
        context.memory.noticed(uid, now, Instant::now());
        return Ok(Action::await_change());
    }
    let made = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let just_made = made.is_some_and(|made: Timestamp| made >= context.started);
    for event in report::events(before.as_ref(), &now, just_made) {
        // A namespace whose quota has no room for Events still gets its Deployments repaired.
        if let Err(error) = tell(&context, &watched, event).await {
            tracing::warn!(deployment = format!("{namespace}/{name}"), "{}", ErrorChain(&error));
        }
    }
    context.memory.told(uid, now);

    if settlement.desired == deployment || settlement.findings.iter().any(Finding::is_error) {
        context.deployments.disown(namespace, name, &deployment).await?;
        return Ok(Action::await_change());
    }
    bring_to_plan(&context, namespace, name, &deployment, &settlement).await
}

/// Changes the Deployment; at most one rollout at a time is begun.
async fn bring_to_plan(
    context: &Context,
    namespace: &str,
    name: &str,
    deployment: &Value,
    settlement: &Settlement,
) -> Result<Action, kubernetes::Error> {
    let template = |deployment: &Value| deployment.pointer("/spec/template").cloned();
    let rolls = template(deployment) != template(&settlement.desired);
    if rolls && !context.turn.is_free(&context.deployments).await? {
        return Ok(Action::requeue(WAIT_FOR_TURN));
    }
    if rolls {
        // Before the patches: should only the first one get through, its rollout counts.
        context.turn.take(deployment).await;
    }
    // A patch of nothing makes the API server ask the webhook again. What admission changes belongs to no field manager,
    // so that whoever applies the Deployment from Git never meets us in a conflict.
    let nothing = patch::guarded(deployment, &Patch::default());
    let changed = context.deployments.patch(namespace, name, nothing).await?;
    if let Ok(left) = settle(&changed, Before::Itself, &context.policy, Origin::ApiServer)
        && left.desired != changed
    {
        // The fields are ours then; the change makes us look again, and then they are given up.
        tracing::info!(deployment = format!("{namespace}/{name}"), "the webhook was not reached; patching directly");
        let patch = patch::guarded(&changed, &patch::between(&changed, &left.desired));
        context.deployments.patch(namespace, name, patch).await?;
    }
    tracing::info!(deployment = format!("{namespace}/{name}"), rolls, "brought to plan");
    Ok(Action::await_change())
}

async fn tell(context: &Context, watched: &Watched, event: report::Event) -> Result<(), kubernetes::Error> {
    let reference = ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some("Deployment".to_owned()),
        ..watched.object_ref(&())
    };
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

fn skip(namespace: &str, name: &str, unreadable: &UnreadableWorkload) {
    tracing::warn!(deployment = format!("{namespace}/{name}"), "passed over unchanged: {unreadable}");
}
