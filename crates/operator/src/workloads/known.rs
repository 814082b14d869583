//! The workloads of one kind that the watch reports, and what the replica knows of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

use super::context::Shared;
use super::look::look;
use super::table::{Before, Table};
use super::watched::Watched;
use winddown_core::kind::Kind;
use winddown_core::observation::WorkloadRef;

/// Keeps the workloads of a kind, looks at each one that is new or has changed, and forgets what the replica knows of those
/// that no longer exist.
pub(super) struct Known {
    kind: Kind,
    table: Arc<Mutex<Table>>,
    /// Those that need a reconciliation: the controller takes them from here.
    store: Writer<Watched>,
    shared: Arc<Shared>,
}

impl Known {
    pub(super) fn new(kind: Kind, shared: Arc<Shared>) -> Self {
        let mut store = Writer::new(kind);
        // The controller waits for a list, and this one has no more.
        store.apply_watcher_event(&Event::Init);
        store.apply_watcher_event(&Event::InitDone);
        Self { kind, table: Arc::default(), store, shared }
    }

    pub(super) fn table(&self) -> Arc<Mutex<Table>> {
        self.table.clone()
    }

    pub(super) fn store(&self) -> Store<Watched> {
        self.store.as_reader()
    }

    /// Returns the workloads that need a reconciliation.
    pub(super) async fn apply(&mut self, event: Event<Watched>) -> Vec<Watched> {
        match event {
            Event::Init => self.locked().begin_list(),
            Event::InitApply(found) => {
                self.insert(&found);
                return self.look_at([found]).await;
            }
            Event::InitDone => {
                let gone = self.locked().end_list();
                for gone in &gone {
                    self.forget(gone);
                }
                self.shared.cluster.governed.listed(self.kind);
                // For the pages of the list.
                self.shared.trimming.request();
            }
            Event::Apply(found) => {
                let with_labels = self.shared.selection.needs_object_labels();
                let is_as = |before: &Watched| before.relevant(with_labels) == found.relevant(with_labels);
                if !matches!(self.insert(&found), Before::Same(before) if is_as(&before)) {
                    return self.look_at([found]).await;
                }
            }
            Event::Delete(deleted) => {
                // First: a reconciliation that ends later looks there, and forgets it again.
                self.locked().remove(&deleted);
                self.forget(&deleted);
            }
        }
        Vec::new()
    }

    /// Something else changed than this workload. Returns it if it needs a reconciliation.
    pub(super) async fn look_again(&mut self, workload: &WorkloadRef) -> Vec<Watched> {
        let found = self.locked().get(&workload.namespace, &workload.name);
        self.look_at(found).await
    }

    /// The same for all workloads of a namespace.
    pub(super) async fn look_again_in(&mut self, namespace: &str) -> Vec<Watched> {
        let found = self.locked().in_namespace(namespace);
        self.look_at(found).await
    }

    async fn look_at(&mut self, found: impl IntoIterator<Item = Watched>) -> Vec<Watched> {
        let mut necessary = Vec::new();
        for mut watched in found {
            let is_necessary = look(&mut watched, self.kind, &self.shared, &self.table).await;
            // One that waits for a reconciliation is reconciled as it is now.
            let is_stored = || self.store().get(&ObjectRef::from_obj_with(&watched, self.kind)).is_some();
            if is_necessary || is_stored() {
                self.store.apply_watcher_event(&Event::Apply(watched.clone()));
            }
            if is_necessary {
                necessary.push(watched);
            }
        }
        necessary
    }

    /// Keeps a workload that exists, and returns what it was before.
    fn insert(&self, found: &Watched) -> Before {
        self.shared.exists(found);
        if let Some(reference) = found.reference(self.kind) {
            self.shared.budgets.has_pods(&reference, found.pods);
        }
        let before = self.locked().insert(found);
        match &before {
            Before::New => {}
            Before::Replaced(replaced) => self.shared.forget(self.kind, replaced),
            Before::Same(before) => {
                if let (None, Some(_), Some(uid)) = (before.annotations, found.annotations, &found.metadata.uid) {
                    self.shared.history.was_unannotated(uid);
                }
            }
        }
        before
    }

