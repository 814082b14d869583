//! Structured output: YAML for kubectl, JSON for scripts; and the findings as lines.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::sanitize::sanitize;
use super::workload::Workload;
use winddown_core::budget::Budget;
use winddown_core::current_shutdown::CurrentShutdown;
use winddown_core::finding::Finding;
use winddown_core::object::Object;
use winddown_core::plan::timeline::Timeline;

/// The JSON of a workload. Fields may be added, but not renamed or removed.
#[derive(Serialize)]
pub(crate) struct Row<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    /// The annotations that the workload was assumed to have; absent without `--assume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed: Option<String>,
    budget: Option<&'a Budget>,
    timeline: Option<&'a Timeline>,
    /// Only of a workload of a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "today")]
    current: Option<&'a CurrentShutdown>,
    /// The object that controls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    findings: Vec<Located<'a>>,
    patch: json_patch::Patch,
}

/// A line of a file. An object of a cluster has none.
#[derive(Serialize)]
struct Place<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

/// A finding with the line of its field.
#[derive(Serialize)]
struct Located<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

pub(crate) fn json(workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    write(&rows(workloads), out)
}

/// Indented JSON, and a line break.
pub(crate) fn write(document: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}

/// The same as values.
pub(crate) fn rows(workloads: &[Workload]) -> Vec<Row<'_>> {
    workloads.iter().map(Row::of).collect()
}

impl<'a> Row<'a> {
    fn of(workload: &'a Workload) -> Self {
        let (object, evaluation) = (Object::new(&workload.object), &workload.evaluation);
        let place = workload.location().in_file();
        let located =
            |finding| Located { finding, line: workload.location_of(finding).in_file().map(|(_, line)| line) };
        Self {
            place: Place { file: place.map(|(file, _)| file), line: place.map(|(_, line)| line) },
            kind: workload.kind.as_str(),
            namespace: object.namespace(),
            name: object.name().unwrap_or_default(),
            assumed: workload.assumed.as_ref().map(ToString::to_string),
            budget: evaluation.budget.as_ref(),
            timeline: evaluation.timeline.as_ref(),
            current: workload.current.as_ref(),
            owner: if workload.is_of_cluster() { workload.owner() } else { None },
            findings: evaluation.findings.iter().map(located).collect(),
            patch: workload.patch(),
        }
    }
}

/// The workloads in their desired state.
pub(crate) fn yaml(workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    write_documents(workloads.iter().map(Workload::desired), out)
}

/// All documents, with the workloads in their desired state. Lists stay lists.
pub(crate) fn yaml_of_all(mut documents: Vec<Value>, workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    for workload in workloads {
        if let Some(slot) = workload.slot() {
            slot.fill(&mut documents, workload.desired());
        }
    }
    write_documents(documents, out)
}

fn write_documents(documents: impl IntoIterator<Item = Value>, out: &mut impl Write) -> io::Result<()> {
    for (at, document) in documents.into_iter().enumerate() {
        if at > 0 {
            writeln!(out, "---")?;
        }
        out.write_all(manifest(&document)?.as_bytes())?;
    }
    Ok(())
}

/// An object as YAML.
pub(crate) fn manifest(object: &Value) -> io::Result<String> {
    serde_saphyr::to_string(object).map_err(io::Error::other)
}

/// The findings, one line each, for standard error.
pub(crate) fn findings(workloads: &[Workload], err: &mut impl Write) -> io::Result<()> {
    for workload in workloads {
        for finding in &workload.evaluation.findings {
            let line = format!("{}: {finding}", workload.title());
            writeln!(err, "{}: {}", workload.location_of(finding), sanitize(&line))?;
        }
    }
    Ok(())
}
