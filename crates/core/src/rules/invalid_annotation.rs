//! An annotation with an invalid value. The complete declaration is then unreadable.

use crate::annotations::{Issue, Reading};
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::fingerprint;
use crate::rule::{Check, Rule};
use crate::sanitize::quoted;

pub(crate) const RULE: Rule = Rule {
    code: Code::InvalidAnnotation,
    severity: Severity::Error,
    title: "The value of an annotation cannot be read.",
    page: PAGE,
    check: Check::Annotations(check),
};

fn check(reading: &Reading) -> Vec<Finding> {
    let findings = reading.issues.iter().filter_map(|issue| {
        let Issue::InvalidValue { key, value, reason } = issue else { return None };
        let finding = RULE.finding(FieldPath::annotation(key), format!("{} {reason}", quoted(value)));
        // The message may show only the beginning of the value.
        Some(finding.fact(fingerprint::of_texts(&[value]).as_str()))
    });
    findings.collect()
}

const PAGE: &str = r#"## Why

A `winddown.dev/` annotation has a value that cannot be read: for example a duration without a unit, an unknown preset or
a probe without a port. Winddown cannot plan anything from it. If it were ignored, the pods would have no drain although
the manifest declares one, and you would notice at the next deploy. Therefore the whole declaration counts as unreadable,
and the workload is rejected.

## What to do

The message quotes the value and says what is expected. These are the forms:

```yaml
metadata:
  annotations:
    winddown.dev/drain: 15s                     # whole seconds, at most 720h: 15s, 1m30s
    winddown.dev/deadline: 45s
    winddown.dev/margin: 5s
    winddown.dev/traffic: alb-ip                # a preset; the message lists them
    winddown.dev/runtime: spring-boot
    winddown.dev/readiness: http:3000/health    # or https:web/ready, tcp:5432, grpc:9090/service
    winddown.dev/containers: app,proxy          # names of containers, none twice
    winddown.dev/expose: env                    # the only value
    winddown.dev/mode: Enforce                  # or Audit, "Off"
```

Annotation values are strings. Quote a value that YAML reads as another type: a bare `Off` is a boolean to kubectl.

## Source

- [GEP-2257, durations of the Gateway API](https://gateway-api.sigs.k8s.io/geps/gep-2257/)
- [Presets](presets.md)
"#;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::InvalidAnnotation;
    use crate::rules::tests::{annotated, fires, found, silent};

    #[test]
    fn the_message_contains_the_value_and_the_expected_format() {
        for (name, value, expected) in [
            ("drain", "", "\"\" is empty; write a duration like 5s or 1m30s"),
            ("drain", "5", "\"5\" is not a duration; write one like 5s or 1m30s"),
            ("drain", "5s\u{0}", "\"5s\\0\" is not a duration; write one like 5s or 1m30s"),
            ("margin", "1500ms", "\"1500ms\" is not a whole number of seconds"),
            ("deadline", "721h", "\"721h\" exceeds the maximum of 720h (30 days)"),
            ("traffic", "servce", "\"servce\" is not a preset; did you mean service?"),
            ("readiness", "exec:true", "\"exec:true\" must start with http:, https:, tcp: or grpc:; "),
            ("containers", "app,app", "\"app,app\" "),
            ("expose", "ENV", "\"ENV\" is not a way to tell the app its budget; write env"),
            ("expose", "", "\"\" is not a way to tell the app its budget; write env"),
            ("mode", "enforce", "\"enforce\" is not a mode; "),
        ] {
            let key = format!("winddown.dev/{name}");
            let mut annotations = json!({"winddown.dev/drain": "5s"});
            annotations[&key] = json!(value);
            let (field, message) = fires(&annotated(&annotations), InvalidAnnotation);
            assert_eq!(field, format!("metadata.annotations[{key}]"));
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        let huge = "9".repeat(256 * 1024);
        let (_, message) = fires(&annotated(&json!({"winddown.dev/deadline": huge})), InvalidAnnotation);
        assert!(message.len() < 300, "{message}");
    }

    #[test]
    fn each_value_is_a_separate_finding() {
        let findings = |drain: &str| found(&annotated(&json!({"winddown.dev/drain": drain})), InvalidAnnotation);
        assert!(findings("5")[0].is_same_as(&findings("5")[0]));
        assert!(!findings("5")[0].is_same_as(&findings("6")[0]));
        let long = "9".repeat(500);
        assert!(!findings(&long)[0].is_same_as(&findings(&format!("{long}8"))[0]));
        let both = json!({"winddown.dev/drain": "5", "winddown.dev/deadline": "6"});
        assert_eq!(found(&annotated(&both), InvalidAnnotation).len(), 2);
    }

    #[test]
    fn readable_values_are_not_reported() {
        silent(&annotated(&json!({"winddown.dev/drain": "1m30s", "winddown.dev/mode": "Audit"})), InvalidAnnotation);
        silent(&annotated(&json!({"winddown.dev/drain": "nonsense", "winddown.dev/mode": "Off"})), InvalidAnnotation);
    }
}
