//! Evaluates a workload of a file or a cluster, as the operator would.

use std::rc::Rc;

use serde_json::Value;

use crate::render::workload::{Source, Workload};
use winddown_core::annotations::Assumption;
use winddown_core::decode::InvalidField;
use winddown_core::evaluation::{self, Existing, Origin};
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::policy::Policies;
use winddown_core::related::Related;

/// What an evaluation depends on besides the workload.
pub(super) struct Surroundings<'a> {
    /// For workloads without annotations of Winddown.
    pub(super) assumption: Option<&'a Rc<Assumption>>,
    pub(super) related: &'a Related,
    /// Whether all related objects are known. Otherwise, findings that need them are withheld.
    pub(super) complete: bool,
    pub(super) policies: &'a Policies,
}

/// A workload that cannot be evaluated.
pub(super) struct Failed {
    pub(super) problem: InvalidField,
    /// As they were given.
    pub(super) source: Source,
    pub(super) object: Value,
}

impl Surroundings<'_> {
    /// Evaluates a workload; one without annotations of Winddown as if it had those that are assumed.
    pub(super) fn evaluate(&self, source: Source, kind: Kind, object: Value) -> Result<Workload, Box<Failed>> {
        // An object with a UID was read from a cluster, so the API server has set its defaults.
        let (existing, origin) = if Object::new(&object).has_uid() {
            (Existing::Unchanged, Origin::ApiServer)
        } else {
            (Existing::None, Origin::File)
        };
        let governing = self.policies.for_namespace(&self.related.namespace_of(Object::new(&object)));
        let assumed = self.assumption.and_then(|assumed| Some((Rc::clone(assumed), assumed.applied_to(&object)?)));
        let subject = assumed.as_ref().map_or(&object, |(_, subject)| subject);
        let related = Some(self.related).filter(|_| self.complete);
        match evaluation::evaluate_among(subject, existing, governing, origin, related) {
            Ok(evaluation) => {
                let assumed = assumed.map(|(assumption, _)| assumption);
                Ok(Workload { source, kind, object, assumed, evaluation, current: None })
            }
            Err(problem) => Err(Box::new(Failed { problem, source, object })),
        }
    }
}
