//! Publishes Events about a workload, up to its limit.

use std::time::Duration;

use kube::Resource as _;
use kube::runtime::events::{Event, EventType};

use super::context::{Shared, now};
use super::watched::Watched;
use super::workload_client::Reference;
use crate::error_chain::ErrorChain;
use crate::kubernetes::{self, api_resource, within};
use winddown_core::kind::Kind;
use winddown_core::report::{self, EventKind};

/// After a failure of the API server. Each attempt also counts as an Event.
pub(super) const RETRY: Duration = Duration::from_mins(1);

/// Publishes what the limit allows; the first Event tells how many were withheld. Returns the delay after which to try again
/// if nothing could be published: the Events are then those of the state at that time.
pub(super) async fn publish(
    context: &Shared,
    workload: &Reference,
    watched: &Watched,
    events: Vec<report::Event>,
) -> Option<Duration> {
    let uid = watched.metadata.uid.as_deref().unwrap_or_default();
    if events.is_empty() {
        return None;
    }
    let (allowed, withheld) = match context.pacing.publish(uid, events.len(), now()) {
        Ok(allowed) => allowed,
        Err(delay) => return Some(delay),
    };
    let mut events: Vec<_> = events.into_iter().take(allowed).collect();
    if let Some(first) = events.first_mut() {
        *first = first.clone().after_withheld(withheld);
    }
    let mut again = None;
    for event in events {
        // Without quota for Events in a namespace, its workloads are still updated.
        if let Err(error) = create(context, workload.kind, watched, event).await {
            tracing::warn!(%workload, error = %ErrorChain(&error), "an Event was not published");
            if error.is_transient() {
                again = Some(RETRY);
            }
        }
    }
    again
}

async fn create(
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
