//! Serialises rollouts across all kinds.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, watch};

use super::rollout_record::RolloutRecord;
use super::workload_client::WorkloadClient;
use crate::kubernetes::Error;
use winddown_core::observation::WorkloadRef;
use winddown_core::rollout::ProgressTracker;

/// How often the rollout in progress is read.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// Added to the retry delay for each waiting workload, so that a thousand of them cause little load.
const DELAY_PER_WAITING: Duration = Duration::from_millis(50);

/// Allows one rollout at a time that this controller starts.
pub(super) struct RolloutGate {
    state: Mutex<State>,
    record: RolloutRecord,
}

struct State {
    /// The rollout in progress. A new leader has none and first reads which one was recorded.
    current: Option<CurrentRollout>,
    waiting: HashSet<WorkloadRef>,
    leading: watch::Receiver<bool>,
}

struct CurrentRollout {
    workload: WorkloadRef,
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
    pub(super) fn new(leading: watch::Receiver<bool>, record: RolloutRecord) -> Self {
        Self { state: Mutex::new(State { current: None, waiting: HashSet::new(), leading }), record }
    }

    /// Requests to start a rollout of this workload.
    pub(super) async fn request(
        &self,
        workload: &WorkloadRef,
        client: &WorkloadClient,
        now: Instant,
    ) -> Result<Decision<'_>, Error> {
        let mut state = self.state.lock().await;
        // Another replica may have led in between, or may lead now.
        if state.leading.has_changed().unwrap_or(true) {
            state.current = None;
            state.waiting.clear();
        }
        if !*state.leading.borrow_and_update() {
            return Ok(Decision::RetryAfter(CHECK_INTERVAL));
        }
        if state.current.is_none() {
            state.current = self.record.read().await?.map(|found| CurrentRollout::new(found, now));
        }
        if let Some(current) = &mut state.current
            && current.blocks(client, now).await?
        {
            state.waiting.insert(workload.clone());
            let waiting = u32::try_from(state.waiting.len()).unwrap_or(u32::MAX);
            return Ok(Decision::RetryAfter(CHECK_INTERVAL.max(DELAY_PER_WAITING.saturating_mul(waiting))));
        }
        self.record.write(workload).await?;
        state.waiting.clear();
        state.current = Some(CurrentRollout::new(workload.clone(), now));
        Ok(Decision::Start(Permit(state)))
    }
}

impl CurrentRollout {
    fn new(workload: WorkloadRef, now: Instant) -> Self {
        Self { workload, progress: ProgressTracker::new(now), checked: None }
    }

