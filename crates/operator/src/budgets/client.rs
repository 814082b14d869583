//! Requests about budgets.
//!
//! The texts of the calls name no workload, so that a failure of the API server is the same error for all of them.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, Request};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::json;

use crate::kubernetes::{Error, within};
use winddown_core::kind::Kind;
use winddown_core::observation::WorkloadRef;
use winddown_core::shutdown_budget::{GROUP, KIND, PLURAL, ShutdownBudgetStatus, VERSION, name};

/// A `ShutdownBudget` as it is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    /// The UID of the workload that owns it.
    pub(super) owner: Option<String>,
    /// That workload, unless somebody changed the owner or the name.
    pub(super) workload: Option<Arc<WorkloadRef>>,
    pub(super) status: ShutdownBudgetStatus,
}

impl From<DynamicObject> for Budget {
    fn from(DynamicObject { metadata, mut data, .. }: DynamicObject) -> Self {
        let workload = winddown_core::shutdown_budget::workload(&metadata).map(Arc::new);
        let owners = metadata.owner_references.unwrap_or_default();
        let owner = owners.into_iter().find(|owner| owner.controller == Some(true));
        let (namespace, name) = (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
        let status = data.get_mut("status").map(serde_json::Value::take).unwrap_or_default();
        Self {
            namespace,
            name,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            owner: owner.map(|owner| owner.uid),
            workload,
            status: serde_json::from_value(status).unwrap_or_default(),
        }
    }
}

/// Which pods a workload has, whatever they carry.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counted {
    status: CountedStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CountedStatus {
    replicas: u32,
    /// Of a `DaemonSet`.
    current_number_scheduled: u32,
}

/// A client with short timeouts.
#[derive(Clone)]
pub(super) struct BudgetClient(Client);

impl BudgetClient {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// The budget of a workload; `None` if there is none.
    pub(super) async fn read(&self, workload: &WorkloadRef) -> Result<Option<Budget>, Error> {
        let api = self.api(workload);
        let name = name(workload.kind, &workload.name);
        Ok(within("read a ShutdownBudget", api.get_opt(&name)).await?.map(Budget::from))
    }

    /// Creates a budget without a status for the workload with this UID.
    pub(super) async fn create(&self, workload: &WorkloadRef, uid: &str) -> Result<Budget, Error> {
        let owner = OwnerReference {
            api_version: Kind::API_VERSION.to_owned(),
            kind: workload.kind.to_string(),
            name: workload.name.clone(),
            uid: uid.to_owned(),
            controller: Some(true),
            // That would need the right to change finalizers of the workload in clusters that check it.
            block_owner_deletion: None,
        };
        let mut budget = object(workload);
        budget.metadata.owner_references = Some(vec![owner]);
        let api = self.api(workload);
        within("create a ShutdownBudget", api.create(&PostParams::default(), &budget)).await.map(Budget::from)
    }

    /// Stores a status. Fails with a conflict if the budget changed since it was read.
    pub(super) async fn write(
        &self,
        workload: &WorkloadRef,
        read: &Budget,
        status: &ShutdownBudgetStatus,
    ) -> Result<Budget, Error> {
        let mut budget = object(workload);
        (budget.metadata.uid, budget.metadata.resource_version) = (read.uid.clone(), read.resource_version.clone());
        budget.data = json!({"status": status});
        let api = self.api(workload);
        let (name, parameters) = (name(workload.kind, &workload.name), PostParams::default());
        let stored = api.replace_status(&name, &parameters, &budget);
        within("write the status of a ShutdownBudget", stored).await.map(Budget::from)
    }

    /// Deletes a budget. Fails with a conflict if it changed since it was read.
    pub(super) async fn delete(&self, workload: &WorkloadRef, read: &Budget) -> Result<(), Error> {
        let preconditions = Preconditions { uid: read.uid.clone(), resource_version: read.resource_version.clone() };
        let parameters = DeleteParams::background().preconditions(preconditions);
        let api = self.api(workload);
        within("delete a ShutdownBudget", api.delete(&read.name, &parameters)).await.map(drop)
    }

    /// The number of pods of a workload; `None` if it does not exist.
    pub(super) async fn count_pods(&self, workload: &WorkloadRef) -> Result<Option<u32>, Error> {
        let request =
            Request::new(workload.kind.path(&workload.namespace)).get(&workload.name, &kube::api::GetParams::default());
        let read = async { self.0.request::<Counted>(request.map_err(kube::Error::BuildRequest)?).await };
        match within("read the number of pods of a workload", read).await {
            Ok(Counted { status }) if workload.kind == Kind::DaemonSet => Ok(Some(status.current_number_scheduled)),
            Ok(Counted { status }) => Ok(Some(status.replicas)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn api(&self, workload: &WorkloadRef) -> Api<DynamicObject> {
        Api::namespaced_with(self.0.clone(), &workload.namespace, &resource())
    }
}

pub(super) fn resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, KIND), PLURAL)
}

fn object(workload: &WorkloadRef) -> DynamicObject {
    let mut object = DynamicObject::new(&name(workload.kind, &workload.name), &resource());
    object.metadata = ObjectMeta { namespace: Some(workload.namespace.clone()), ..object.metadata };
    object
}
