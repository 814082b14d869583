//! Reconciles one workload: reads and evaluates it, publishes Events, applies changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::Resource;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};

use super::apply::apply;
use super::context::{Context, Shared, Watched};
use super::workload_client::Reference;
use crate::error_chain::ErrorChain;
use crate::kubernetes::{self, api_resource, within};
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::kind::Kind;
use winddown_core::report::{self, Current, EventKind, Reported};

/// Delay before the next attempt after a failed call to the API server.
pub(super) const RETRY: Duration = Duration::from_secs(10);

pub(super) async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Action, kubernetes::Error> {
    let metadata = &watched.metadata;
    let (Some(namespace), Some(name), Some(uid)) = (&metadata.namespace, &metadata.name, &metadata.uid) else {
        return Ok(Action::await_change());
    };
    let kind = context.kind;
    let reference = Reference { kind, namespace: namespace.clone(), name: name.clone() };
    let context = &*context.shared;
    let annotated = metadata.annotations.as_ref().is_some_and(|annotations| !annotations.is_empty());
    let before = context.history.last_reported(uid, Instant::now());
    let identity = &context.identity;
    let is_operator = (kind, namespace, name) == (Kind::Deployment, &identity.namespace, &identity.deployment);
    if is_operator || metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    if !annotated && before.as_ref().is_none_or(|before| *before == Reported::default()) {
        // Recorded so that a first annotation counts as a change.
        context.history.mark_reported(uid, Reported::default());
        return Ok(Action::await_change());
    }
    let Some(workload) = context.workloads.read(&reference).await? else {
        return Ok(Action::await_change());
    };
    let policy = context.policies.for_namespace(namespace);
    let evaluation = match evaluate(&workload, Existing::Unchanged, policy, Origin::ApiServer) {
        Ok(evaluation) => evaluation,
        Err(error) => {
            tracing::warn!(workload = %reference, error = %ErrorChain(&error), "skipped, unchanged");
            return Ok(Action::await_change());
        }
    };
    let current = Current::new(&workload, &evaluation).after(before.as_ref());
    if !*context.leading.borrow() {
        context.history.mark_seen_by_follower(uid, current.reported(), Instant::now());
        return Ok(Action::await_change());
    }
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let just_created = created.is_some_and(|created: Timestamp| created >= context.started);
    let mut publish_again = false;
    for event in report::events(before.as_ref(), &current, just_created) {
        // Without quota for Events in a namespace, its workloads are still updated.
        if let Err(error) = publish(context, kind, &watched, event).await {
            tracing::warn!(workload = %reference, error = %ErrorChain(&error), "an Event was not published");
            publish_again |= error.is_transient();
        }
    }
    if !publish_again {
        context.history.mark_reported(uid, current.reported());
    }

    let action = if evaluation.changes.is_empty() {
        context.workloads.release_fields(&reference, &workload).await?;
        Action::await_change()
    } else {
        apply(context, &reference, &workload, &evaluation).await?
    };
    Ok(if publish_again { Action::requeue(RETRY) } else { action })
}

async fn publish(
    context: &Shared,
    kind: Kind,
    watched: &Watched,
    event: report::Event,
) -> Result<(), kubernetes::Error> {
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
