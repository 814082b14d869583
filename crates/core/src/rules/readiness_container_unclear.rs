//! `winddown.dev/readiness` contains a port number that none of several containers declares.

use crate::annotations::{CONTAINERS, READINESS};
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::readiness::PlannedProbe;
use crate::rule::{Check, Rule, Subject};
use crate::sanitize::listed;

pub(crate) const RULE: Rule = Rule {
    code: Code::ReadinessContainerUnclear,
    severity: Severity::Error,
    title: "The pod has several containers, and it is unclear which one the readiness probe is for.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let PlannedProbe::ContainerUnclear { port } = subject.plan.probe else { return Vec::new() };
    let names = listed(subject.containers().iter().map(|container| container.name.as_str()));
    let problem = format!("no container declares port {port}");
    let hint = format!("declare it in ports, or name the container in {CONTAINERS}, one of: {names}");
    vec![RULE.finding(FieldPath::annotation(READINESS), problem).fact(u32::from(port)).hint(hint)]
}

const PAGE: &str = r"## Why

`winddown.dev/readiness` gives a port by its number, the pod has several containers, and none of them declares that port.
The containers of a pod share one network, so the probe would reach the app from any of them. But the probe sets the
`Ready` condition of the container that has it, and that container is the one to look at when a pod is not ready. Winddown
does not guess.

## What to do

Declare the port in the container that listens there, which also documents it:

```yaml
containers:
- name: app
  ports:
  - name: web
    containerPort: 3000
- name: exporter
```

Or name the container; the first one gets the probe:

```yaml
metadata:
  annotations:
    winddown.dev/containers: app,exporter
    winddown.dev/readiness: http:3000/health
```

## Source

- [Container probes](https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes)
- [Pod networking](https://kubernetes.io/docs/concepts/workloads/pods/#pod-networking)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessContainerUnclear;
    use crate::rules::tests::{fires, pod, silent};

    fn with(readiness: &str, containers: &Value) -> Value {
        let mut manifest = pod(|pod| pod["containers"] = containers.clone());
        manifest["metadata"]["annotations"]["winddown.dev/readiness"] = json!(readiness);
        manifest
    }

    fn bare_and_app() -> Value {
        json!([{"name": "bare"}, {"name": "app", "ports": [{"containerPort": 3000, "name": "web"}]}])
    }

    #[test]
    fn a_port_that_none_of_several_containers_declares_is_reported() {
        let (field, message) = fires(&with("http:9000/", &bare_and_app()), ReadinessContainerUnclear);
        assert_eq!(field, "metadata.annotations[winddown.dev/readiness]");
        assert_eq!(
            message,
            "no container declares port 9000; declare it in ports, or name the container in winddown.dev/containers, one \
             of: bare, app"
        );
    }

    #[test]
    fn a_declared_port_or_a_single_container_or_a_name_is_clear() {
        silent(&with("http:3000/", &bare_and_app()), ReadinessContainerUnclear);
        silent(&with("http:9000/", &json!([{"name": "bare"}])), ReadinessContainerUnclear);
        let mut named = with("http:9000/", &bare_and_app());
        named["metadata"]["annotations"]["winddown.dev/containers"] = json!("bare");
        silent(&named, ReadinessContainerUnclear);
    }
}
