//! The JSON Patch from one template to another.

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, jsonptr::PointerBuf};
use serde_json::Value;

/// The operations that lead from one template to the other. In the variables of a container, only the entries that differ
/// are named: a difference by position would write all of them again.
pub(super) fn difference(mut before: Value, mut after: Value) -> Patch {
    if containers(&mut before).len() != containers(&mut after).len() {
        return json_patch::diff(&before, &after);
    }
    let variables = (taken(&mut before), taken(&mut after));
    let mut operations = json_patch::diff(&before, &after).0;
    for (at, (before, after)) in variables.0.into_iter().zip(variables.1).enumerate() {
        let path = PointerBuf::from_tokens(["spec", "containers", &at.to_string(), "env"]);
        add_operations(path, before, after, &mut operations);
    }
    Patch(operations)
}

/// The variables of each container, which are removed from it.
fn taken(template: &mut Value) -> Vec<Option<Value>> {
    let variables = |container: &mut Value| container.as_object_mut()?.shift_remove("env");
    containers(template).iter_mut().map(variables).collect()
}

fn containers(template: &mut Value) -> &mut [Value] {
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
    containers.map_or(&mut [], Vec::as_mut_slice)
}

fn add_operations(path: PointerBuf, before: Option<Value>, after: Option<Value>, operations: &mut Vec<PatchOperation>) {
    let (before, after) = match (before, after) {
        (Some(Value::Array(before)), Some(Value::Array(after))) => (before, after),
        (before, after) if before == after => return,
        (_, Some(value)) => {
            return operations.push(PatchOperation::Add(AddOperation { path, value }));
        }
        (_, None) => {
            return operations.push(PatchOperation::Remove(RemoveOperation { path }));
        }
    };
    let same_start = before.iter().zip(&after).take_while(|(before, after)| before == after).count();
    let (before, after) = (&before[same_start..], &after[same_start..]);
    let same_end = before.iter().rev().zip(after.iter().rev()).take_while(|(before, after)| before == after).count();
    let item = |at: usize| path.with_trailing_token(at);
    for at in (0..before.len() - same_end).rev() {
        operations.push(PatchOperation::Remove(RemoveOperation { path: item(same_start + at) }));
    }
    for (at, value) in after[..after.len() - same_end].iter().enumerate() {
        operations.push(PatchOperation::Add(AddOperation { path: item(same_start + at), value: value.clone() }));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::difference;

    fn template(env: &Value) -> Value {
        json!({"spec": {"containers": [{"name": "app", "env": env}, {"name": "proxy"}]}})
    }

    /// Each operation with the last part of its path and the name in its value.
    fn operations(before: &Value, after: &Value) -> Vec<String> {
        let patch = difference(before.clone(), after.clone());
        let mut patched = before.clone();
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, *after);
        let short = |operation: &json_patch::PatchOperation| {
            let operation = serde_json::to_value(operation).unwrap();
            let field = operation["path"].as_str().unwrap().trim_start_matches("/spec/containers/0/").to_owned();
            let name = operation["value"]["name"].as_str().unwrap_or_default();
            format!("{} {field} {name}", operation["op"].as_str().unwrap()).trim_end().to_owned()
        };
        patch.0.iter().map(short).collect()
    }

    #[test]
    fn only_the_variables_that_differ_are_written() {
        let [one, two, three] = ["1", "2", "3"].map(|value| json!({"name": format!("V{value}"), "value": value}));
        let changed = json!({"name": "V1", "value": "9"});
        for (before, after, expected) in [
            (json!([three]), json!([one, two, three]), &["add env/0 V1", "add env/1 V2"][..]),
            (json!([one, two, three]), json!([three]), &["remove env/1", "remove env/0"]),
            (json!([one, two, three]), json!([changed, two, three]), &["remove env/0", "add env/0 V1"]),
            (
                json!([two, one, three]),
                json!([one, two, three]),
                &["remove env/1", "remove env/0", "add env/0 V1", "add env/1 V2"],
            ),
            (json!([one, one]), json!([one]), &["remove env/1"]),
            (json!([one]), json!([one]), &[]),
            (json!([]), json!([one]), &["add env/0 V1"]),
            (json!(null), json!([one]), &["add env"]),
        ] {
            assert_eq!(operations(&template(&before), &template(&after)), expected, "{before} {after}");
        }
        let mut without = template(&json!([]));
        without["spec"]["containers"][0].as_object_mut().unwrap().remove("env");
        assert_eq!(operations(&without, &template(&json!([one]))), ["add env"]);
        assert_eq!(operations(&template(&json!([one])), &without), ["remove env"]);
    }

    #[test]
    fn other_fields_differ_as_usual() {
        let mut after = template(&json!([1]));
        after["spec"]["containers"][0]["lifecycle"] = json!({});
        after["metadata"] = json!({});
        let found = operations(&template(&json!([])), &after);
        assert_eq!(found, ["add lifecycle", "add /metadata", "add env/0"]);
    }
}
