//! `winddown.dev/containers` names something that is not a main container of the pod.

use k8s_openapi::api::core::v1::Container;

use crate::annotations::CONTAINERS;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::init_containers;
use crate::rule::{Check, Rule, Subject};
use crate::sanitize::{listed, quoted};

pub(crate) const RULE: Rule = Rule {
    code: Code::ContainerNotFound,
    severity: Severity::Error,
    title: "`winddown.dev/containers` names a container that the pod does not have.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let containers = subject.containers();
    let is_main = |name: &str| containers.iter().any(|container| container.name == name);
    let missing = subject.resolved.declaration.containers.iter().flatten().filter(|name| !is_main(name));
    let init = |name: &str| init_containers(&subject.workload.pod).any(|container| container.name == name);
    missing.map(|name| finding(name, init(name), containers)).collect()
}

fn finding(name: &str, is_init: bool, containers: &[Container]) -> Finding {
    let names = listed(containers.iter().map(|container| container.name.as_str()));
    let (problem, hint) = if is_init {
        ("is an init container", format!("name only main containers: {names}"))
    } else {
        ("is not a container of this pod", format!("containers: {names}"))
    };
    let field = FieldPath::annotation(CONTAINERS);
    RULE.finding(field, format!("{} {problem}", quoted(name))).fact(name).fact(u32::from(is_init)).hint(hint)
}

const PAGE: &str = r"## Why

`winddown.dev/containers` names the containers that get the preStop sleep; the first of them gets the readiness probe. If
a name is wrong, the container that you meant has no drain: it gets SIGTERM immediately, while traffic still arrives. Init
containers cannot be named, not even native sidecars: the kubelet stops those after the app.

## What to do

Use the names in `spec.template.spec.containers`; the message lists them. When you rename a container, rename it here,
too.

```yaml
metadata:
  annotations:
    winddown.dev/containers: app,proxy
```

Or remove the annotation: then every container without a preStop hook of its own gets the sleep, which is right for most
pods.

## Source

- [Sidecar containers](https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#sidecar-containers-and-pod-lifecycle)
- [KEP-753](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ContainerNotFound;
    use crate::rules::tests::{fires, found, pod, silent};

    fn naming(names: &str, pod_spec: &Value) -> Value {
        let mut manifest = pod(|pod| *pod = pod_spec.clone());
        manifest["metadata"]["annotations"]["winddown.dev/containers"] = json!(names);
        manifest
    }

    #[test]
    fn the_message_lists_the_containers() {
        let containers = json!({"containers": [{"name": "app"}, {"name": "proxy"}, {"name": "log"}]});
        let (field, message) = fires(&naming("app,prxy", &containers), ContainerNotFound);
        assert_eq!(field, "metadata.annotations[winddown.dev/containers]");
        assert_eq!(message, "\"prxy\" is not a container of this pod; containers: app, proxy, log");
        assert_eq!(found(&naming("a,b", &containers), ContainerNotFound).len(), 2);
        silent(&naming("proxy,app", &containers), ContainerNotFound);
    }

    #[test]
    fn init_containers_cannot_be_named() {
        let init = json!([{"name": "mesh", "restartPolicy": "Always"}, {"name": "init"}]);
        let containers = json!({"containers": [{"name": "app"}], "initContainers": init});
        for name in ["mesh", "init"] {
            let (_, message) = fires(&naming(name, &containers), ContainerNotFound);
            assert_eq!(message, format!("{name:?} is an init container; name only main containers: app"));
        }
    }

    #[test]
    fn hundreds_of_containers_are_listed_briefly() {
        let containers: Vec<_> = (0..500).map(|number| json!({"name": format!("c{number}")})).collect();
        let (_, message) = fires(&naming("x", &json!({"containers": containers})), ContainerNotFound);
        assert!(message.ends_with("containers: c0, c1, c2, c3, c4 and 495 more"), "{message}");
    }
}
