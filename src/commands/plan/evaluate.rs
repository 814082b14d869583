//! Evaluates a workload of a file, as the operator would.

use std::rc::Rc;

use crate::render::workload::{Workload, qualified_name};
use winddown_core::decode::InvalidField;
use winddown_core::evaluation::{self, Existing, Origin};
use winddown_core::kind::Kind;
use winddown_core::manifest::Manifest;
use winddown_core::object::Object;
use winddown_core::policy::Policies;

/// A workload that cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind} {name} in document {document}: {problem}")]
pub(super) struct Error {
    line: usize,
    kind: Kind,
    name: String,
    document: usize,
    problem: InvalidField,
}

pub(super) fn evaluate(file: &Rc<str>, manifest: Manifest) -> Result<Workload, Error> {
    let Manifest { document, lines, kind, object } = manifest;
    // An object with a UID was read from a cluster, so the API server has set its defaults.
    let (existing, origin) = if Object::new(&object).has_uid() {
        (Existing::Unchanged, Origin::ApiServer)
    } else {
        (Existing::None, Origin::File)
    };
    let policies = Policies::default();
    let policy = policies.for_namespace(Object::new(&object).namespace());
    match evaluation::evaluate(&object, existing, policy, origin) {
        Ok(evaluation) => Ok(Workload { file: Rc::clone(file), lines, kind, object, evaluation }),
        Err(problem) => {
            let line = lines.of_field(&problem.field);
            Err(Error { line, kind, name: qualified_name(&object), document, problem })
        }
    }
}
