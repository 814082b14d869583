//! What governs the workload of a review.

use serde_json::Value;

use super::envelope::Response;
use crate::annotations::{INJECTED, OPTING_IN};
use crate::object::{LazyObject, Object};
use crate::policy::Governing;

/// What is known of the namespace of a request.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    governing: Governing<'a>,
    /// Whether the labels of the namespace are known.
    with_labels: bool,
}

impl<'a> Scope<'a> {
    /// In a namespace with known labels.
    #[must_use]
    pub fn new(governing: Governing<'a>) -> Self {
        Self { governing, with_labels: true }
    }

    /// In a namespace whose labels are not known, so only its name counts.
    #[must_use]
    pub fn without_labels(governing: Governing<'a>) -> Self {
        Self { governing, with_labels: false }
    }

    /// What governs a workload that replaces another. Without the label of the namespace, a workload that was injected without
    /// an annotation of its own stays so.
    pub(super) fn governing(self, workload: &Value, old: Option<&LazyObject<'_>>) -> Governing<'a> {
        let before = || old.and_then(LazyObject::get).unwrap_or(workload);
        let opted_in = self.governing.opted_in || !self.with_labels && is_injected_for_its_namespace(before());
        Governing { opted_in, ..self.governing }
    }

    /// Adds a warning if something that may count is not known.
    pub(super) fn explained(self, response: Response) -> Response {
        if self.with_labels {
            return response;
        }
        response.with_warning("the namespace was not read: policies and opt-in by its labels do not count here")
    }
}

fn is_injected_for_its_namespace(workload: &Value) -> bool {
    let workload = Object::new(workload);
    let opts_in = OPTING_IN.iter().any(|key| workload.has_annotation(key));
    !opts_in && workload.template().is_ok_and(|template| template.annotation(INJECTED).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Scope;
    use crate::object::LazyObject;
    use crate::policy::{Governing, Policy};

    fn workload(annotations: &Value, of_template: &Value) -> Value {
        json!({"metadata": {"annotations": annotations}, "spec": {"template": {"metadata": {"annotations": of_template}}}})
    }

    #[test]
    fn without_labels_a_workload_that_was_injected_for_its_namespace_stays_so() {
        let policy = Policy::default();
        let governing = Governing::from(&policy);
        let record = json!({"winddown.dev/injected": "{}"});
        let plain = workload(&json!({}), &json!({}));
        let of_namespace = workload(&json!({"winddown.dev/budget": "drain 5s"}), &record);
        let declared = workload(&json!({"winddown.dev/drain": "5s"}), &record);
        for (new, old, expected) in [
            (&plain, None, false),
            (&of_namespace, None, true),
            (&declared, None, false),
            // `kubectl replace` with the manifest.
            (&plain, Some(&of_namespace), true),
            // The owner removes the annotations.
            (&of_namespace, Some(&declared), false),
        ] {
            let old = old.map(LazyObject::from);
            assert_eq!(Scope::without_labels(governing).governing(new, old.as_ref()).opted_in, expected, "{new}");
            assert!(!Scope::new(governing).governing(new, old.as_ref()).opted_in);
        }
    }
}