    async fn blocks(&mut self, client: &WorkloadClient, now: Instant) -> Result<bool, Error> {
        if self.checked.is_some_and(|checked| now.saturating_duration_since(checked) < CHECK_INTERVAL) {
            return Ok(true);
        }
        let found = client.read_with_status(&self.workload).await?;
        self.checked = Some(now);
        Ok(found.is_some_and(|found| self.progress.keep_waiting(self.workload.kind, &found, now)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rollout_record::ANNOTATION;
    use super::*;
    use crate::fake_api_server::FakeApiServer;
    use crate::trimming::Trimming;
    use winddown_core::kind::Kind;

    /// An API server with the `StatefulSet` `n/set`, which has three pods, some of them updated, and the Lease.
    fn server(updated: i64) -> FakeApiServer {
        let server = FakeApiServer::default();
        put(&server, updated);
        server.put(LEASE, json!({"metadata": {"name": "winddown"}}));
        server
    }

    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/winddown/leases/winddown";

    /// Records a rollout as another leader does.
    fn record(server: &FakeApiServer, workload: &str) {
        server.put(LEASE, json!({"metadata": {"name": "winddown", "annotations": {ANNOTATION: workload}}}));
    }

    fn put(server: &FakeApiServer, updated: i64) {
        let status = json!({"updatedReplicas": updated, "availableReplicas": updated});
        let annotations = json!({"winddown.dev/budget": "35s"});
        let metadata = json!({"namespace": "n", "name": "set", "annotations": annotations});
        let set = json!({"metadata": metadata, "spec": {"replicas": 3}, "status": status});
        server.put("/apis/apps/v1/namespaces/n/statefulsets/set", set);
    }

    fn named(kind: Kind, name: &str) -> WorkloadRef {
        WorkloadRef { kind, namespace: "n".to_owned(), name: name.to_owned() }
    }

    /// The gate of a leader, and the channel that ends its leadership.
    fn gate(server: &FakeApiServer) -> (RolloutGate, watch::Sender<bool>) {
        let (sender, leading) = watch::channel(true);
        (RolloutGate::new(leading, RolloutRecord::new(&server.client(), "winddown", "winddown")), sender)
    }

    async fn delay(
        gate: &RolloutGate,
        workload: &WorkloadRef,
        server: &FakeApiServer,
        now: Instant,
    ) -> Option<Duration> {
        match gate.request(workload, &WorkloadClient::new(server.client(), Trimming::default()), now).await.unwrap() {
            Decision::Start(_) => None,
            Decision::RetryAfter(delay) => Some(delay),
        }
    }

    #[tokio::test]
    async fn a_new_leader_waits_for_the_recorded_rollout_of_any_kind() {
        let server = server(1);
        let (gate, _leading) = gate(&server);
        record(&server, "StatefulSet n/set");
        let (web, now) = (named(Kind::Deployment, "web"), Instant::now());
        assert_eq!(delay(&gate, &web, &server, now).await, Some(CHECK_INTERVAL));
        put(&server, 3);
        assert_eq!(delay(&gate, &web, &server, now + CHECK_INTERVAL).await, None);
        let lease = server.get(LEASE).unwrap();
        assert_eq!(lease["metadata"]["annotations"][ANNOTATION], "Deployment n/web");
        assert_eq!(server.lists(), 0, "a list would transfer every workload of the cluster");
    }

    #[tokio::test]
    async fn another_text_on_the_lease_is_no_rollout() {
        for text in ["", "StatefulSet", "StatefulSet set", "Pod n/set", "Deployment n/unknown"] {
            let server = server(1);
            let (gate, _leading) = gate(&server);
            record(&server, text);
            assert_eq!(delay(&gate, &named(Kind::Deployment, "web"), &server, Instant::now()).await, None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_rollout_delays_the_other_kinds() {
        let (server, now) = (server(3), Instant::now());
        let (gate, _leading) = gate(&server);
        assert_eq!(delay(&gate, &named(Kind::StatefulSet, "set"), &server, now).await, None);
        put(&server, 0);
        let agent = named(Kind::DaemonSet, "agent");
        assert_eq!(delay(&gate, &agent, &server, now).await, Some(CHECK_INTERVAL));
        put(&server, 3);
        assert_eq!(delay(&gate, &agent, &server, now + CHECK_INTERVAL).await, None);
    }

    #[tokio::test]
    async fn the_delay_grows_with_the_waiting_workloads_and_requests_share_one_read() {
        let (server, now) = (server(1), Instant::now());
        let (gate, _leading) = gate(&server);
        record(&server, "StatefulSet n/set");
        let mut last = Duration::ZERO;
        for number in 0..1000 {
            last = delay(&gate, &named(Kind::Deployment, &format!("w{number}")), &server, now).await.unwrap();
            // The rollout is complete, but the gate reads it only after the interval.
            put(&server, 3);
        }
        assert_eq!(last, 1000 * DELAY_PER_WAITING);
    }

    #[tokio::test]
    async fn a_leader_that_lost_the_lease_reads_the_record_again() {
        let (server, now) = (server(3), Instant::now());
        let (gate, leading) = gate(&server);
        let web = named(Kind::Deployment, "web");
        assert_eq!(delay(&gate, &web, &server, now).await, None);
        leading.send_replace(false);
        assert_eq!(delay(&gate, &web, &server, now + CHECK_INTERVAL).await, Some(CHECK_INTERVAL), "not the leader");
        // Another leader started a rollout of `set`.
        record(&server, "StatefulSet n/set");
        leading.send_replace(true);
        put(&server, 1);
        assert_eq!(delay(&gate, &web, &server, now + CHECK_INTERVAL).await, Some(CHECK_INTERVAL));
        put(&server, 3);
        assert_eq!(delay(&gate, &web, &server, now + 2 * CHECK_INTERVAL).await, None);
    }
}
