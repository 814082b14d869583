//! The forms in which a plan is printed.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::budget::Budget;
use crate::finding::Finding;
use crate::injection::Record;
use crate::patch;
use crate::settlement::Settlement;
use crate::workload::Kind;

/// A workload of a file, and what Winddown makes of it.
pub(super) struct Planned {
    pub(super) file: String,
    pub(super) kind: Kind,
    pub(super) object: Value,
    pub(super) settlement: Settlement,
}

const NOTHING: &str = "nothing declared: no winddown.dev/drain or winddown.dev/deadline";

#[derive(Serialize)]
struct Row<'a> {
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    budget: Option<&'a Budget>,
    findings: &'a [Finding],
    patch: json_patch::Patch,
}

impl Planned {
    fn metadata(&self, field: &str) -> &str {
        self.object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or("")
    }

    fn title(&self) -> String {
        title(&self.object)
    }
}

/// `namespace/name`, or the name alone where the file leaves the namespace to kubectl.
pub(super) fn title(object: &Value) -> String {
    let metadata = |field: &str| object.get("metadata")?.get(field)?.as_str();
    let name = metadata("name").unwrap_or("without a name");
    metadata("namespace").map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

pub(super) fn text(planned: &[Planned], out: &mut impl Write) -> io::Result<()> {
    for (at, planned) in planned.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        let Settlement { budget, timeline, findings, desired, .. } = &planned.settlement;
        writeln!(out, "{} {} ({})", planned.kind, planned.title(), planned.file)?;
        match budget {
            Some(budget) => writeln!(out, "  {budget}")?,
            None if findings.is_empty() => {
                writeln!(out, "  {NOTHING}")?;
            }
            None => {}
        }
        if let Some(timeline) = timeline {
            writeln!(out)?;
            for line in timeline.to_string().lines() {
                writeln!(out, "  {line}")?;
            }
        }
        if !findings.is_empty() {
            writeln!(out)?;
            findings.iter().try_for_each(|finding| writeln!(out, "  {finding}"))?;
        }
        if let Some(changes) = changes(&planned.object, desired) {
            writeln!(out, "\n  changes: {changes}")?;
        }
    }
    Ok(())
}

/// What would be changed, in words.
fn changes(object: &Value, desired: &Value) -> Option<String> {
    if object == desired {
        return None;
    }
    let record = desired.pointer("/spec/template").and_then(|template| Record::of(template).ok().flatten());
    match record.map(|record| record.in_words()) {
        Some(words) if !words.is_empty() => Some(words),
        Some(_) => Some("label and record only".to_owned()),
        None => Some("what Winddown had injected is taken out".to_owned()),
    }
}

pub(super) fn findings(planned: &[Planned], err: &mut impl Write) -> io::Result<()> {
    for planned in planned {
        for finding in &planned.settlement.findings {
            writeln!(err, "{}: {finding}", planned.title())?;
        }
    }
    Ok(())
}

pub(super) fn json(planned: &[Planned], out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<_> = planned
        .iter()
        .map(|planned| Row {
            kind: planned.kind.as_str(),
            namespace: planned.metadata("namespace"),
            name: planned.metadata("name"),
            budget: planned.settlement.budget.as_ref(),
            findings: &planned.settlement.findings,
            patch: patch::between(&planned.object, &planned.settlement.desired),
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &rows)?;
    writeln!(out)
}

pub(super) fn yaml(planned: &[Planned], out: &mut impl Write) -> io::Result<()> {
    for (at, planned) in planned.iter().enumerate() {
        if at > 0 {
            writeln!(out, "---")?;
        }
        let text = serde_saphyr::to_string(&planned.settlement.desired).map_err(io::Error::other)?;
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}
