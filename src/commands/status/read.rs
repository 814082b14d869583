//! Which workloads to show, and what the cluster has of them.

use std::collections::HashSet;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{GetParams, ListParams, PartialObjectMeta};
use kube::core::{DynamicObject, Request};
use serde_json::Value;
use tokio::time::timeout;

use super::row::Row;
use crate::cluster::budgets::{BUDGETS, StoredBudget, WorkloadMetadata};
use crate::cluster::lists::{Scope, Selection};
use crate::cluster::workloads::WorkloadName;
use crate::cluster::{Cluster, Error};
use winddown_core::shutdown_budget::name;

/// For the labels of a workload.
const LOOKUP: Duration = Duration::from_secs(30);
const NO_ANSWER: &str = "no answer within 30 s";

/// What the user asked for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) scope: Scope,
    pub(super) labels: Option<String>,
    /// Empty: all of them.
    pub(super) names: Vec<WorkloadName>,
}

/// The rows, and what could not be read.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) rows: Vec<Row>,
    /// Those without the labels.
    pub(super) others: Vec<Row>,
    /// One sentence each.
    pub(super) problems: Vec<String>,
}

/// What to do if the API server does not know `ShutdownBudget`.
pub(super) const NOT_INSTALLED: &str = "ShutdownBudget is not installed, so nothing is known of pods and stops; install it with \
    `kubectl winddown crd | kubectl apply --server-side -f -`, or with the chart. These are the annotations of the workloads";

impl Query {
    /// Reads the budgets, or, where there are none because the resource is not installed, the annotations of the workloads.
    pub(super) async fn read(&self, cluster: &Cluster) -> Result<Listed, Error> {
        let mut listed =
            if self.names.is_empty() { self.read_all(cluster).await? } else { self.read_named(cluster).await? };
        listed.rows.sort_by(Row::order);
        Ok(listed)
    }

    async fn read_all(&self, cluster: &Cluster) -> Result<Listed, Error> {
        let selection = Selection { scope: self.scope.clone(), labels: self.labels.clone() };
        let Some(budgets) = cluster.budgets(&self.scope).await? else {
            let workloads = cluster.workload_metadata(&selection).await?;
            let declared = workloads.iter().filter(|workload| workload.is_declared());
            return Ok(Listed {
                rows: declared.map(Row::of_workload).collect(),
                problems: vec![NOT_INSTALLED.to_owned()],
                ..Listed::default()
            });
        };
        let rows = budgets.into_iter().map(Row::of_budget);
        if self.labels.is_none() {
            return Ok(Listed { rows: rows.collect(), ..Listed::default() });
        }
        let workloads = cluster.workload_metadata(&selection).await?;
        let key = |found: &WorkloadMetadata| (found.namespace().to_owned(), found.workload.clone());
        let selected: HashSet<_> = workloads.iter().map(key).collect();
        let is_selected =
            |row: &Row| row.workload().is_some_and(|name| selected.contains(&(row.namespace.clone(), name)));
        let (rows, others) = rows.partition(is_selected);
        Ok(Listed { rows, others, problems: Vec::new() })
    }

