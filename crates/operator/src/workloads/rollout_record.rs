//! The rollout in progress, recorded on the Lease, so that a new leader continues to wait for it.
//!
//! The alternative, a list of all workloads, transfers every object of a cluster to find one.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::kubernetes::{Error, within};
use winddown_core::kind::Kind;
use winddown_core::observation::WorkloadRef;

/// `KIND NAMESPACE/NAME`, as a [`WorkloadRef`] is displayed.
pub(super) const ANNOTATION: &str = "state.winddown.dev/rollout";

pub(super) struct RolloutRecord {
    leases: Api<Lease>,
    lease: String,
}

impl RolloutRecord {
    pub(super) fn new(client: &Client, namespace: &str, lease: &str) -> Self {
        Self { leases: Api::namespaced(client.clone(), namespace), lease: lease.to_owned() }
    }

    /// The workload whose rollout was started last.
    pub(super) async fn read(&self) -> Result<Option<WorkloadRef>, Error> {
        let lease = within(format!("read Lease {}", self.lease), self.leases.get_opt(&self.lease)).await?;
        Ok(lease.and_then(|lease| parse(lease.annotations().get(ANNOTATION)?)))
    }

    /// Records a rollout that is about to start.
    pub(super) async fn write(&self, workload: &WorkloadRef) -> Result<(), Error> {
        let annotation = Patch::Merge(json!({"metadata": {"annotations": {ANNOTATION: workload.to_string()}}}));
        let parameters = PatchParams::default();
        let patched = self.leases.patch(&self.lease, &parameters, &annotation);
        within(format!("record the rollout of {workload} on Lease {}", self.lease), patched).await.map(drop)
    }
}

fn parse(text: &str) -> Option<WorkloadRef> {
    let (kind, name) = text.split_once(' ')?;
    let (namespace, name) = name.split_once('/')?;
    Some(WorkloadRef { kind: Kind::named(kind)?, namespace: namespace.to_owned(), name: name.to_owned() })
}
