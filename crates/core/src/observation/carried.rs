//! The budget that a pod carries.

use crate::fingerprint::in_process;
use crate::injection::Record;

/// The budget in the annotation `winddown.dev/injected` of a pod or a template, as a number to compare. It is the same for
/// templates that differ elsewhere, and in this process only.
#[must_use]
pub fn carried_hash(record: &str) -> u64 {
    Record::parse(record).map_or_else(|_| in_process(&record), |record| record.budget_hash())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::carried_hash;
    use crate::evaluation::{Existing, Origin, evaluate};
    use crate::policy::Policy;

    fn hash(annotations: &Value, image: &str) -> u64 {
        let workload = json!({
            "kind": "Deployment",
            "metadata": {"annotations": annotations},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}},
        });
        let evaluation = evaluate(&workload, Existing::None, &Policy::default(), Origin::ApiServer).unwrap();
        let injected = evaluation.changes.apply(&workload);
        carried_hash(injected["spec"]["template"]["metadata"]["annotations"]["winddown.dev/injected"].as_str().unwrap())
    }

    #[test]
    fn pods_with_the_same_numbers_carry_the_same_budget() {
        let six = json!({"winddown.dev/drain": "6s"});
        assert_eq!(hash(&six, "web:1"), hash(&six, "web:2"));
        assert_eq!(
            hash(&six, "web:1"),
            hash(&json!({"winddown.dev/drain": "6s", "winddown.dev/margin": "5s"}), "web:1")
        );
        for other in [
            json!({"winddown.dev/drain": "7s"}),
            json!({"winddown.dev/drain": "6s", "winddown.dev/deadline": "26s"}),
            json!({"winddown.dev/drain": "6s", "winddown.dev/readiness": "http:80/"}),
        ] {
            assert_ne!(hash(&six, "web:1"), hash(&other, "web:1"), "{other}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_a_budget_of_its_own() {
        assert_ne!(carried_hash("x"), carried_hash("y"));
        assert_eq!(carried_hash("{\"v\":3}"), carried_hash("{\"v\":3}"));
    }
}
