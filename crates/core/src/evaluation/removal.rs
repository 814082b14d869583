//! Leaving Winddown behind: a workload without what it injected, whatever its annotations say.

use serde_json::Value;

use super::Changes;
use crate::decode::InvalidField;
use crate::injection::{FieldOwners, Record, UnreadableRecord, undo};
use crate::object::Object;

/// Why the injected fields of a workload cannot be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// The workload cannot be read.
    #[error("the workload cannot be read")]
    Invalid(#[from] InvalidField),
    /// The record of what was injected cannot be read, so injected fields cannot be distinguished from those of the owner.
    #[error("the annotation winddown.dev/injected of the pod template cannot be undone")]
    Record(#[from] UnreadableRecord),
}

/// The changes that remove everything that Winddown wrote: the injected fields of the pod template with their record and
/// label, and the two annotations on the workload. Fields that the owner has set since are kept, even with the injected
/// value. The annotations that declare a budget stay.
///
/// The workload must have its `managedFields`, which say who set a field.
pub fn removal(workload: &Value) -> Result<Changes, RemovalError> {
    let object = Object::new(workload);
    let template = object.template()?;
    let bare = undo(template, Record::of(template)?, &FieldOwners::of(object));
    Ok(Changes::remove(object, &bare))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evaluation::{Existing, Origin, evaluate};
    use crate::policy::Policy;

    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"}},
            "spec": {"template": {"spec": {
                "containers": [{"name": "app", "image": "app:1", "ports": [{"name": "http", "containerPort": 80}]}],
            }}},
        })
    }

    #[test]
    fn an_injected_workload_is_restored_field_for_field_and_keeps_its_declaration() {
        let given = deployment();
        let evaluation = evaluate(&given, Existing::None, &Policy::default(), Origin::ApiServer).unwrap();
        let injected = evaluation.changes.apply(&given);
        assert_ne!(injected, given);
        let mut restored = removal(&injected).unwrap().apply(&injected);
        // The API server would have set the default.
        let pod = restored.pointer_mut("/spec/template/spec").unwrap().as_object_mut().unwrap();
        pod.shift_remove("terminationGracePeriodSeconds");
        let template = restored.pointer_mut("/spec/template").unwrap().as_object_mut().unwrap();
        template.retain(|key, value| key != "metadata" || value.as_object().is_some_and(|fields| !fields.is_empty()));
        assert_eq!(restored, given);
        assert!(removal(&given).unwrap().is_empty());
    }

    #[test]
    fn a_record_that_cannot_be_read_is_an_error_and_not_a_guess() {
        let mut workload = deployment();
        workload["spec"]["template"]["metadata"] = json!({"annotations": {"winddown.dev/injected": "{\"v\": 99}"}});
        assert!(matches!(removal(&workload), Err(RemovalError::Record(UnreadableRecord::Version(99)))));
    }
}
