//! Annotations that adjust a budget on a workload that declares none.

use crate::annotations::{DEADLINE, DRAIN, Issue, RUNTIME, Reading, TRAFFIC};
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code::NotOptedIn,
    severity: Severity::Warning,
    title: "Annotations have no effect, because none of them opts in.",
    page: PAGE,
    check: Check::Annotations(check),
};

fn check(reading: &Reading) -> Vec<Finding> {
    let findings = reading.issues.iter().filter_map(|issue| {
        let Issue::NotOptedIn { key } = issue else { return None };
        let finding = RULE.finding(FieldPath::annotation(key), "has no effect alone");
        Some(finding.hint(format!("add {DRAIN}, {DEADLINE}, {TRAFFIC} or {RUNTIME}")))
    });
    findings.collect()
}

const PAGE: &str = r"## Why

`margin`, `readiness`, `containers` and `mode` adjust a budget; they do not declare one. Without a drain or a deadline,
declared or proposed by a preset, Winddown does not change the workload, and its pods stop as they did before.

## What to do

Declare how long traffic keeps arriving, how long the app needs, or both; whatever you leave out has a default. If you do
not know the numbers, name the load balancer and the runtime:

```yaml
metadata:
  annotations:
    winddown.dev/traffic: ingress-nginx
    winddown.dev/runtime: spring-boot
    winddown.dev/readiness: http:8080/actuator/health/readiness
```

Or remove the annotation.

## Source

- [Presets](presets.md)
- [How it works](how-it-works.md)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::NotOptedIn;
    use crate::rules::tests::{annotated, fires, silent};

    #[test]
    fn annotations_that_declare_no_budget_are_reported() {
        for (name, value) in [("margin", "5s"), ("readiness", "tcp:80"), ("containers", "app"), ("mode", "Audit")] {
            let (field, message) = fires(&annotated(&json!({format!("winddown.dev/{name}"): value})), NotOptedIn);
            assert_eq!(field, format!("metadata.annotations[winddown.dev/{name}]"));
            assert_eq!(
                message,
                "has no effect alone; add winddown.dev/drain, winddown.dev/deadline, winddown.dev/traffic or \
                 winddown.dev/runtime"
            );
        }
    }

    #[test]
    fn several_of_them_are_one_finding() {
        let (field, _) =
            fires(&annotated(&json!({"winddown.dev/margin": "5s", "winddown.dev/containers": "app"})), NotOptedIn);
        assert_eq!(field, "metadata.annotations[winddown.dev/margin]");
    }

    #[test]
    fn an_annotation_that_opts_in_is_enough() {
        for (name, value) in [("drain", "0s"), ("deadline", "5s"), ("traffic", "service"), ("runtime", "spring-boot")] {
            let annotations = json!({"winddown.dev/margin": "5s", format!("winddown.dev/{name}"): value});
            silent(&annotated(&annotations), NotOptedIn);
        }
        silent(&annotated(&json!({})), NotOptedIn);
        silent(&annotated(&json!({"winddown.dev/mode": "Off", "winddown.dev/margin": "5s"})), NotOptedIn);
    }
}
