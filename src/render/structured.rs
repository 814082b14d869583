//! Structured output: YAML for kubectl, JSON for scripts; and the findings as lines.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::sanitize::sanitize;
use super::workload::Workload;
use winddown_core::budget::Budget;
use winddown_core::finding::Finding;
use winddown_core::object::Object;
use winddown_core::plan::timeline::Timeline;

/// The JSON of a workload. Fields may be added, but not renamed or removed.
#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    line: usize,
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    /// The annotations that the workload was assumed to have; absent without `--assume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed: Option<String>,
    budget: Option<&'a Budget>,
    timeline: Option<&'a Timeline>,
    findings: Vec<Located<'a>>,
    patch: json_patch::Patch,
}

/// A finding with the line of its field.
#[derive(Serialize)]
struct Located<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    line: usize,
}

pub(crate) fn json(workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<_> = workloads
        .iter()
        .map(|workload| Row {
            file: &workload.file,
            line: workload.location().line,
            kind: workload.kind.as_str(),
            namespace: Object::new(&workload.object).namespace(),
            name: Object::new(&workload.object).name().unwrap_or_default(),
            assumed: workload.assumed.as_ref().map(ToString::to_string),
            budget: workload.evaluation.budget.as_ref(),
            timeline: workload.evaluation.timeline.as_ref(),
            findings: workload
                .evaluation
                .findings
                .iter()
                .map(|finding| Located { finding, line: workload.location_of(finding).line })
                .collect(),
            patch: workload.patch(),
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &rows)?;
    writeln!(out)
}

/// The workloads in their desired state.
pub(crate) fn yaml(workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    write_documents(workloads.iter().map(Workload::desired), out)
}

/// All documents, with the workloads in their desired state. Lists stay lists.
pub(crate) fn yaml_of_all(mut documents: Vec<Value>, workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    for workload in workloads {
        workload.slot.fill(&mut documents, workload.desired());
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
