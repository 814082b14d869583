//! `lifecycle.stopSignal` in a pod without `os.name`: the API server rejects it, or drops it.

use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::{Running, running};
use crate::pod::signals::{declared_stop_signal, has_os};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::StopSignalWithoutOs,
    severity: Severity::Warning,
    title: "A stop signal is set, but the pod has no os.name, so it has no effect.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    if has_os(&subject.workload.pod) {
        return Vec::new();
    }
    let finding = |running: Running<'_>| {
        let signal = declared_stop_signal(running.container)?;
        let problem = format!("{signal} has no effect, because the pod has no os.name");
        let finding = RULE.finding(running.field("lifecycle.stopSignal"), problem).fact(signal);
        Some(finding.hint("set spec.template.spec.os.name to linux"))
    };
    running(&subject.workload.pod).filter_map(finding).collect()
}

const PAGE: &str = r"## Why

The signals that a container can get depend on the operating system, so Kubernetes accepts `lifecycle.stopSignal` only in a pod
with `spec.os.name`. An API server with the feature gate `ContainerStopSignals` rejects the pods: `may not be set for
containers with empty spec.os.name`. One without the gate drops the field, and the container gets the stop signal of its
image, or SIGTERM. So Winddown assumes SIGTERM, and the timeline shows it.

## What to do

Set the operating system:

```yaml
spec:
  template:
    spec:
      os: {name: linux}
      containers:
      - name: web
        lifecycle: {stopSignal: SIGQUIT}
```

Such pods run only on Linux nodes. On a cluster without the feature gate, set `STOPSIGNAL` in the image instead.

## Source

- [KEP-4960](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4960-container-stop-signals)
- [API reference of Lifecycle](https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#lifecycle-1)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::StopSignalWithoutOs;
    use crate::rules::tests::{container, fires, pod, silent};

    fn with_os(os: &Value) -> Value {
        pod(|pod| {
            pod["os"] = os.clone();
            pod["containers"][0]["lifecycle"] = json!({"stopSignal": "SIGQUIT"});
        })
    }

    #[test]
    fn a_stop_signal_in_a_pod_without_operating_system_is_reported() {
        for os in [json!(null), json!({"name": ""})] {
            let (field, message) = fires(&with_os(&os), StopSignalWithoutOs);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.stopSignal");
            let expected =
                "SIGQUIT has no effect, because the pod has no os.name; set spec.template.spec.os.name to linux";
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn native_sidecars_are_checked() {
        let manifest = pod(|pod| {
            pod["initContainers"] = json!([
                {"name": "proxy", "restartPolicy": "Always", "lifecycle": {"stopSignal": "SIGINT"}},
            ]);
        });
        let (field, _) = fires(&manifest, StopSignalWithoutOs);
        assert_eq!(field, "spec.template.spec.initContainers[proxy].lifecycle.stopSignal");
    }

    #[test]
    fn with_the_operating_system_it_is_not_reported() {
        silent(&with_os(&json!({"name": "linux"})), StopSignalWithoutOs);
        silent(&container(|_| {}), StopSignalWithoutOs);
    }
}
