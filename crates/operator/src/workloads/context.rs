//! What a reconciliation needs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;

use super::event_history::EventHistory;
use super::pacing::PacingByWorkload;
use super::publish::Publisher;
use super::related_objects::RelatedObjects;
use super::rollout_gate::RolloutGate;
use super::rollout_record::RolloutRecord;
use super::selection::Selection;
use super::table::Table;
use super::watched::Watched;
use super::workload_client::WorkloadClient;
use crate::budgets::Budgets;
use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::policies::Standing;
use crate::trimming::Trimming;
use winddown_core::kind::Kind;
use winddown_core::observation::WorkloadRef;
use winddown_core::policy::Namespace;

/// This replica.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The operator's namespace.
    pub namespace: String,
    /// The operator's own Deployment, which the controller does not change.
    pub deployment: String,
    /// This replica's pod.
    pub pod: String,
    /// The Lease of the leader, in the operator's namespace.
    pub lease: String,
}

/// Where the controller reports what it finds.
pub(crate) struct Reporting {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) budgets: Budgets,
}

/// The context of the controller of one kind.
pub(super) struct Context {
    pub(super) kind: Kind,
    /// The workloads of the kind.
    pub(super) table: Arc<Mutex<Table>>,
    pub(super) shared: Arc<Shared>,
}

impl Context {
    /// Forgets a workload again that was deleted during its reconciliation, also if another one has its name now.
    pub(super) fn forget_if_gone(&self, watched: &Watched) {
        if !self.table.lock().unwrap_or_else(PoisonError::into_inner).has(watched) {
            self.shared.forget(self.kind, watched);
        }
    }
}

/// What the controllers of all kinds share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) trimming: Trimming,
    pub(super) workloads: WorkloadClient,
    pub(super) related: RelatedObjects,
    pub(super) identity: Identity,
    pub(super) selection: Selection,
    pub(super) cluster: Cluster,
    pub(super) publisher: Arc<Publisher>,
    pub(super) budgets: Budgets,
    pub(super) pacing: Arc<PacingByWorkload>,
    pub(super) leading: watch::Receiver<bool>,
    pub(super) history: Arc<EventHistory>,
    pub(super) gate: RolloutGate,
    pub(super) metrics: Metrics,
    pub(super) started: Timestamp,
}

/// The time, on the clock that tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "each has a type of its own")]
    pub(super) fn new(
        client: Client,
        cluster: Cluster,
        leading: watch::Receiver<bool>,
        identity: Identity,
        reporting: Reporting,
        selection: Selection,
        trimming: Trimming,
        metrics: Metrics,
    ) -> Self {
        let Reporting { publisher, budgets } = reporting;
        let record = RolloutRecord::new(&client, &identity.namespace, &identity.lease);
        Self {
            workloads: WorkloadClient::new(client.clone(), trimming.clone()),
            related: RelatedObjects::new(client.clone(), trimming.clone()),
            client,
            trimming,
            cluster,
            identity,
            selection,
            pacing: publisher.pacing.clone(),
            gate: RolloutGate::new(leading.clone(), record),
            leading,
            history: publisher.history.clone(),
            publisher,
            budgets,
            metrics,
            started: Timestamp::now(),
        }
    }

    /// The watch has seen a workload.
    pub(super) fn exists(&self, watched: &Watched) {
        if let Some(uid) = watched.metadata.uid.as_ref().filter(|_| watched.annotations.is_some()) {
            self.cluster.governed.exists(uid);
        }
    }

    /// A workload does not exist any more.
    pub(super) fn forget(&self, kind: Kind, watched: &Watched) {
        if let Some(uid) = &watched.metadata.uid {
            if let Some(workload) = watched.reference(kind) {
                self.budgets.forget(&workload, uid);
            }
            self.history.forget(uid);
            self.pacing.forget(uid);
            self.metrics.workloads.forget(uid);
            self.cluster.governed.forget(uid);
        }
    }

    /// Winddown does not look at a workload.
    pub(super) fn ignore(&self, watched: &Watched) {
        if let Some(uid) = &watched.metadata.uid {
            self.metrics.workloads.forget(uid);
        }
    }

    /// What the policy means for a workload that was looked at.
    pub(super) fn govern(&self, watched: &Watched, standing: Standing) {
        let (Some(namespace), Some(uid)) = (&watched.metadata.namespace, &watched.metadata.uid) else { return };
        let governed = &self.cluster.governed;
        if watched.annotations.is_some() {
            governed.evaluated(uid, standing);
        } else if let Some(standing) = self.standing_of_unannotated(namespace) {
            governed.opted_in(uid, standing);
        } else {
            governed.forget(uid);
        }
    }

    /// Whether a workload without annotations has a budget: one that is left from a declaration, or because its namespace opts
    /// it in.
    pub(super) fn has_budget(&self, workload: &WorkloadRef) -> bool {
        let leads = self.budgets.available() && *self.leading.borrow();
        leads && (self.budgets.has(workload) || self.standing_of_unannotated(&workload.namespace).is_some())
    }

    /// What the policy means for a workload without annotations in a namespace that opts it in; `None` in others. The webhook
    /// injects when the template changes: to label a namespace restarts nothing.
    pub(super) fn standing_of_unannotated(&self, namespace: &str) -> Option<Standing> {
        let namespace = self.cluster.namespace(namespace).filter(Namespace::opted_in)?;
        let policies = self.cluster.policies.get();
        let policy = policies.for_namespace(&namespace).policy.name.clone();
        self.selection.namespace(&namespace).mutating.then_some(Standing { policy, waiting: true })
    }
}
