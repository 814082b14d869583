//! Serialises rollouts across all kinds.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, watch};

use super::workload_client::{Reference, WorkloadClient};
use crate::kubernetes::Error;
use winddown_core::annotations::BUDGET;
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::rollout::{ProgressTracker, is_in_progress};

/// How often the rollout in progress is read.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// Added to the retry delay for each waiting workload, so that a thousand of them cause little load.
const DELAY_PER_WAITING: Duration = Duration::from_millis(50);

/// Allows one rollout at a time that this controller starts.
pub(super) struct RolloutGate(Mutex<State>);

struct State {
    /// The rollout in progress. A new leader has none and searches for one first.
    current: Option<CurrentRollout>,
    waiting: HashSet<Reference>,
    leading: watch::Receiver<bool>,
}

struct CurrentRollout {
    workload: Reference,
    progress: ProgressTracker,
    checked: Option<Instant>,
}

/// The answer to a request to start a rollout.
#[must_use]
pub(super) enum Decision<'a> {
    Start(Permit<'a>),
    /// Another rollout is in progress; request again after this delay.
    RetryAfter(Duration),
}

/// Permission to start a rollout. Requests block while it is held: the controllers of the three kinds run concurrently, and
/// a rollout is visible only after its patch.
#[must_use]
pub(super) struct Permit<'a>(#[expect(dead_code, reason = "holds the lock")] MutexGuard<'a, State>);

impl RolloutGate {
    pub(super) fn new(leading: watch::Receiver<bool>) -> Self {
        Self(Mutex::new(State { current: None, waiting: HashSet::new(), leading }))
    }

    /// Requests to start a rollout of this workload.
    pub(super) async fn request(
        &self,
        workload: &Reference,
        client: &WorkloadClient,
        now: Instant,
    ) -> Result<Decision<'_>, Error> {
        let mut state = self.0.lock().await;
        // Another replica may have led in between, or may lead now.
        if state.leading.has_changed().unwrap_or(true) {
            state.current = None;
            state.waiting.clear();
        }
        if !*state.leading.borrow_and_update() {
            return Ok(Decision::RetryAfter(CHECK_INTERVAL));
        }
        if state.current.is_none() {
            state.current = find_rollout(client).await?.map(|found| CurrentRollout::new(found, now));
        }
        if let Some(current) = &mut state.current
            && current.blocks(client, now).await?
        {
            state.waiting.insert(workload.clone());
            let waiting = u32::try_from(state.waiting.len()).unwrap_or(u32::MAX);
            return Ok(Decision::RetryAfter(CHECK_INTERVAL.max(DELAY_PER_WAITING.saturating_mul(waiting))));
        }
        state.waiting.clear();
        state.current = Some(CurrentRollout::new(workload.clone(), now));
        Ok(Decision::Start(Permit(state)))
    }
}

impl CurrentRollout {
    fn new(workload: Reference, now: Instant) -> Self {
        Self { workload, progress: ProgressTracker::new(now), checked: None }
    }

    async fn blocks(&mut self, client: &WorkloadClient, now: Instant) -> Result<bool, Error> {
        if self.checked.is_some_and(|checked| now.saturating_duration_since(checked) < CHECK_INTERVAL) {
            return Ok(true);
        }
        let found = client.read(&self.workload).await?;
        self.checked = Some(now);
        Ok(found.is_some_and(|found| self.progress.keep_waiting(self.workload.kind, &found, now)))
    }
}

