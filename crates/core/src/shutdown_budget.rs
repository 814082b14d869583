//! The `ShutdownBudget` resource: what Winddown knows of one workload, and what it reported of it.
//!
//! ```text
//! evaluation -> Computed ┐
//! running pods -> Pods   ├-> ShutdownBudgetStatus::next -> status, Events, admitted stops
//! observed stops -> Stop ┘
//! ```
//!
//! The status is the only memory. The operator's leader reads it, calls [`ShutdownBudgetStatus::next`], and writes the result
//! with the `resourceVersion` that it read. Only then does it publish the Events. If somebody else wrote in between, it reads
//! again and calls again, so no stop is counted twice and no Event is published twice.

mod computed;
mod conditions;
mod name;
mod next;
mod pods;
#[cfg(feature = "schema")]
mod schema;
mod shutdowns;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

#[cfg(feature = "schema")]
use crate::observation::{LONGEST_LINE, MAX_CHECKPOINT, SHOWN as MAX_LINES};

pub use computed::{Computed, Phases};
pub use conditions::{FITS, HONOURED, INJECTED, ROLLED_OUT};
pub use name::{name, workload};
pub use next::{Next, Update};
pub use pods::Pods;
pub use shutdowns::ShutdownCounts;

/// Its API group.
pub const GROUP: &str = "winddown.dev";
/// The version of its API.
pub const VERSION: &str = "v1alpha1";
/// Its kind.
pub const KIND: &str = "ShutdownBudget";
/// Its name in API paths and RBAC rules.
pub const PLURAL: &str = "shutdownbudgets";

/// The findings that are listed. One more line says how many there are.
const MAX_FINDINGS: usize = 5;
/// The lines of findings that an earlier version wrote.
#[cfg(feature = "schema")]
const MAX_FINDING_LINES: usize = 9;
/// The longest text, in characters: the sum, a finding, the message of a condition.
const LONGEST_TEXT: usize = 300;
/// The longest name, in characters: `StatefulSet/` and 253.
const LONGEST_NAME: usize = 270;

/// The status of a `ShutdownBudget`, in the order in which `kubectl describe` shows it.
// A field that cannot be read is absent: anybody with the right to write it may have written it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
// Only Winddown writes the status, so its fields need no owners of their own in `managedFields`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("x-kubernetes-map-type" = "atomic")))]
#[serde(rename_all = "camelCase", default)]
pub struct ShutdownBudgetStatus {
    /// drain + deadline + margin, and the grace period.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[cfg_attr(feature = "schema", schemars(extend("maxLength" = LONGEST_TEXT)))]
    pub budget: Option<String>,
    /// The running pods with the current budget, and all running pods: 2/3.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[cfg_attr(feature = "schema", schemars(extend("maxLength" = 32)))]
    pub carried: Option<String>,
    /// Which stops were counted. Written and read by Winddown only.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[cfg_attr(feature = "schema", schemars(extend("maxLength" = MAX_CHECKPOINT)))]
    pub checkpoint: Option<String>,
    /// `Fits`: the budget fits the grace period. `Injected`: the pod template has it. `RolledOut`: every running pod has
    /// it. `Honoured`: the app exited in time in the observed stops of the template whose pods stopped last.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient_items")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::policy::schema::conditions"))]
    pub conditions: Vec<Condition>,
    /// What Winddown found, the most severe first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient_items")]
    #[cfg_attr(feature = "schema", schemars(extend("maxItems" = MAX_FINDING_LINES, "x-kubernetes-list-type" = "atomic"), inner(length(max = LONGEST_TEXT))))]
    pub findings: Vec<String>,
    /// The last stops in which the app was killed, failed or exited late.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient_items")]
    #[cfg_attr(feature = "schema", schemars(extend("maxItems" = MAX_LINES, "x-kubernetes-list-type" = "atomic"), inner(length(max = LONGEST_LINE))))]
    pub not_honoured: Vec<String>,
    /// Each duration, and where it is from.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub phases: Option<Phases>,
    /// The number of running pods.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub pods: Option<Pods>,
    /// The `ShutdownPolicy` that counts for the workload.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[cfg_attr(feature = "schema", schemars(extend("maxLength" = LONGEST_NAME)))]
    pub policy: Option<String>,
    /// The last stops, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient_items")]
    #[cfg_attr(feature = "schema", schemars(extend("maxItems" = MAX_LINES, "x-kubernetes-list-type" = "atomic"), inner(length(max = LONGEST_LINE))))]
    pub recent: Vec<String>,
    /// What the observed stops suggest.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[cfg_attr(feature = "schema", schemars(extend("maxLength" = LONGEST_TEXT)))]
    pub recommendation: Option<String>,
    /// Which Events were published. Written and read by Winddown only.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[cfg_attr(feature = "schema", schemars(extend("maxLength" = 1024)))]
    pub reported: Option<String>,
    /// The number of observed stops by outcome, and the time from SIGTERM to the exit of the app.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub shutdowns: Option<ShutdownCounts>,
    /// Kind and name of the workload: Deployment/web.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[cfg_attr(feature = "schema", schemars(extend("maxLength" = LONGEST_NAME)))]
    pub workload: Option<String>,
    /// The generation of the workload that budget, phases and findings are about.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub workload_generation: Option<i64>,
}

/// A value of the wrong type is an absent one.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// The same for each item of a list.
fn lenient_items<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items: Vec<Value> = lenient(deserializer)?;
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

#[cfg(test)]
mod tests;