    /// Whether it asks for the workload of a row, with the labels that the workload has now.
    pub(super) async fn selects(&self, cluster: &Cluster, row: &Row) -> Result<bool, Error> {
        let Some(workload) = row.workload() else { return Ok(self.names.is_empty() && self.labels.is_none()) };
        if !self.names.is_empty() {
            return Ok(self.names.contains(&workload));
        }
        let Some(labels) = &self.labels else { return Ok(true) };
        let call = format!("list {} in the namespace {}", workload.qualified(), row.namespace);
        let parameters = ListParams::default().fields(&format!("metadata.name={}", workload.name)).labels(labels);
        let request = Request::new(workload.kind.path(&row.namespace)).list_metadata(&parameters);
        let request = request.map_err(|error| Error::new(&call, kube::Error::BuildRequest(error)))?;
        let answer = cluster.within(call.clone(), cluster.client.request(request));
        // Also without a limit for requests: others wait for this one.
        let found: Value = match timeout(LOOKUP, answer).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Error::new(call, kube::Error::Service(NO_ANSWER.into()))),
        };
        Ok(found["items"].as_array().is_some_and(|items| !items.is_empty()))
    }

    async fn read_named(&self, cluster: &Cluster) -> Result<Listed, Error> {
        let mut listed = Listed::default();
        let Scope::Namespace(namespace) = &self.scope else { return Ok(listed) };
        let mut problems = HashSet::new();
        for workload in &self.names {
            let problem = match read_one(cluster, namespace, workload).await? {
                One::Row(row) if row.is_observed() => {
                    listed.rows.push(*row);
                    continue;
                }
                One::Row(row) => {
                    listed.rows.push(*row);
                    NOT_INSTALLED.to_owned()
                }
                One::Waits => format!(
                    "{workload} in the namespace {namespace} has annotations of Winddown, but no ShutdownBudget: is the operator \
                     running? `kubectl winddown check` says what is wrong"
                ),
                One::Unmanaged => format!(
                    "{workload} in the namespace {namespace} is not managed by Winddown: it has no annotation such as \
                     winddown.dev/drain"
                ),
                One::Absent => format!("{} is not in the namespace {namespace}", workload.qualified()),
            };
            if problems.insert(problem.clone()) {
                listed.problems.push(problem);
            }
        }
        Ok(listed)
    }

    /// What kubectl says if there is nothing.
    pub(super) fn nothing(&self) -> String {
        let hint = "`kubectl winddown audit` evaluates all workloads, with or without annotations";
        match &self.scope {
            Scope::All => format!("No workloads with annotations of Winddown found; {hint}"),
            Scope::Namespace(namespace) => {
                format!("No workloads with annotations of Winddown found in {namespace} namespace; {hint}")
            }
        }
    }
}

/// What there is of a named workload.
enum One {
    Row(Box<Row>),
    /// It is annotated, and has no budget.
    Waits,
    Unmanaged,
    Absent,
}

async fn read_one(cluster: &Cluster, namespace: &str, workload: &WorkloadName) -> Result<One, Error> {
    let budget_name = name(workload.kind, &workload.name);
    let request =
        Request::new(BUDGETS.path(&Scope::Namespace(namespace.to_owned()))).get(&budget_name, &GetParams::default());
    let call = format!("read the ShutdownBudget {namespace}/{budget_name}");
    let request = request.map_err(|error| Error::new(&call, kube::Error::BuildRequest(error)))?;
    match cluster.within(call, cluster.client.request::<StoredBudget>(request)).await {
        Ok(budget) => return Ok(One::Row(Box::new(Row::of_budget(budget)))),
        // Or there is no budget of this name.
        Err(error) if cluster.lacks_budgets(&error).await => {}
        Err(error) => return Err(error),
    }
    let found = match read_metadata(cluster, namespace, workload).await {
        Ok(metadata) => WorkloadMetadata { workload: workload.clone(), metadata },
        Err(error) if error.is_not_found() => return Ok(One::Absent),
        Err(error) => return Err(error),
    };
    if !found.is_declared() {
        return Ok(One::Unmanaged);
    }
    let installed = cluster.knows(BUDGETS).await?;
    Ok(if installed { One::Waits } else { One::Row(Box::new(Row::of_workload(&found))) })
}

async fn read_metadata(cluster: &Cluster, namespace: &str, workload: &WorkloadName) -> Result<ObjectMeta, Error> {
    let call = format!("read {} in the namespace {namespace}", workload.qualified());
    let request = Request::new(workload.kind.path(namespace)).get_metadata(&workload.name, &GetParams::default());
    let request = request.map_err(|error| Error::new(&call, kube::Error::BuildRequest(error)))?;
    let read = cluster.client.request::<PartialObjectMeta<DynamicObject>>(request);
    Ok(cluster.within(call, read).await?.metadata)
}
