//! A `winddown.dev/` annotation on the workload that Winddown does not know, in most cases a typo.

use crate::annotations::{self, INJECTED, Issue, PREFIX, Reading};
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule};
use crate::suggestion::nearest;

pub(crate) const RULE: Rule = Rule {
    code: Code::UnknownAnnotation,
    severity: Severity::Error,
    title: "An annotation starts with `winddown.dev/`, but Winddown does not know it.",
    page: PAGE,
    check: Check::Annotations(check),
};

fn check(reading: &Reading) -> Vec<Finding> {
    let findings = reading.issues.iter().filter_map(|issue| match issue {
        Issue::UnknownKey { key } => {
            Some(RULE.finding(FieldPath::annotation(key), "unknown annotation").hint(hint(key)))
        }
        Issue::MoreUnknownKeys { number } => {
            let field = FieldPath::new("metadata.annotations");
            Some(RULE.finding(field, format!("{number} more unknown annotations")).fact(number.to_string()))
        }
        _ => None,
    });
    findings.collect()
}

fn hint(key: &str) -> String {
    match key.strip_prefix(PREFIX).and_then(|name| nearest(name, annotations::names())) {
        Some(known) => format!("did you mean {PREFIX}{known}?"),
        None if key == INJECTED => "Winddown writes it on the pod template; remove it here".to_owned(),
        None => format!("known names: {}", annotations::names().collect::<Vec<_>>().join(", ")),
    }
}

const PAGE: &str = r"## Why

A key starts with `winddown.dev/`, but Winddown does not read it. It is nearly always a typo. If it were ignored, the
manifest would look right, and the pods would still stop without a drain.

## What to do

Write the key that the message proposes, and remove the wrong one:

```sh
kubectl annotate deployment shop winddown.dev/drian- winddown.dev/drain=5s
```

Winddown reads these keys from the metadata of the workload: `drain`, `deadline`, `traffic`, `runtime`, `margin`,
`readiness`, `containers` and `mode`. It writes two more: `budget` on the workload, and `injected` on the pod template.
`injected` has no effect anywhere else.

## Source

- [Annotations](https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/): Kubernetes accepts any
  key and does not report an unknown one
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::UnknownAnnotation;
    use crate::rules::tests::{annotated, fires, found, silent};

    #[test]
    fn a_typo_gets_a_suggestion() {
        for (key, message) in [
            ("winddown.dev/drian", "unknown annotation; did you mean winddown.dev/drain?"),
            ("winddown.dev/Drain", "unknown annotation; did you mean winddown.dev/drain?"),
            ("winddown.dev/dealine", "unknown annotation; did you mean winddown.dev/deadline?"),
            ("winddown.dev/container", "unknown annotation; did you mean winddown.dev/containers?"),
            (
                "winddown.dev/grace-period",
                "unknown annotation; known names: drain, deadline, traffic, runtime, margin, readiness, containers, expose, mode",
            ),
            (
                "winddown.dev/",
                "unknown annotation; known names: drain, deadline, traffic, runtime, margin, readiness, containers, expose, mode",
            ),
            ("winddown.dev/injected", "unknown annotation; Winddown writes it on the pod template; remove it here"),
        ] {
            let expected = (format!("metadata.annotations[{key}]"), message.to_owned());
            assert_eq!(fires(&annotated(&json!({key: "5s"})), UnknownAnnotation), expected);
        }
    }

    #[test]
    fn each_unknown_key_is_reported() {
        let findings =
            found(&annotated(&json!({"winddown.dev/drian": "5s", "winddown.dev/dealine": "5s"})), UnknownAnnotation);
        let fields: Vec<_> = findings.iter().map(|finding| finding.field.to_string()).collect();
        let expected = ["metadata.annotations[winddown.dev/dealine]", "metadata.annotations[winddown.dev/drian]"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn of_many_unknown_keys_sixteen_are_named() {
        let many = (0..15_000).map(|key| (format!("winddown.dev/{key:05}"), json!(""))).collect();
        let findings = found(&annotated(&Value::Object(many)), UnknownAnnotation);
        assert_eq!(findings.len(), 17);
        assert_eq!(findings[15].field.to_string(), "metadata.annotations[winddown.dev/00015]");
        let last = (findings[16].field.to_string(), findings[16].message());
        assert_eq!(last, ("metadata.annotations".to_owned(), "14984 more unknown annotations".to_owned()));
    }

    #[test]
    fn annotations_with_another_prefix_are_ignored() {
        for key in ["winddown.dev/drain", "winddown.dev/budget", "example.com/drian", "winddown.development/drian"] {
            silent(&annotated(&json!({key: "5s"})), UnknownAnnotation);
        }
    }
}
