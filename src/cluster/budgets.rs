//! The `ShutdownBudget`s of a cluster, and what says the same about a workload without one.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::lists::{Resource, Scope, Selection};
use super::workloads::{self, WorkloadName};
use super::{Cluster, Error};
use winddown_core::annotations::{BUDGET, DECLARING};
use winddown_core::kind::Kind;
use winddown_core::shutdown_budget::{PLURAL, ShutdownBudgetStatus};

/// The resource of the budgets.
pub(crate) const BUDGETS: Resource = Resource::namespaced("winddown.dev/v1alpha1", PLURAL);

/// A `ShutdownBudget`, as far as it is read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct StoredBudget {
    #[serde(default)]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) status: ShutdownBudgetStatus,
}

/// A workload, of which only the metadata was read.
#[derive(Clone, Debug)]
pub(crate) struct WorkloadMetadata {
    pub(crate) workload: WorkloadName,
    pub(crate) metadata: ObjectMeta,
}

impl WorkloadMetadata {
    pub(crate) fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Whether an annotation of Winddown is on it.
    pub(crate) fn is_declared(&self) -> bool {
        let annotations = self.annotations();
        DECLARING.iter().chain([&BUDGET]).any(|key| annotations.contains_key(*key))
    }

    /// The budget, as its annotation says.
    pub(crate) fn budget(&self) -> Option<&str> {
        self.annotations().get(BUDGET).map(String::as_str)
    }

    fn annotations(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.metadata.annotations.as_ref().unwrap_or(&NONE)
    }
}

impl Cluster {
    /// All budgets of a scope, without an order. `None` if the API server does not know the resource.
    pub(crate) async fn budgets(&self, scope: &Scope) -> Result<Option<Vec<StoredBudget>>, Error> {
        let selection = Selection { scope: scope.clone(), labels: None };
        let mut budgets = Vec::new();
        match self.list(BUDGETS, &selection, |budget| budgets.push(budget)).await {
            Ok(()) => Ok(Some(budgets)),
            Err(error) if self.lacks_budgets(&error).await => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a request for budgets failed because the API server does not know the resource. A user without the right to
    /// read it gets 403 then, too.
    pub(crate) async fn lacks_budgets(&self, error: &Error) -> bool {
        error.is_not_found() || (error.is_missing_right() && matches!(self.knows(BUDGETS).await, Ok(false)))
    }

    /// The metadata of all workloads of a selection.
    pub(crate) async fn workload_metadata(&self, selection: &Selection) -> Result<Vec<WorkloadMetadata>, Error> {
        let mut found = Vec::new();
        for kind in Kind::ALL {
            let each = |metadata: ObjectMeta| {
                let workload = WorkloadName::new(kind, metadata.name.clone().unwrap_or_default());
                found.push(WorkloadMetadata { workload, metadata });
            };
            self.list_metadata(workloads::resource(kind), selection, each).await?;
        }
        Ok(found)
    }
}
