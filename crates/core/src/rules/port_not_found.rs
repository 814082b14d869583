//! `winddown.dev/readiness` names a port that the container to probe does not declare.

use crate::annotations::READINESS;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::readiness::PlannedProbe;
use crate::rule::{Check, Rule, Subject};
use crate::sanitize::{listed, quoted};

pub(crate) const RULE: Rule = Rule {
    code: Code::PortNotFound,
    severity: Severity::Error,
    title: "`winddown.dev/readiness` names a port that the container does not declare.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let PlannedProbe::PortNotFound { port, container } = &subject.plan.probe else { return Vec::new() };
    let searched =
        subject.containers().iter().filter(|found| container.as_ref().is_none_or(|name| *name == found.name));
    let ports = searched.flat_map(|container| container.ports.iter().flatten());
    let mut names = ports.filter_map(|port| port.name.as_deref()).peekable();
    let of_container = container.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    let hint = if names.peek().is_none() {
        format!("no port{of_container} has a name")
    } else {
        format!("named ports{of_container}: {}", listed(names))
    };
    let problem = format!("no container port is named {}", quoted(port));
    vec![RULE.finding(FieldPath::annotation(READINESS), problem).fact(port.as_str()).hint(hint)]
}

const PAGE: &str = r"## Why

`winddown.dev/readiness` names a port that the container does not declare. The kubelet looks up the name in the `ports` of
the container. If it is not there, the probe never succeeds, the pod never becomes ready, and the rollout does not
continue.

## What to do

Use a name that the container declares; the message lists them. Or declare it:

```yaml
ports:
- name: web
  containerPort: 3000
```

A number works without a declaration:

```yaml
metadata:
  annotations:
    winddown.dev/readiness: http:3000/health
```

In a pod with several containers, the first one in `winddown.dev/containers` gets the probe, so the name of a port of
another container is not found. List the container that declares the port first.

## Source

- [Configure probes](https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#use-a-named-port)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::PortNotFound;
    use crate::rules::tests::{fires, pod, silent};

    fn with(readiness: &str, containers: &Value, names: Option<&str>) -> Value {
        let mut manifest = pod(|pod| pod["containers"] = containers.clone());
        let annotations = &mut manifest["metadata"]["annotations"];
        annotations["winddown.dev/readiness"] = json!(readiness);
        if let Some(names) = names {
            annotations["winddown.dev/containers"] = json!(names);
        }
        manifest
    }

    fn app_and_proxy() -> Value {
        let app = json!({"name": "app", "ports": [{"containerPort": 3000, "name": "web"}]});
        let proxy = json!({"name": "proxy", "ports": [{"containerPort": 8080, "name": "mesh"}]});
        json!([app, proxy])
    }

    #[test]
    fn a_name_that_no_port_has_is_reported() {
        let bare = json!([{"name": "bare"}]);
        for (readiness, containers, names, message) in [
            ("http:wbe/", app_and_proxy(), None, "no container port is named \"wbe\"; named ports: web, mesh"),
            (
                "http:web/",
                app_and_proxy(),
                Some("proxy"),
                "no container port is named \"web\"; named ports of proxy: mesh",
            ),
            ("grpc:web/", bare.clone(), None, "no container port is named \"web\"; no port has a name"),
            ("tcp:web", bare, Some("bare"), "no container port is named \"web\"; no port of bare has a name"),
        ] {
            let (field, found) = fires(&with(readiness, &containers, names), PortNotFound);
            assert_eq!((field.as_str(), found.as_str()), ("metadata.annotations[winddown.dev/readiness]", message));
        }
    }

    #[test]
    fn declared_names_and_all_numbers_are_found() {
        for (readiness, names) in
            [("http:web/", None), ("tcp:mesh", None), ("http:mesh/", Some("proxy")), ("http:9000/", Some("app"))]
        {
            silent(&with(readiness, &app_and_proxy(), names), PortNotFound);
        }
    }
}
