//! Publishes Events about workloads, up to the limit of each.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::context::now;
use super::event_history::EventHistory;
use super::pacing::PacingByWorkload;
use crate::kubernetes::{self, within};
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;
use winddown_core::observation::WorkloadRef;
use winddown_core::report::{self, EventKind, Reported};

/// After a failure of the API server. Each attempt also counts as an Event.
pub(super) const RETRY: Duration = Duration::from_mins(1);

/// Publishes Events as this replica.
pub(crate) struct Publisher {
    client: Client,
    /// The name of this replica's pod.
    pod: String,
    pub(super) pacing: Arc<PacingByWorkload>,
    pub(super) history: Arc<EventHistory>,
}

impl Publisher {
    pub(crate) fn new(client: Client, pod: &str) -> Self {
        let (pacing, history) = Default::default();
        Self { client, pod: pod.to_owned(), pacing, history }
    }

    /// Publishes what the limit allows. Returns the delay after which to try again if nothing could be published: the Events
    /// are then those of the state at that time.
    pub(super) async fn publish(
        &self,
        workload: &WorkloadRef,
        uid: &str,
        events: Vec<report::Event>,
    ) -> Option<Duration> {
        match self.allowed(uid, events) {
            Ok(events) => {
                let failed = self.send(workload, uid, events).await;
                (!failed.is_empty()).then_some(RETRY)
            }
            Err(delay) => Some(delay),
        }
    }

    /// The state of a workload was reported.
    pub(crate) fn reported(&self, uid: &str, state: Reported) {
        self.history.mark_reported(uid, state);
    }

    /// The delay until the limit allows an Event; `None` if it allows one now.
    pub(crate) fn delay(&self, uid: &str) -> Option<Duration> {
        self.pacing.publish_delay(uid, now())
    }

    /// Those that the limit allows; the first one tells how many were withheld. If it allows none, the delay until it does.
    pub(crate) fn allowed(&self, uid: &str, events: Vec<report::Event>) -> Result<Vec<report::Event>, Duration> {
        if events.is_empty() {
            return Ok(events);
        }
        let (allowed, withheld) = self.pacing.publish(uid, events.len(), now())?;
        let mut events: Vec<_> = events.into_iter().take(allowed).collect();
        if let Some(first) = events.first_mut() {
            *first = first.clone().after_withheld(withheld);
        }
        Ok(events)
    }

    /// Publishes Events. Returns those that the API server could not store and may store later.
    pub(crate) async fn send(
        &self,
        workload: &WorkloadRef,
        uid: &str,
        events: Vec<report::Event>,
    ) -> Vec<report::Event> {
        let mut again = Vec::new();
        for event in events {
            // Without quota for Events in a namespace, its workloads are still updated.
            if let Err(error) = self.create(workload, uid, &event).await
                && !error.is_of_terminating_namespace()
            {
                tracing::warn!(%workload, error = %ErrorChain(&error), "an Event was not published");
                if error.is_transient() {
                    again.push(event);
                }
            }
        }
        again
    }

    async fn create(&self, workload: &WorkloadRef, uid: &str, event: &report::Event) -> Result<(), kubernetes::Error> {
        let regarding = ObjectReference {
            api_version: Some(Kind::API_VERSION.to_owned()),
            kind: Some(workload.kind.to_string()),
            namespace: Some(workload.namespace.clone()),
            name: Some(workload.name.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: match event.kind {
                EventKind::Normal => EventType::Normal,
                EventKind::Warning => EventType::Warning,
            },
            reason: event.reason.to_owned(),
            note: Some(event.note.clone()),
            action: "Plan".to_owned(),
            secondary: None,
        };
        // A new recorder for each Event. A `Recorder` that is reused merges Events with the same reason into one with a count
        // and keeps the first message; here every Event reports a change.
        let reporter = Reporter { controller: "winddown".to_owned(), instance: Some(self.pod.clone()) };
        let recorder = Recorder::new(self.client.clone(), reporter);
        within("publish an Event", recorder.publish(&event, &regarding)).await
    }
}
