//! The changes of the webhook as a unified diff.

use std::io::{self, Write};

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::structured::manifest;
use super::workload::Workload;
use crate::render::styles::Styles;
use winddown_core::object::LAST_APPLIED;

/// A line of a unified diff.
pub(crate) enum Line {
    /// `@@ -1,7 +1,9 @@`
    Header(String),
    /// With its sign.
    Text(ChangeTag, String),
}

/// The hunks of the changes of a workload. Both sides are formatted in the same way, so that the diff does not show the layout
/// of the file.
pub(crate) fn lines(workload: &Workload) -> io::Result<Vec<Line>> {
    let shown = |object: Value| manifest(&if workload.is_of_cluster() { without_records(object) } else { object });
    Ok(between(&shown(workload.object.clone())?, &shown(workload.desired())?))
}

/// The hunks of the difference of two texts.
pub(crate) fn between(given: &str, desired: &str) -> Vec<Line> {
    let diff = TextDiff::from_lines(given, desired);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        lines.push(Line::Header(hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let text = format!("{}{}", sign(change.tag()), change.value().trim_end_matches('\n'));
            lines.push(Line::Text(change.tag(), text));
        }
    }
    lines
}

/// Without what API server and kubectl store about an object: it is long, and no part of the manifest.
fn without_records(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.shift_remove(LAST_APPLIED);
        }
    }
    object
}

fn sign(tag: ChangeTag) -> char {
    match tag {
        ChangeTag::Equal => ' ',
        ChangeTag::Insert => '+',
        ChangeTag::Delete => '-',
    }
}

pub(crate) fn diff(workloads: &[Workload], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let changed = workloads.iter().filter(|workload| workload.changes());
    for workload in changed {
        let (bold, title) = (styles.heading, workload.title());
        writeln!(out, "{bold}--- {title}{}{bold:#}", workload.location().in_parentheses())?;
        writeln!(out, "{bold}+++ {title} (planned){bold:#}")?;
        write(&lines(workload)?, styles, out)?;
    }
    Ok(())
}

/// The lines below the two names.
pub(crate) fn write(lines: &[Line], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    for line in lines {
        let (style, text) = match line {
            Line::Header(text) => (styles.dim, text),
            Line::Text(ChangeTag::Equal, text) => (anstyle::Style::new(), text),
            Line::Text(ChangeTag::Insert, text) => (styles.added, text),
            Line::Text(ChangeTag::Delete, text) => (styles.removed, text),
        };
        writeln!(out, "{style}{text}{style:#}")?;
    }
    Ok(())
}
