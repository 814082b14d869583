//! Whether the opt-in of a namespace counts for a workload without annotations that opt in.
//!
//! Labelling a namespace, or removing the label, restarts nothing: it counts from the next change of each template on. The
//! record on a template says whether it was injected because of its namespace.

use super::Existing;
use super::settled::Settled;
use crate::annotations::{self, Declared, MODE, OPTING_IN};
use crate::decode::InvalidField;
use crate::injection::{BareTemplate, FieldOwners, Record, undo};
use crate::object::{Object, Template};

/// Whether a workload is opted in without an annotation that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptIn {
    /// Only its annotations count.
    No,
    /// It is opted in.
    Yes,
    /// From the next change of its template on.
    Waiting,
}

impl OptIn {
    /// Whether the namespace is not labelled any more: then the next change of the template undoes the injection.
    pub(super) fn ends(self, labelled: bool) -> bool {
        self == Self::Yes && !labelled
    }

    /// Decides it for a workload in a namespace that is or is not labelled now.
    pub(super) fn of(
        object: Object<'_>,
        template: Template<'_>,
        bare: &BareTemplate<'_>,
        existing: Existing<'_>,
        labelled: bool,
    ) -> Result<Self, InvalidField> {
        let by_label = if labelled { Self::Yes } else { Self::No };
        if OPTING_IN.iter().any(|key| object.has_annotation(key)) || object.annotation(MODE) == Some("Off") {
            return Ok(Self::No);
        }
        let unchanged = match existing {
            Existing::None => return Ok(by_label),
            Existing::Unchanged if injected_for_namespace(object, template, bare)? => return Ok(Self::Yes),
            // A record of another declaration: the webhook missed a change.
            Existing::Unchanged => bare.record.is_none(),
            Existing::Replaced(old) => {
                let Some(old) = old.get().map(Object::new) else { return Ok(by_label) };
                let Ok(old_template) = old.template() else { return Ok(by_label) };
                let Ok(record) = Record::of(old_template) else { return Ok(by_label) };
                let old_bare = undo(old_template, record, &FieldOwners::of(old));
                // A rollback brings back an old record. It is a change.
                if !old.declares_like(object) || old_bare.fingerprint() != bare.fingerprint() {
                    return Ok(by_label);
                }
                if injected_for_namespace(old, old_template, &old_bare)? {
                    return Ok(Self::Yes);
                }
                // Then the record comes from the client, as in a rollback to an equal template.
                if injected_for_namespace(object, template, bare)? {
                    return Ok(by_label);
                }
                old_bare.record.is_none()
            }
        };
        Ok(if labelled && unchanged { Self::Waiting } else { by_label })
    }
}

/// Whether the template stands as it was injected or found sufficient because of its namespace.
fn injected_for_namespace(
    object: Object<'_>,
    template: Template<'_>,
    bare: &BareTemplate<'_>,
) -> Result<bool, InvalidField> {
    let by_record = bare.record.as_ref().is_some_and(|record| {
        bare.intact && record.is_for_namespace() && record.was_written_for_template(bare.fingerprint())
    });
    if by_record {
        return Ok(true);
    }
    let Some(settled) = Settled::of(object) else { return Ok(false) };
    let reading = annotations::read_opted_in(&object.annotations()?, &template.annotations()?);
    Ok(matches!(reading.declared, Declared::Budget(declaration) if settled.is_for(template, &declaration)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::duration::Seconds;
    use crate::evaluation::{Existing, Origin, evaluate};
    use crate::policy::{Governing, Policy};

    fn workload(annotations: &Value) -> Value {
        json!({
            "kind": "Deployment",
            "metadata": {"annotations": annotations},
            "spec": {"template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app"}], "terminationGracePeriodSeconds": 30},
            }},
        })
    }

    #[test]
    fn a_workload_waits_while_its_template_stands_under_another_policy_or_label() {
        let (policy, other) = (Policy::default(), Policy { deadline: Seconds::new(40), ..Policy::default() });
        let labelled = Governing { policy: &policy, opted_in: true };
        let unlabelled = Governing { opted_in: false, ..labelled };
        let with_other = |governing: Governing<'_>| Governing { policy: &other, opted_in: governing.opted_in };
        let (plain, declared) = (workload(&json!({})), workload(&json!({"winddown.dev/drain": "6s"})));
        let all = workload(&json!({"winddown.dev/drain": "6s", "winddown.dev/deadline": "20s"}));
        for (workload, before, now, expected) in [
            (&plain, unlabelled, labelled, true),
            (&plain, unlabelled, unlabelled, false),
            (&plain, labelled, labelled, false),
            (&plain, labelled, unlabelled, true),
            (&plain, labelled, with_other(labelled), true),
            (&declared, unlabelled, unlabelled, false),
            (&declared, unlabelled, labelled, false),
            (&declared, unlabelled, with_other(unlabelled), true),
            // The policy has no part in its numbers.
            (&all, unlabelled, with_other(unlabelled), false),
        ] {
            let created = evaluate(workload, Existing::None, before, Origin::ApiServer).unwrap();
            assert!(!created.waiting, "a new workload");
            let stored = created.changes.apply(workload);
            let evaluation = evaluate(&stored, Existing::Unchanged, now, Origin::ApiServer).unwrap();
            assert!(!evaluation.changes.rolls_out());
            assert_eq!(evaluation.waiting, expected, "{workload} {before:?} {now:?}");
        }
    }
}
