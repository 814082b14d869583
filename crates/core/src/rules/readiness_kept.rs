//! `winddown.dev/readiness` is set, but the container already has a probe.

use crate::annotations::READINESS;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::readiness::PlannedProbe;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::ReadinessKept,
    severity: Severity::Info,
    title: "A container keeps its own readiness probe.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let PlannedProbe::Kept { container } = &subject.plan.probe else { return Vec::new() };
    let field = FieldPath::container(container, "readinessProbe");
    vec![RULE.finding(field, "the container's own readiness probe is kept").hint(format!("{READINESS} has no effect"))]
}

const PAGE: &str = r"## Why

`winddown.dev/readiness` asks for a probe, but the container already has one. Winddown never changes what you wrote, so
the annotation has no effect. Nothing is broken, but readers of the annotation may take it for the probe that is in use.

## What to do

Keep one of the two. Either remove the annotation,

```sh
kubectl annotate deployment shop winddown.dev/readiness-
```

or remove the container's `readinessProbe`: Winddown then injects the probe of the annotation, which runs every 5s and
fails after one failure. If you want longer periods or more failures, keep your own probe.

## Source

- [How it works](how-it-works.md#what-is-changed-and-what-is-not)
- [Configure probes](https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#configure-probes)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessKept;
    use crate::rules::tests::{container, fires, pod, silent};

    fn declared(mut manifest: Value) -> Value {
        manifest["metadata"]["annotations"]["winddown.dev/readiness"] = json!("http:3000/health");
        manifest
    }

    #[test]
    fn an_existing_probe_is_kept() {
        let manifest = declared(container(|app| {
            app["ports"] = json!([{"containerPort": 3000}]);
            app["readinessProbe"] = json!({"tcpSocket": {"port": 3000}});
        }));
        let (field, message) = fires(&manifest, ReadinessKept);
        assert_eq!(field, "spec.template.spec.containers[app].readinessProbe");
        assert_eq!(message, "the container's own readiness probe is kept; winddown.dev/readiness has no effect");
    }

    #[test]
    fn a_probe_of_another_container_is_not_reported() {
        let manifest = declared(pod(|pod| {
            pod["containers"][0]["ports"] = json!([{"containerPort": 3000}]);
            let proxy = json!({"name": "proxy", "readinessProbe": {"tcpSocket": {"port": 80}}});
            pod["containers"].as_array_mut().unwrap().push(proxy);
        }));
        silent(&manifest, ReadinessKept);
    }

    #[test]
    fn without_the_annotation_nothing_is_reported() {
        silent(&container(|app| app["readinessProbe"] = json!({"tcpSocket": {"port": 3000}})), ReadinessKept);
        silent(&declared(container(|_| {})), ReadinessKept);
    }
}
