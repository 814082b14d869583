//! What the `ShutdownBudget`s of a namespace show.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, ResourceExt as _};
use serde::Deserialize;
use serde_json::Value;

/// The `ShutdownBudget`s of one namespace.
pub struct Budgets(Api<DynamicObject>);

/// The part of `status` that the tests check.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Running pods with the current budget, of all running pods, as `2/3`.
    pub carried: String,
    /// Whether the budget fits, is injected, and so on.
    pub conditions: Vec<Condition>,
    /// The last stops, one line each.
    pub recent: Vec<String>,
    /// Counts, and times in words.
    pub shutdowns: BTreeMap<String, Value>,
}

/// One of [`Status::conditions`].
#[derive(Clone, Debug, Deserialize)]
pub struct Condition {
    #[serde(rename = "type")]
    kind: String,
    reason: String,
}

impl Budgets {
    /// Those of this namespace.
    #[must_use]
    pub fn new(client: &Client, namespace: &str) -> Self {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("winddown.dev", "v1alpha1", "ShutdownBudget"));
        Self(Api::namespaced_with(client.clone(), namespace, &resource))
    }

    /// The status of each `ShutdownBudget`, by its name.
    pub async fn all(&self) -> Result<BTreeMap<String, Status>> {
        let budgets = self.0.list(&ListParams::default()).await.context("list ShutdownBudgets")?;
        let status = |budget: &DynamicObject| match &budget.data["status"] {
            Value::Null => Ok(Status::default()),
            status => serde_json::from_value(status.clone()).with_context(|| format!("{status}")),
        };
        budgets.iter().map(|budget| Ok((budget.name_any(), status(budget)?))).collect()
    }
}

impl Status {
    /// One of the numbers in `shutdowns`; 0 if it is absent.
    #[must_use]
    pub fn count(&self, field: &str) -> u64 {
        self.shutdowns.get(field).and_then(Value::as_u64).unwrap_or_default()
    }

    /// Why a condition has its status.
    #[must_use]
    pub fn reason(&self, kind: &str) -> Option<&str> {
        self.conditions.iter().find(|condition| condition.kind == kind).map(|condition| condition.reason.as_str())
    }
}
