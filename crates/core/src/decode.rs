//! A part of an object, read as the API reference has it; where it is not like that, the error names the very field.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A field that is not as the API reference has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} cannot be read: {reason}")]
pub struct WrongField {
    /// Its path, e.g. `spec.template.spec.containers[0].image`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Longer than any path that the API reference has.
const LONGEST_PATH: usize = 200;

/// Reads what stands in `field` of some object.
pub fn read<T: DeserializeOwned>(part: &Value, field: &str) -> Result<T, WrongField> {
    // Keeping track of the path takes its time, so that is done only where there is something to tell.
    T::deserialize(part).or_else(|_| {
        serde_path_to_error::deserialize(part).map_err(|error| {
            // A key may hold anything, and this goes into warnings and onto terminals.
            let path: String =
                error.path().to_string().chars().take(LONGEST_PATH).flat_map(char::escape_debug).collect();
            let field = if path == "." { field.to_owned() } else { format!("{field}.{path}") };
            WrongField { field, reason: error.into_inner().to_string() }
        })
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodSpec;
    use serde_json::{Value, json};

    use super::{WrongField, read};

    fn wrong(pod: &Value) -> String {
        read::<PodSpec>(pod, "spec").unwrap_err().to_string()
    }

    #[test]
    fn the_error_names_the_field_and_what_is_wrong_with_it() {
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
            assert_eq!(wrong(&pod), message);
        }
        assert!(wrong(&json!([1])).starts_with("spec"), "{}", wrong(&json!([1])));
    }

    #[test]
    fn a_key_that_nobody_can_print_is_escaped_and_a_long_one_is_cut() {
        assert!(
            wrong(&json!({"nodeSelector": {"a\n\u{1b}[31m": 5}})).starts_with("spec.nodeSelector.a\\n\\u{1b}[31m ")
        );
        assert!(wrong(&json!({"nodeSelector": {"a".repeat(10_000): 5}})).len() < 400);
    }

    #[test]
    fn what_is_as_it_should_be_is_read() {
        let pod: Result<PodSpec, WrongField> = read(&json!({"hostname": "shop"}), "spec");
        assert_eq!(pod.map(|pod| pod.hostname), Ok(Some("shop".to_owned())));
    }
}
