//! The fields of a pod template that Winddown may change, without the rest.
//!
//! They are a small part of a large template. Injecting into this part and comparing only this part avoids copying and
//! comparing the complete template.

use serde_json::{Map, Value};

/// The name of the field with the grace period.
pub(crate) const GRACE_PERIOD_FIELD: &str = "terminationGracePeriodSeconds";

/// The fields of a container. Containers keep their position.
const CONTAINER: [&str; 4] = ["name", "lifecycle", "readinessProbe", "env"];

/// The metadata of a template, its grace period, and the hooks, readiness probes and variables of its containers, with the
/// structure and the order of the template. A value of another type is copied.
pub(crate) fn injectable(template: &Value) -> Value {
    let Some(fields) = template.as_object() else { return template.clone() };
    fields
        .iter()
        .filter_map(|(key, value)| match key.as_str() {
            "metadata" => Some((key.clone(), value.clone())),
            "spec" => Some((key.clone(), of_pod_spec(value))),
            _ => None,
        })
        .collect()
}

fn of_pod_spec(spec: &Value) -> Value {
    let Some(fields) = spec.as_object() else { return spec.clone() };
    fields
        .iter()
        .filter_map(|(key, value)| match key.as_str() {
            GRACE_PERIOD_FIELD => Some((key.clone(), value.clone())),
            "containers" => Some((key.clone(), of_containers(value))),
            _ => None,
        })
        .collect()
}

fn of_containers(containers: &Value) -> Value {
    let Some(containers) = containers.as_array() else { return containers.clone() };
    containers
        .iter()
        .map(|container| match container.as_object() {
            Some(fields) => {
                let injectable = fields.iter().filter(|(key, _)| CONTAINER.contains(&key.as_str()));
                injectable.map(|(key, value)| (key.clone(), value.clone())).collect()
            }
            None => container.clone(),
        })
        .collect()
}

/// Writes the fields back into their template.
pub(crate) fn set_injectable(template: &mut Value, fields: &Value) {
    let (Some(template), Some(fields)) = (template.as_object_mut(), fields.as_object()) else { return };
    set(template, fields, "metadata");
    let spec = template.get_mut("spec").and_then(Value::as_object_mut);
    let (Some(spec), Some(fields)) = (spec, fields.get("spec").and_then(Value::as_object)) else { return };
    set(spec, fields, GRACE_PERIOD_FIELD);
    let containers = spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten();
    let fields = fields.get("containers").and_then(Value::as_array).into_iter().flatten();
    for (container, fields) in containers.zip(fields) {
        if let (Some(container), Some(fields)) = (container.as_object_mut(), fields.as_object()) {
            CONTAINER[1..].iter().for_each(|key| set(container, fields, key));
        }
    }
}

fn set(object: &mut Map<String, Value>, fields: &Map<String, Value>, key: &str) {
    match fields.get(key) {
        Some(value) => drop(object.insert(key.to_owned(), value.clone())),
        // shift, not swap: the other fields keep their order.
        None => drop(object.shift_remove(key)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{injectable, set_injectable};

    #[test]
    fn the_injectable_fields_are_copied_and_written_back() {
        let template = json!({
            "metadata": {"labels": {"app": "shop"}},
            "spec": {
                "volumes": [1],
                "containers": [{"image": "a", "name": "app", "lifecycle": {"x": 1}}, {"name": "log"}],
                "terminationGracePeriodSeconds": 30,
            },
            "future": true,
        });
        let mut fields = injectable(&template);
        let expected = json!({
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "app", "lifecycle": {"x": 1}}, {"name": "log"}], "terminationGracePeriodSeconds": 30},
        });
        assert_eq!(fields.to_string(), expected.to_string());

        let mut same = template.clone();
        set_injectable(&mut same, &fields);
        assert_eq!(same.to_string(), template.to_string());

        fields["spec"]["terminationGracePeriodSeconds"] = json!(35);
        fields["spec"]["containers"][0].as_object_mut().unwrap().remove("lifecycle");
        fields["spec"]["containers"][1]["readinessProbe"] = json!({});
        let mut changed = template;
        set_injectable(&mut changed, &fields);
        assert_eq!(injectable(&changed), fields);
        assert_eq!((&changed["spec"]["volumes"], &changed["future"]), (&json!([1]), &json!(true)));
    }

    #[test]
    fn values_of_other_types_are_kept() {
        for template in [
            json!(null),
            json!({"spec": 7}),
            json!({"spec": {"containers": "many"}}),
            json!({"spec": {"containers": [1]}}),
        ] {
            assert_eq!(injectable(&template), template);
            let mut same = template.clone();
            set_injectable(&mut same, &template);
            assert_eq!(same, template);
        }
    }
}
