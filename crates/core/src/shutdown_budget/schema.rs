//! What the schema of a `ShutdownBudget` has beyond its types: a limit for each text, and none for less than zero.

use schemars::Schema;
use serde_json::{Value, json};

use super::LONGEST_NAME;

/// Each field that is a text is as short as a name, and each number at least zero. No field is required: an older version may
/// leave it out.
pub(super) fn with_short_texts(schema: &mut Schema) {
    schema.remove("required");
    // Then `managedFields` are shorter.
    schema.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
    let Some(Value::Object(fields)) = schema.get_mut("properties") else { return };
    for field in fields.values_mut().filter_map(Value::as_object_mut) {
        let is_number = field.get("type") == Some(&json!("integer"));
        let (name, limit) = if is_number { ("minimum", json!(0)) } else { ("maxLength", json!(LONGEST_NAME)) };
        field.insert(name.to_owned(), limit);
    }
}
