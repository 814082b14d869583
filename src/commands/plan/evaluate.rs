//! Evaluates a workload of a file; a problem names its line.

use std::rc::Rc;

use serde_json::Value;

use crate::commands::evaluate::{Failed, Surroundings};
use crate::render::workload::{Source, Workload, qualified_name};
use winddown_core::decode::InvalidField;
use winddown_core::kind::Kind;
use winddown_core::manifest::{Manifest, Slot};

/// A workload that cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind} {name} in document {document}: {problem}")]
pub(super) struct Error {
    line: usize,
    kind: Kind,
    name: String,
    document: usize,
    problem: InvalidField,
    /// The object as it was read, and its place.
    pub(super) object: Value,
    pub(super) slot: Slot,
}

/// Evaluates a workload of a file.
pub(super) fn evaluate(
    file: &Rc<str>,
    manifest: Manifest,
    surroundings: &Surroundings<'_>,
) -> Result<Workload, Box<Error>> {
    let Manifest { document, lines, kind, object, slot } = manifest;
    let source = Source::File { name: Rc::clone(file), lines, slot };
    surroundings.evaluate(source, kind, object).map_err(|failed| {
        let Failed { problem, source, object } = *failed;
        let (lines, slot) = match source {
            Source::File { lines, slot, .. } => (lines, slot),
            Source::Cluster => Default::default(),
        };
        let (line, name) = (lines.of_field(&problem.field), qualified_name(&object));
        Box::new(Error { line, kind, name, document, problem, object, slot })
    })
}
