//! The workloads of one kind that the watch reports, and what the replica knows of each.

use std::collections::HashSet;
use std::sync::Arc;

use kube::core::ApiResource;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;

use super::context::Shared;
use super::watched::Watched;
use winddown_core::kind::Kind;

/// Keeps the workloads of a kind, and forgets what the replica knows of those that no longer exist.
pub(super) struct Known {
    kind: Kind,
    store: Writer<Watched>,
    shared: Arc<Shared>,
}

impl Known {
    pub(super) fn new(kind: Kind, resource: ApiResource, shared: Arc<Shared>) -> Self {
        Self { kind, store: Writer::new(resource), shared }
    }

    pub(super) fn store(&self) -> Store<Watched> {
        self.store.as_reader()
    }

    /// Returns the workloads to look at. Those of a list follow when it is complete: only then are they in the store, from
    /// which the controller takes them.
    pub(super) fn apply(&mut self, event: &Event<Watched>) -> Vec<Arc<Watched>> {
        if let Event::Apply(found) | Event::InitApply(found) = event {
            self.shared.exists(found);
        }
        // While a watch is interrupted, deletions are not reported.
        let before = if matches!(event, Event::InitDone) { self.store().state() } else { Vec::new() };
        // A workload leaves the store first: a reconciliation that ends later looks there, and forgets it again.
        self.store.apply_watcher_event(event);
        match event {
            Event::Init | Event::InitApply(_) => Vec::new(),
            Event::InitDone => {
                let listed = self.store().state();
                let uids: HashSet<_> = listed.iter().filter_map(|watched| watched.metadata.uid.as_deref()).collect();
                let is_gone = |uid: &str| !uids.contains(uid);
                let gone = before.iter().filter(|watched| watched.metadata.uid.as_deref().is_some_and(is_gone));
                gone.for_each(|gone| self.shared.forget(self.kind, gone));
                self.shared.cluster.governed.listed(self.kind);
                listed
            }
            Event::Apply(found) => vec![Arc::new(found.clone())],
            Event::Delete(deleted) => {
                self.shared.forget(self.kind, deleted);
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::sync::watch;

    use super::*;
    use crate::budgets::Budgets;
    use crate::cluster::Cluster;
    use crate::fake_api_server::FakeApiServer;
    use crate::kubernetes::api_resource;
    use crate::workloads::context::{Context, Identity, Reporting, now};
    use crate::workloads::publish::Publisher;
    use crate::workloads::reconcile::reconcile;
    use winddown_core::report::Reported;

    const KIND: Kind = Kind::Deployment;

    /// An annotated Deployment, with too short a grace period.
    fn deployment(name: &str, uid: &str) -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "namespace": "shop", "name": name, "uid": uid, "generation": 1,
                "annotations": {"winddown.dev/drain": "5s"},
            },
            "spec": {"template": {"spec": {"containers": [{"name": "app"}], "terminationGracePeriodSeconds": 10}}},
        })
    }

    fn watched(name: &str, uid: &str) -> Watched {
        serde_json::from_value(deployment(name, uid)).unwrap()
    }

    /// A follower.
    fn shared(server: &FakeApiServer) -> Arc<Shared> {
        let cluster = Cluster::unwatched(server.client());
        let text = String::new;
        let identity = Identity { namespace: text(), deployment: text(), pod: text(), lease: text() };
        let (selection, trimming, metrics) = Default::default();
        let leading = watch::channel(false).1;
        let publisher = Arc::new(Publisher::new(server.client(), &identity.pod));
        let reporting = Reporting { budgets: Budgets::absent(server.client(), &publisher), publisher };
        Arc::new(Shared::new(server.client(), cluster, leading, identity, reporting, selection, trimming, metrics))
    }

    /// Whether history, pacing, metrics and policies know a workload.
    fn known(shared: &Shared, uid: &str) -> [bool; 4] {
        [
            shared.history.knows(uid),
            shared.pacing.knows(uid),
            shared.metrics.workloads.knows(uid),
            shared.cluster.governed.knows(uid),
        ]
    }

    fn learn(shared: &Shared, watched: &Watched) {
        let uid = watched.metadata.uid.as_deref().unwrap();
        shared.history.mark_reported(uid, Reported::default());
        shared.pacing.failed(uid, now());
        shared.metrics.workloads.not_evaluated(uid);
        shared.exists(watched);
    }

    #[tokio::test]
    async fn a_workload_that_a_later_list_does_not_have_is_forgotten() {
        let shared = shared(&FakeApiServer::default());
        let mut workloads = Known::new(KIND, api_resource(KIND), shared.clone());
        for event in [Event::Init, Event::InitApply(watched("web", "1")), Event::InitDone] {
            workloads.apply(&event);
        }
        for event in [Event::Apply(watched("db", "2")), Event::Apply(watched("api", "3"))] {
            workloads.apply(&event);
        }
        for (name, uid) in [("web", "1"), ("db", "2"), ("api", "3")] {
            learn(&shared, &watched(name, uid));
        }
        // A list that ends early shows nothing.
        for event in [Event::Init, Event::Init, Event::InitApply(watched("web", "1"))] {
            workloads.apply(&event);
        }
        assert_eq!(known(&shared, "2"), [true; 4]);
        // "db" was deleted, and "api" was replaced by another one with its name.
        for event in [Event::InitApply(watched("api", "4")), Event::InitDone] {
            workloads.apply(&event);
        }
        assert_eq!(["1", "2", "3"].map(|uid| known(&shared, uid)), [[true; 4], [false; 4], [false; 4]]);
        workloads.apply(&Event::Delete(watched("web", "1")));
        assert_eq!(known(&shared, "1"), [false; 4]);
    }

    #[tokio::test]
    async fn a_workload_that_is_deleted_during_its_reconciliation_is_forgotten() {
        let server = FakeApiServer::default();
        server.put("/apis/apps/v1/namespaces/shop/deployments/web", deployment("web", "1"));
        server.put("/api/v1/namespaces/shop", json!({"metadata": {"name": "shop"}}));
        let shared = shared(&server);
        shared.cluster.read_namespace("shop", Duration::from_secs(1)).await.unwrap();
        let mut workloads = Known::new(KIND, api_resource(KIND), shared.clone());
        let context = Arc::new(Context { kind: KIND, store: workloads.store(), shared: shared.clone() });
        let reconciliation = || reconcile(Arc::new(watched("web", "1")), context.clone());
        for event in [Event::Init, Event::InitApply(watched("web", "1")), Event::InitDone] {
            workloads.apply(&event);
        }
        reconciliation().await.unwrap();
        assert_eq!(known(&shared, "1"), [true, false, true, true], "control");
        for (event, case) in [
            (Event::Apply(watched("web", "2")), "another one has its name"),
            (Event::Delete(watched("web", "2")), "deleted"),
        ] {
            workloads.apply(&event);
            reconciliation().await.unwrap();
            assert_eq!(known(&shared, "1"), [false; 4], "{case}");
        }
    }
}