/// A rollout in progress of any workload that Winddown manages.
async fn find_rollout(client: &WorkloadClient) -> Result<Option<Reference>, Error> {
    for kind in Kind::ALL {
        let matches = |found: &Value| Object::new(found).annotation(BUDGET).is_some() && is_in_progress(kind, found);
        if let Some(found) = client.find(kind, matches).await? {
            let object = Object::new(&found);
            let name = object.name().unwrap_or_default().to_owned();
            return Ok(Some(Reference { kind, namespace: object.namespace().to_owned(), name }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fake_api_server::FakeApiServer;

    /// An API server with the `StatefulSet` `n/set`, which has three pods, some of them updated.
    fn server(updated: i64) -> FakeApiServer {
        let server = FakeApiServer::default();
        put(&server, updated);
        server
    }

    fn put(server: &FakeApiServer, updated: i64) {
        let status = json!({"updatedReplicas": updated, "availableReplicas": updated});
        let annotations = json!({"winddown.dev/budget": "35s"});
        let metadata = json!({"namespace": "n", "name": "set", "annotations": annotations});
        let set = json!({"metadata": metadata, "spec": {"replicas": 3}, "status": status});
        server.put("/apis/apps/v1/namespaces/n/statefulsets/set", set);
    }

    fn named(kind: Kind, name: &str) -> Reference {
        Reference { kind, namespace: "n".to_owned(), name: name.to_owned() }
    }

    /// The gate of a leader, and the channel that ends its leadership.
    fn gate() -> (RolloutGate, watch::Sender<bool>) {
        let (sender, leading) = watch::channel(true);
        (RolloutGate::new(leading), sender)
    }

    async fn delay(gate: &RolloutGate, workload: &Reference, server: &FakeApiServer, now: Instant) -> Option<Duration> {
        match gate.request(workload, &WorkloadClient::new(server.client()), now).await.unwrap() {
            Decision::Start(_) => None,
            Decision::RetryAfter(delay) => Some(delay),
        }
    }

    #[tokio::test]
    async fn a_new_leader_waits_for_a_rollout_of_any_kind() {
        let (server, (gate, _leading)) = (server(1), gate());
        let (web, now) = (named(Kind::Deployment, "web"), Instant::now());
        assert_eq!(delay(&gate, &web, &server, now).await, Some(CHECK_INTERVAL));
        put(&server, 3);
        assert_eq!(delay(&gate, &web, &server, now + CHECK_INTERVAL).await, None);
    }

    #[tokio::test]
    async fn a_rollout_delays_the_other_kinds() {
        let (server, (gate, _leading), now) = (server(3), gate(), Instant::now());
        assert_eq!(delay(&gate, &named(Kind::StatefulSet, "set"), &server, now).await, None);
        put(&server, 0);
        let agent = named(Kind::DaemonSet, "agent");
        assert_eq!(delay(&gate, &agent, &server, now).await, Some(CHECK_INTERVAL));
        put(&server, 3);
        assert_eq!(delay(&gate, &agent, &server, now + CHECK_INTERVAL).await, None);
    }

    #[tokio::test]
    async fn the_delay_grows_with_the_waiting_workloads_and_requests_share_one_read() {
        let (server, (gate, _leading), now) = (server(1), gate(), Instant::now());
        let mut last = Duration::ZERO;
        for number in 0..1000 {
            last = delay(&gate, &named(Kind::Deployment, &format!("w{number}")), &server, now).await.unwrap();
            // The rollout is complete, but the gate reads it only after the interval.
            put(&server, 3);
        }
        assert_eq!(last, 1000 * DELAY_PER_WAITING);
    }

    #[tokio::test]
    async fn a_leader_that_lost_the_lease_searches_again_for_rollouts() {
        let (server, (gate, leading), now) = (server(3), gate(), Instant::now());
        let web = named(Kind::Deployment, "web");
        assert_eq!(delay(&gate, &web, &server, now).await, None);
        leading.send_replace(false);
        assert_eq!(delay(&gate, &web, &server, now + CHECK_INTERVAL).await, Some(CHECK_INTERVAL), "not the leader");
        leading.send_replace(true);
        put(&server, 1);
        // It started a rollout of `web`, which does not exist; the search finds `set`.
        assert_eq!(delay(&gate, &web, &server, now + CHECK_INTERVAL).await, Some(CHECK_INTERVAL));
        put(&server, 3);
        assert_eq!(delay(&gate, &web, &server, now + 2 * CHECK_INTERVAL).await, None);
    }
}