    fn forget(&mut self, gone: &Watched) {
        self.store.apply_watcher_event(&Event::Delete(gone.clone()));
        self.shared.forget(self.kind, gone);
    }

    fn locked(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut workloads = Known::new(KIND, shared.clone());
        for event in [Event::Init, Event::InitApply(watched("web", "1")), Event::InitDone] {
            workloads.apply(event).await;
        }
        for event in [Event::Apply(watched("db", "2")), Event::Apply(watched("api", "3"))] {
            workloads.apply(event).await;
        }
        for (name, uid) in [("web", "1"), ("db", "2"), ("api", "3")] {
            learn(&shared, &watched(name, uid));
        }
        // A list that ends early shows nothing.
        for event in [Event::Init, Event::Init, Event::InitApply(watched("web", "1"))] {
            workloads.apply(event).await;
        }
        assert_eq!(known(&shared, "2"), [true; 4]);
        // "db" was deleted, and "api" was replaced by another one with its name.
        for event in [Event::InitApply(watched("api", "4")), Event::InitDone] {
            workloads.apply(event).await;
        }
        assert_eq!(["1", "2", "3"].map(|uid| known(&shared, uid)), [[true; 4], [false; 4], [false; 4]]);
        workloads.apply(Event::Delete(watched("web", "1"))).await;
        assert_eq!(known(&shared, "1"), [false; 4]);
    }

    #[tokio::test]
    async fn a_workload_that_is_deleted_during_its_reconciliation_is_forgotten() {
        let server = FakeApiServer::default();
        server.put("/apis/apps/v1/namespaces/shop/deployments/web", deployment("web", "1"));
        server.put("/api/v1/namespaces/shop", json!({"metadata": {"name": "shop"}}));
        let shared = shared(&server);
        shared.cluster.read_namespace("shop", Duration::from_secs(1)).await.unwrap();
        let mut workloads = Known::new(KIND, shared.clone());
        let context = Arc::new(Context { kind: KIND, table: workloads.table(), shared: shared.clone() });
        let reconciliation = || reconcile(Arc::new(watched("web", "1")), context.clone());
        for event in [Event::Init, Event::InitApply(watched("web", "1")), Event::InitDone] {
            workloads.apply(event).await;
        }
        reconciliation().await.unwrap();
        assert_eq!(known(&shared, "1"), [true, false, true, true], "control");
        for (event, case) in [
            (Event::Apply(watched("web", "2")), "another one has its name"),
            (Event::Delete(watched("web", "2")), "deleted"),
        ] {
            workloads.apply(event).await;
            reconciliation().await.unwrap();
            assert_eq!(known(&shared, "1"), [false; 4], "{case}");
        }
    }

    #[tokio::test]
    async fn an_event_that_is_older_than_what_was_read_is_not_reported() {
        let server = FakeApiServer::default();
        server.put("/api/v1/namespaces/shop", json!({"metadata": {"name": "shop"}}));
        let shared = shared(&server);
        shared.cluster.read_namespace("shop", Duration::from_secs(1)).await.unwrap();
        let mut workloads = Known::new(KIND, shared.clone());
        let at = |version: &str, generation: u64| {
            let mut deployment = deployment("web", "1");
            deployment["metadata"]["resourceVersion"] = json!(version);
            deployment["metadata"]["generation"] = json!(generation);
            serde_json::from_value::<Watched>(deployment).unwrap()
        };
        assert_eq!(workloads.apply(Event::Apply(at("9", 1))).await.len(), 0, "evaluated by a follower");
        // A reconciliation has read and evaluated a newer one.
        assert!(workloads.locked().claim(&at("11", 3), Some("11")));
        assert_eq!(workloads.apply(Event::Apply(at("10", 2))).await.len(), 1, "left to a reconciliation");
        assert_eq!(workloads.apply(Event::Apply(at("11", 3))).await.len(), 0);
    }
}
