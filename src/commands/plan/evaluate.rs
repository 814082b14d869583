//! Evaluates a workload of a file, as the operator would.

use std::rc::Rc;

use crate::render::workload::{Workload, qualified_name};
use winddown_core::evaluation::{Before, Origin, UnreadableWorkload, settle};
use winddown_core::kind::Kind;
use winddown_core::manifest::Manifest;
use winddown_core::policy::Policy;

/// A workload that cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind} {name} in document {document}: {reason}")]
pub(super) struct Error {
    line: usize,
    kind: Kind,
    name: String,
    document: usize,
    reason: UnreadableWorkload,
}

pub(super) fn evaluate(file: &Rc<str>, manifest: Manifest) -> Result<Workload, Error> {
    let Manifest { document, lines, kind, object } = manifest;
    // An object with a UID was read from a cluster, so the API server has set its defaults.
    let from_cluster = object.pointer("/metadata/uid").is_some();
    let (before, origin) =
        if from_cluster { (Before::Itself, Origin::ApiServer) } else { (Before::Nothing, Origin::File) };
    match settle(&object, before, &Policy::default(), origin) {
        Ok(settlement) => Ok(Workload { file: Rc::clone(file), lines, kind, object, settlement }),
        Err(error) => {
            let line = lines.of_field(error.field());
            Err(Error { line, kind, name: qualified_name(&object), document, reason: error })
        }
    }
}
