//! One rollout at a time, over all kinds: whose turn it is.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, watch};

use super::workload_client::{Reference, Workloads};
use crate::kubernetes::Error;
use winddown_core::evaluation::budget_annotation;
use winddown_core::kind::Kind;
use winddown_core::rollout::{Wait, is_in_progress};

/// How often a rollout that is waited for is looked at.
const LOOK: Duration = Duration::from_secs(3);
/// How much later each of many that wait comes back, so that a thousand of them are no load.
const APART: Duration = Duration::from_millis(50);

/// The workload that this controller last set rolling.
pub(super) struct Turn(Mutex<Whose>);

struct Whose {
    /// A new leader knows of none and looks for one first.
    rolling: Option<Rolling>,
    /// Who has to wait for it.
    waiting: HashSet<Reference>,
    leading: watch::Receiver<bool>,
}

struct Rolling {
    name: Reference,
    wait: Wait,
    looked_at: Option<Instant>,
}

/// What comes of asking for the turn.
#[must_use]
pub(super) enum Claim<'a> {
    /// The rollout may begin.
    Given(Leave<'a>),
    /// Another one's rollout is waited for; to be asked again after that time.
    Later(Duration),
}

/// Leave to begin a rollout. Until it is given back nobody else gets one: a rollout is only seen once its patch is through,
/// and the controllers of three kinds look at the same time.
#[must_use]
pub(super) struct Leave<'a>(#[expect(dead_code, reason = "what counts is that it is held")] MutexGuard<'a, Whose>);

impl Turn {
    pub(super) fn new(leading: watch::Receiver<bool>) -> Self {
        Self(Mutex::new(Whose { rolling: None, waiting: HashSet::new(), leading }))
    }

    /// Takes the turn for this workload, which is about to be set rolling.
    pub(super) async fn claim(
        &self,
        name: &Reference,
        workloads: &Workloads,
        now: Instant,
    ) -> Result<Claim<'_>, Error> {
        let mut whose = self.0.lock().await;
        // Another one may have led in between, or lead by now.
        if whose.leading.has_changed().unwrap_or(true) {
            whose.rolling = None;
            whose.waiting.clear();
        }
        if !*whose.leading.borrow_and_update() {
            return Ok(Claim::Later(LOOK));
        }
        if whose.rolling.is_none() {
            whose.rolling = first_rolling(workloads).await?.map(|found| Rolling::from(found, now));
        }
        if let Some(rolling) = &mut whose.rolling
            && rolling.goes_on(workloads, now).await?
        {
            whose.waiting.insert(name.clone());
            let waiting = u32::try_from(whose.waiting.len()).unwrap_or(u32::MAX);
            return Ok(Claim::Later(LOOK.max(APART.saturating_mul(waiting))));
        }
        whose.waiting.clear();
        whose.rolling = Some(Rolling::from(name.clone(), now));
        Ok(Claim::Given(Leave(whose)))
    }
}

impl Rolling {
    fn from(name: Reference, now: Instant) -> Self {
        Self { name, wait: Wait::from(now), looked_at: None }
    }

    async fn goes_on(&mut self, workloads: &Workloads, now: Instant) -> Result<bool, Error> {
        if self.looked_at.is_some_and(|before| now.saturating_duration_since(before) < LOOK) {
            return Ok(true);
        }
        let found = workloads.read(&self.name).await?;
        self.looked_at = Some(now);
        Ok(found.is_some_and(|found| self.wait.goes_on(self.name.kind, &found, now)))
    }
}

