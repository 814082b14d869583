//! Decodes parts of an object into API types. An error names the exact field.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment as PathSegment;

use crate::field_path::{FieldPath, Segment};
use crate::sanitize::truncated;

/// A field that does not conform to the API reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidField {
    /// The path of the field.
    pub field: FieldPath,
    /// The problem: the text that follows the field in the message.
    pub problem: String,
}

impl InvalidField {
    /// A field with this problem.
    #[must_use]
    pub fn new(field: FieldPath, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Longer than any field name of the API.
const LONGEST_NAME: usize = 80;

/// Decodes the value of a field.
pub fn decode<T: DeserializeOwned>(value: &Value, field: FieldPath) -> Result<T, InvalidField> {
    // Tracking the path takes time, so the path is determined only after an error.
    T::deserialize(value).or_else(|_| {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let field = error.path().iter().fold(field, |field, segment| match segment {
                PathSegment::Seq { index } => field.push(Segment::Index(*index)),
                PathSegment::Map { key: name } | PathSegment::Enum { variant: name } => {
                    field.push(Segment::Field(Cow::Owned(truncated(name, LONGEST_NAME).into_owned())))
                }
                PathSegment::Unknown => field,
            });
            InvalidField::new(field, format!("cannot be read: {}", error.into_inner()))
        })
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodSpec;
    use serde_json::{Value, json};

    use super::{FieldPath, InvalidField, decode};

    fn error(pod: &Value) -> String {
        decode::<PodSpec>(pod, FieldPath::new("spec")).unwrap_err().to_string()
    }

    #[test]
    fn the_error_names_the_field_and_the_problem() {
        for (pod, message) in [
            (
                json!({"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": "http"}]}]}),
                "spec.containers[1].ports[0].containerPort cannot be read: invalid type: string \"http\", expected i32",
            ),
            (
                json!({"terminationGracePeriodSeconds": "30"}),
                "spec.terminationGracePeriodSeconds cannot be read: invalid type: string \"30\", expected i64",
            ),
        ] {
            assert_eq!(error(&pod), message);
        }
        assert!(error(&json!([1])).starts_with("spec"), "{}", error(&json!([1])));
    }

    #[test]
    fn keys_are_escaped_and_cut() {
        let escaped = error(&json!({"nodeSelector": {"a\n\u{1b}[31m": 5}}));
        assert!(escaped.starts_with("spec.nodeSelector.a\\n\\u{1b}[31m "), "{escaped}");
        assert!(error(&json!({"nodeSelector": {"a".repeat(10_000): 5}})).len() < 400);
    }

    #[test]
    fn a_valid_value_is_decoded() {
        let pod: Result<PodSpec, InvalidField> = decode(&json!({"hostname": "shop"}), FieldPath::new("spec"));
        assert_eq!(pod.map(|pod| pod.hostname), Ok(Some("shop".to_owned())));
    }
}
