//! The plan for programs: YAML for kubectl, JSON for scripts.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::planned::Planned;
use winddown_core::budget::Budget;
use winddown_core::finding::Finding;
use winddown_core::patch;
use winddown_core::timeline::Timeline;

/// One object for each workload. Fields may be added; those that are there stay.
#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    line: usize,
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    budget: Option<&'a Budget>,
    timeline: Option<&'a Timeline>,
    findings: Vec<Located<'a>>,
    patch: json_patch::Patch,
}

/// A finding and where it is to be mended.
#[derive(Serialize)]
struct Located<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    line: usize,
}

pub(crate) fn json(planned: &[Planned], out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<_> = planned
        .iter()
        .map(|planned| Row {
            file: &planned.file,
            line: planned.place().line,
            kind: planned.kind.as_str(),
            namespace: planned.metadata("namespace"),
            name: planned.metadata("name"),
            budget: planned.settlement.budget.as_ref(),
            timeline: planned.settlement.timeline.as_ref(),
            findings: planned
                .settlement
                .findings
                .iter()
                .map(|finding| Located { finding, line: planned.place_of(finding).line })
                .collect(),
            patch: patch::between(&planned.object, &planned.settlement.desired),
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &rows)?;
    writeln!(out)
}

pub(crate) fn yaml(planned: &[Planned], out: &mut impl Write) -> io::Result<()> {
    for (at, planned) in planned.iter().enumerate() {
        if at > 0 {
            writeln!(out, "---")?;
        }
        out.write_all(manifest(&planned.settlement.desired)?.as_bytes())?;
    }
    Ok(())
}

/// An object as YAML.
pub(crate) fn manifest(object: &Value) -> io::Result<String> {
    serde_saphyr::to_string(object).map_err(io::Error::other)
}

/// The findings alone, one line each: for standard error, where standard output is something else.
pub(crate) fn findings(planned: &[Planned], err: &mut impl Write) -> io::Result<()> {
    for planned in planned {
        for finding in &planned.settlement.findings {
            let line = format!("{}: {finding}", planned.title());
            writeln!(err, "{}: {}", planned.place_of(finding), super::sanitize::plain(&line))?;
        }
    }
    Ok(())
}