async fn first_rolling(workloads: &Workloads) -> Result<Option<Reference>, Error> {
    for kind in Kind::ALL {
        let rolls = |found: &Value| budget_annotation(found).is_some() && is_in_progress(kind, found);
        if let Some(found) = workloads.find(kind, rolls).await? {
            let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            return Ok(Some(Reference { kind, namespace: text("/metadata/namespace"), name: text("/metadata/name") }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::State;
    use axum::http::Uri;
    use kube::Client;
    use serde_json::json;

    use super::*;

    /// As much of an API server as a turn needs: the one workload `n/set`, which is read and listed.
    #[derive(Clone, Default)]
    struct ApiServer(Arc<Mutex<Value>>);

    impl ApiServer {
        /// A `StatefulSet`; what is new of its three pods.
        fn with(replaced: i64) -> Self {
            let server = Self::default();
            server.comes_to(replaced);
            server
        }

        fn comes_to(&self, replaced: i64) {
            let status = json!({"updatedReplicas": replaced, "availableReplicas": replaced});
            let annotations = json!({"winddown.dev/budget": "35s"});
            let metadata = json!({"namespace": "n", "name": "set", "annotations": annotations});
            *self.0.lock().unwrap() = json!({"metadata": metadata, "spec": {"replicas": 3}, "status": status});
        }

        fn workloads(&self) -> Workloads {
            Workloads::new(Client::new(Router::new().fallback(call).with_state(self.clone()), "n"))
        }
    }

    async fn call(State(server): State<ApiServer>, uri: Uri) -> String {
        let set = server.0.lock().unwrap().clone();
        match uri.path() {
            "/apis/apps/v1/namespaces/n/statefulsets/set" => set.to_string(),
            "/apis/apps/v1/statefulsets" => json!({"metadata": {}, "items": [set]}).to_string(),
            _ => json!({"metadata": {}, "items": []}).to_string(),
        }
    }

    fn named(kind: Kind, name: &str) -> Reference {
        Reference { kind, namespace: "n".to_owned(), name: name.to_owned() }
    }

    /// The turn of a leader, and the way to take the lead from it.
    fn turn() -> (Turn, watch::Sender<bool>) {
        let (lead, leading) = watch::channel(true);
        (Turn::new(leading), lead)
    }

    async fn asked(turn: &Turn, name: &Reference, server: &ApiServer, now: Instant) -> Option<Duration> {
        match turn.claim(name, &server.workloads(), now).await.unwrap() {
            Claim::Given(_) => None,
            Claim::Later(later) => Some(later),
        }
    }

    #[tokio::test]
    async fn a_new_leader_waits_for_a_rollout_of_any_kind() {
        let (server, (turn, _lead)) = (ApiServer::with(1), turn());
        let (web, now) = (named(Kind::Deployment, "web"), Instant::now());
        assert_eq!(asked(&turn, &web, &server, now).await, Some(LOOK));
        server.comes_to(3);
        assert_eq!(asked(&turn, &web, &server, now + LOOK).await, None);
    }

    #[tokio::test]
    async fn who_has_the_turn_keeps_the_other_kinds_waiting() {
        let (server, (turn, _lead), now) = (ApiServer::with(3), turn(), Instant::now());
        assert_eq!(asked(&turn, &named(Kind::StatefulSet, "set"), &server, now).await, None);
        server.comes_to(0);
        let agent = named(Kind::DaemonSet, "agent");
        assert_eq!(asked(&turn, &agent, &server, now).await, Some(LOOK));
        server.comes_to(3);
        assert_eq!(asked(&turn, &agent, &server, now + LOOK).await, None);
    }

    #[tokio::test]
    async fn a_thousand_that_wait_ask_less_often_and_are_answered_without_a_look() {
        let (server, (turn, _lead), now) = (ApiServer::with(1), turn(), Instant::now());
        let mut later = Duration::ZERO;
        for number in 0..1000 {
            later = asked(&turn, &named(Kind::Deployment, &format!("w{number}")), &server, now).await.unwrap();
            // Whatever it has come to, nobody looks before it is time.
            server.comes_to(3);
        }
        assert_eq!(later, 1000 * APART);
    }

    #[tokio::test]
    async fn who_led_before_looks_again_for_what_others_set_rolling() {
        let (server, (turn, lead), now) = (ApiServer::with(3), turn(), Instant::now());
        let web = named(Kind::Deployment, "web");
        assert_eq!(asked(&turn, &web, &server, now).await, None);
        lead.send_replace(false);
        assert_eq!(asked(&turn, &web, &server, now + LOOK).await, Some(LOOK), "it leads no more");
        lead.send_replace(true);
        server.comes_to(1);
        // `web`, which it set rolling itself, is gone.
        assert_eq!(asked(&turn, &web, &server, now + LOOK).await, Some(LOOK));
        server.comes_to(3);
        assert_eq!(asked(&turn, &web, &server, now + 2 * LOOK).await, None);
    }
}
