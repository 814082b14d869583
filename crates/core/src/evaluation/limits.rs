//! What is evaluated at most. The limits bound the time and the memory of an evaluation, and are checked before it.

use serde_json::Value;

use crate::annotations::{CONTAINERS, INJECTED, MAX_CONTAINERS};
use crate::decode::InvalidField;
use crate::field_path::FieldPath;
use crate::injection::MAX_RECORD_SIZE;
use crate::object::{MAX_VALUES, Template, TooManyValues, injectable};

/// Lists of large items: an empty item takes up to 3 KB in the API types. Winddown reads only the containers, but decodes
/// all of them.
const LARGE_ITEMS: [&str; 4] = ["containers", "initContainers", "ephemeralContainers", "volumes"];

/// Checks a workload before it is evaluated. Returns the number of its values.
pub(super) fn check(workload: &Value, template: Template<'_>) -> Result<usize, InvalidField> {
    let values = count(workload);
    if values > MAX_VALUES {
        return Err(TooManyValues::new(values).into());
    }
    let Ok(pod) = template.pod_spec() else { return Ok(values) };
    for list in LARGE_ITEMS {
        let items = pod.get(list).and_then(Value::as_array).map_or(0, Vec::len);
        if items > MAX_CONTAINERS {
            let problem = format!("has {items} entries, more than the limit of {MAX_CONTAINERS}");
            return Err(InvalidField::new(FieldPath::pod(list), problem));
        }
    }
    Ok(values)
}

/// Checks the injectable fields after an injection into a workload of this many values: what exceeds a limit could not be
/// undone.
pub(super) fn check_injected(workload: usize, template: Template<'_>, fields: &Value) -> Result<(), InvalidField> {
    check_record(Template::new(fields))?;
    let after = workload + values(fields) + ANNOTATIONS;
    if after <= MAX_VALUES {
        return Ok(());
    }
    match after.saturating_sub(values(&injectable(template.value()))) {
        ..=MAX_VALUES => Ok(()),
        after => {
            let added = after - workload;
            let problem = format!(
                "has {workload} values (fields and list items), and the injection adds {added}: more than the limit of {MAX_VALUES}"
            );
            Err(InvalidField::new(FieldPath::new("workload"), problem))
        }
    }
}

/// The annotations that Winddown writes on a workload, and their map.
const ANNOTATIONS: usize = 3;

fn check_record(template: Template<'_>) -> Result<(), InvalidField> {
    match template.annotation(INJECTED).map_or(0, str::len) {
        ..=MAX_RECORD_SIZE => Ok(()),
        bytes => {
            let problem = format!(
                "need a record of {bytes} bytes, more than the limit of {MAX_RECORD_SIZE}; name fewer in {CONTAINERS}"
            );
            Err(InvalidField::new(FieldPath::pod("containers"), problem))
        }
    }
}

/// The number of values apart from the status and `managedFields`, which the webhooks do not read.
fn count(workload: &Value) -> usize {
    let Some(fields) = workload.as_object() else { return 1 };
    let counted = fields.iter().map(|(key, value)| match (key.as_str(), value) {
        ("status", _) => 0,
        ("metadata", Value::Object(metadata)) => {
            let counted = metadata.iter().filter(|(key, _)| *key != "managedFields");
            1 + counted.map(|(_, value)| values(value)).sum::<usize>()
        }
        _ => values(value),
    });
    1 + counted.sum::<usize>()
}

/// The value and everything in it.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Object(fields) => fields.values().map(values).sum(),
        Value::Array(items) => items.iter().map(values).sum::<usize>(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Existing, Origin, evaluate};
    use super::{MAX_VALUES, check, count};
    use crate::object::{Object, PartialObject, parse};
    use crate::policy::Policy;

    fn with_pod(pod: &Value) -> Value {
        json!({
            "kind": "Deployment",
            "metadata": {"name": "shop", "managedFields": [{"fieldsV1": {"f:spec": {}}}]},
            "spec": {"template": {"spec": pod}},
            "status": {"replicas": 3},
        })
    }

    #[test]
    fn what_could_not_be_undone_is_not_injected() {
        let filled = |extra: usize| {
            let mut workload = with_pod(&json!({"containers": [{"name": "app"}]}));
            workload["metadata"]["annotations"] = json!({"winddown.dev/drain": "5s", "winddown.dev/expose": "env"});
            workload["spec"]["template"]["spec"]["tolerations"] = vec![json!({}); MAX_VALUES - 38 + extra].into();
            workload
        };
        let evaluated = |workload: &Value| evaluate(workload, Existing::None, &Policy::default(), Origin::ApiServer);
        let mut most = 0;
        while let Ok(evaluation) = evaluated(&filled(most)) {
            let injected = evaluation.changes.apply(&filled(most));
            assert!(count(&injected) <= MAX_VALUES && evaluated(&injected).unwrap().changes.is_empty());
            most += 1;
        }
        let error = evaluated(&filled(most)).unwrap_err().to_string();
        assert!(error.contains("and the injection adds 23: more than the limit of 50000"), "{error}");
        // Control: it is the injection that exceeds the limit.
        assert!(count(&filled(most)) < MAX_VALUES - 10, "{}", count(&filled(most)));
    }

    fn problem(pod: &Value) -> Option<String> {
        let workload = with_pod(pod);
        check(&workload, Object::new(&workload).template().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn lists_of_large_items_are_short() {
        for list in ["containers", "initContainers", "ephemeralContainers", "volumes"] {
            assert_eq!(problem(&json!({list: vec![json!({}); 1000]})), None, "{list}");
            let expected = format!("spec.template.spec.{list} has 1001 entries, more than the limit of 1000");
            assert_eq!(problem(&json!({list: vec![json!({}); 1001]})), Some(expected));
        }
    }

    #[test]
    fn the_number_of_values_is_limited() {
        assert_eq!(problem(&json!({"tolerations": vec![json!({}); MAX_VALUES - 100]})), None);
        let many = json!({"tolerations": vec![json!({}); MAX_VALUES]});
        let expected = "workload has 50008 values (fields and list items), more than the limit of 50000";
        assert_eq!(problem(&many), Some(expected.to_owned()));
    }

    #[test]
    fn the_webhooks_count_the_same_values() {
        let mut many = with_pod(&json!({"tolerations": vec![json!({"key": ["a", 1, null]}); MAX_VALUES]}));
        many["metadata"]["managedFields"] = json!([]);
        let PartialObject::TooLarge(too_many) = parse(&many.to_string()).unwrap() else { panic!("it was read") };
        let counted = count(&many);
        // The webhooks also count the empty list of managedFields.
        assert!(too_many.to_string().contains(&format!("has {} values", counted + 1)), "{too_many}, counted {counted}");
    }
}
