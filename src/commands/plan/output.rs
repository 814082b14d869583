//! The forms in which a plan is printed.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::budget::Budget;
use crate::finding::Finding;
use crate::injection::Record;
use crate::patch;
use crate::settlement::Settlement;

/// A Deployment of a file, and what Winddown makes of it.
pub(super) struct Planned {
    pub(super) file: String,
    pub(super) deployment: Value,
    pub(super) settlement: Settlement,
}

const NOTHING: &str = "nothing declared: no winddown.dev/drain or winddown.dev/deadline";

#[derive(Serialize)]
struct Row<'a> {
    namespace: &'a str,
    name: &'a str,
    budget: Option<Budget>,
    findings: &'a [Finding],
    patch: json_patch::Patch,
}

impl Planned {
    fn metadata(&self, field: &str) -> &str {
        self.deployment.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or("")
    }

    fn title(&self) -> String {
        title(&self.deployment)
    }
}

/// `namespace/name`, or the name alone where the file leaves the namespace to kubectl.
pub(super) fn title(deployment: &Value) -> String {
    let metadata = |field: &str| deployment.get("metadata")?.get(field)?.as_str();
    let name = metadata("name").unwrap_or("without a name");
    metadata("namespace").map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

pub(super) fn text(planned: &[Planned], out: &mut impl Write) -> io::Result<()> {
    for (at, planned) in planned.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        let Settlement { budget, timeline, findings, desired, .. } = &planned.settlement;
        writeln!(out, "Deployment {} ({})", planned.title(), planned.file)?;
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
        if let Some(changes) = changes(&planned.deployment, desired) {
            writeln!(out, "\n  changes: {changes}")?;
        }
    }
    Ok(())
}

/// What would be changed, in words.
fn changes(deployment: &Value, desired: &Value) -> Option<String> {
    if deployment == desired {
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
            namespace: planned.metadata("namespace"),
            name: planned.metadata("name"),
            budget: planned.settlement.budget,
            findings: &planned.settlement.findings,
            patch: patch::between(&planned.deployment, &planned.settlement.desired),
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
