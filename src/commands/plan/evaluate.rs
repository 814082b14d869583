//! Evaluates a workload of a file, as the operator would.

use std::rc::Rc;

use serde_json::Value;

use crate::render::workload::{Workload, qualified_name};
use winddown_core::annotations::Assumption;
use winddown_core::decode::InvalidField;
use winddown_core::evaluation::{self, Existing, Origin};
use winddown_core::kind::Kind;
use winddown_core::manifest::{Manifest, Slot};
use winddown_core::object::Object;
use winddown_core::policy::Policies;
use winddown_core::related::Related;

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

/// Evaluates a workload; one without annotations of Winddown as if it had those that are assumed.
pub(super) fn evaluate(
    file: &Rc<str>,
    manifest: Manifest,
    assumption: Option<&Rc<Assumption>>,
    related: &Related,
    policies: &Policies,
) -> Result<Workload, Box<Error>> {
    let Manifest { document, lines, kind, object, slot } = manifest;
    // An object with a UID was read from a cluster, so the API server has set its defaults.
    let (existing, origin) = if Object::new(&object).has_uid() {
        (Existing::Unchanged, Origin::ApiServer)
    } else {
        (Existing::None, Origin::File)
    };
    let governing = policies.for_namespace(&related.namespace_of(Object::new(&object)));
    let assumed = assumption.and_then(|assumption| Some((Rc::clone(assumption), assumption.applied_to(&object)?)));
    let subject = assumed.as_ref().map_or(&object, |(_, subject)| subject);
    match evaluation::evaluate_among(subject, existing, governing, origin, Some(related)) {
        Ok(evaluation) => {
            let assumed = assumed.map(|(assumption, _)| assumption);
            Ok(Workload { file: Rc::clone(file), lines, kind, object, slot, assumed, evaluation })
        }
        Err(problem) => {
            let line = lines.of_field(&problem.field);
            let name = qualified_name(&object);
            Err(Box::new(Error { line, kind, name, document, problem, object, slot }))
        }
    }
}
