//! A declaration on the pod template. Winddown reads declarations from the workload itself.

use crate::annotations::{Issue, Reading};
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code::MisplacedAnnotation,
    severity: Severity::Warning,
    title: "A declaration is on the pod template, where it has no effect.",
    page: PAGE,
    check: Check::Annotations(check),
};

fn check(reading: &Reading) -> Vec<Finding> {
    let findings = reading.issues.iter().filter_map(|issue| {
        let Issue::Misplaced { key } = issue else { return None };
        let finding = RULE.finding(FieldPath::template_annotation(key), "has no effect on the pod template");
        Some(finding.hint("move it to the metadata of the workload"))
    });
    findings.collect()
}

const PAGE: &str = r"## Why

Winddown reads declarations from the metadata of the workload. A declaration on the pod template is not read, so its pods
get no drain. The mistake is easy to make: the annotations of service meshes and of Prometheus do belong on the template,
because meshes and Prometheus look at pods. Winddown looks at workloads, so that it can reject a budget that does not fit
before there are pods.

## What to do

Move it from `spec.template.metadata` to `metadata`:

```yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  annotations:
    winddown.dev/drain: 5s      # here
spec:
  template:
    metadata:
      annotations: {}           # not here
```

The same value in both places is not reported: Kustomize's `commonAnnotations` writes to both.

Many charts call the annotations of the workload `annotations` or `deploymentAnnotations`, and those of the pod template
`podAnnotations`.

## Source

- [How it works](how-it-works.md#what-is-changed-and-what-is-not)
- [Deployments: pod template](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::MisplacedAnnotation;
    use crate::rules::tests::{deployment, fires, found, silent};

    fn on_the_template(annotations: &Value) -> Value {
        deployment(|deployment| {
            deployment["metadata"].as_object_mut().unwrap().remove("annotations");
            deployment["spec"]["template"]["metadata"]["annotations"] = annotations.clone();
        })
    }

    #[test]
    fn a_declaration_on_the_template_is_reported() {
        let (field, message) = fires(&on_the_template(&json!({"winddown.dev/drain": "5s"})), MisplacedAnnotation);
        assert_eq!(field, "spec.template.metadata.annotations[winddown.dev/drain]");
        assert_eq!(message, "has no effect on the pod template; move it to the metadata of the workload");
    }

    #[test]
    fn each_declaration_is_reported() {
        let annotations = json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "5s", "example.com/a": "b"});
        assert_eq!(found(&on_the_template(&annotations), MisplacedAnnotation).len(), 2);
    }

    #[test]
    fn other_annotations_of_the_template_are_ignored() {
        silent(&on_the_template(&json!({"winddown.dev/injected": "{}"})), MisplacedAnnotation);
        silent(&on_the_template(&json!({"example.com/drain": "5s"})), MisplacedAnnotation);
        silent(&deployment(|_| {}), MisplacedAnnotation);
    }

    #[test]
    fn the_same_declaration_in_both_places_is_not_reported() {
        let both = |on_the_template: &str| {
            deployment(|deployment| {
                let annotations = json!({"winddown.dev/drain": on_the_template});
                deployment["spec"]["template"]["metadata"]["annotations"] = annotations;
            })
        };
        silent(&both("10s"), MisplacedAnnotation);
        fires(&both("11s"), MisplacedAnnotation);
    }
}
