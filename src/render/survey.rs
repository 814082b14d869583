//! The workloads of a cluster as a whole: what was looked at, the numbers, and the formats that show them.

pub(crate) mod overview;
pub(crate) mod table;
pub(crate) mod text;

use std::cmp::Reverse;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::structured::{Row, rows};
use super::workload::{Workload, qualified_name};
use super::{sarif, structured};
use overview::Overview;
use winddown_core::finding::{Code, Severity};

/// What was looked at.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Survey {
    /// The name of the context.
    pub(crate) context: String,
    /// The version of the API server.
    pub(crate) kubernetes: String,
    /// Only this namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// Only workloads with these labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) selector: Option<String>,
    /// The annotations that workloads without any were assumed to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assumed: Option<String>,
    /// What could not be read or evaluated, one line each.
    pub(crate) missing: Vec<String>,
    /// The codes of findings that need objects which could not be read.
    pub(crate) withheld: Vec<Code>,
    /// The command to name in next steps: `winddown` or `kubectl winddown`.
    #[serde(skip)]
    pub(crate) program: &'static str,
}

/// The JSON of a survey. Fields may be added, but not renamed or removed.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    survey: &'a Survey,
    summary: Overview,
    workloads: Vec<Row<'a>>,
}

impl Survey {
    /// `the cluster prod`, `the namespace web of the cluster prod`.
    pub(crate) fn place(&self) -> String {
        let cluster =
            if self.context.is_empty() { "the cluster".to_owned() } else { format!("the cluster {}", self.context) };
        match &self.namespace {
            Some(namespace) => format!("the namespace {namespace} of {cluster}"),
            None => cluster,
        }
    }
}

/// Sorts errors first, then warnings, then workloads that can drop requests, then the rest.
pub(crate) fn sort(workloads: &mut [Workload]) {
    workloads.sort_by_cached_key(|workload| {
        let counts = [Severity::Error, Severity::Warning].map(|severity| workload.count(severity));
        let is_unknown = workload.current.is_none();
        (
            Reverse(counts),
            Reverse(workload.losses().len()),
            is_unknown,
            qualified_name(&workload.object),
            workload.kind.as_str(),
        )
    });
}

/// An object with the cluster, the numbers, and the rows of `winddown plan -o json`.
pub(crate) fn json(survey: &Survey, workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    let document = Document { survey, summary: Overview::of(workloads), workloads: rows(workloads) };
    structured::write(&document, out)
}

/// The findings as SARIF, with what could not be read.
pub(crate) fn sarif(survey: &Survey, workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    let mut run = sarif::run(workloads);
    let notifications: Vec<Value> =
        survey.missing.iter().map(|line| json!({"level": "error", "message": {"text": line}})).collect();
    let (successful, place) = (notifications.is_empty(), survey.place());
    run["invocations"] = json!([{"executionSuccessful": successful, "toolExecutionNotifications": notifications}]);
    run["properties"] = json!({"place": place, "kubernetes": survey.kubernetes});
    sarif::write_run(&run, out)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
pub(crate) mod tests;
