//! One rollout at a time, over all kinds: whose turn it is.

use std::time::Instant;

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::workloads::{Reference, Workloads};
use crate::kubernetes::Error;
use crate::rollout::{Wait, is_in_progress};
use crate::settlement::budget_annotation;
use crate::workload::Kind;

/// The workload that this controller last set rolling. A new leader knows of none and looks for one first.
#[derive(Default)]
pub(super) struct Turn(Mutex<Option<Rolling>>);

struct Rolling {
    name: Reference,
    wait: Wait,
}

/// Leave to begin a rollout. Until it is given back nobody else gets one: a rollout is only seen once its patch is through,
/// and the controllers of three kinds look at the same time.
#[must_use]
pub(super) struct Leave<'a>(
    #[expect(dead_code, reason = "what counts is that it is held")] MutexGuard<'a, Option<Rolling>>,
);

impl Turn {
    /// Takes the turn for this workload, which is about to be set rolling; `None` where another one's rollout is waited for.
    pub(super) async fn claim(&self, name: &Reference, workloads: &Workloads) -> Result<Option<Leave<'_>>, Error> {
        let mut whose = self.0.lock().await;
        if whose.is_none() {
            *whose = first_rolling(workloads).await?.map(Rolling::from_now);
        }
        if let Some(rolling) = &mut *whose {
            let found = workloads.read(&rolling.name).await?;
            if found.is_some_and(|found| rolling.wait.goes_on(rolling.name.kind, &found, Instant::now())) {
                return Ok(None);
            }
        }
        *whose = Some(Rolling::from_now(name.clone()));
        Ok(Some(Leave(whose)))
    }
}

impl Rolling {
    fn from_now(name: Reference) -> Self {
        Self { name, wait: Wait::from(Instant::now()) }
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

    #[tokio::test]
    async fn a_new_leader_waits_for_a_rollout_of_any_kind() {
        let (server, turn, web) = (ApiServer::with(1), Turn::default(), named(Kind::Deployment, "web"));
        assert!(turn.claim(&web, &server.workloads()).await.unwrap().is_none());
        server.comes_to(3);
        assert!(turn.claim(&web, &server.workloads()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn who_has_the_turn_keeps_the_other_kinds_waiting() {
        let (server, turn) = (ApiServer::with(3), Turn::default());
        assert!(turn.claim(&named(Kind::StatefulSet, "set"), &server.workloads()).await.unwrap().is_some());
        server.comes_to(0);
        let agent = named(Kind::DaemonSet, "agent");
        assert!(turn.claim(&agent, &server.workloads()).await.unwrap().is_none());
        server.comes_to(3);
        assert!(turn.claim(&agent, &server.workloads()).await.unwrap().is_some());
    }
}
