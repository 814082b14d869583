//! The proxy of a mesh that may be a classic or a native sidecar. A classic one would stop before the app.

use crate::catalog::meshes::Proxy;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::MeshProxyUnclear,
    severity: Severity::Info,
    title: "Whether the proxy of a mesh stops before the app depends on whether it is a native sidecar.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let proxy = Proxy::of(subject.workload);
    let proxy = proxy.filter(|proxy| !proxy.is_certain && proxy.early_stop(subject.budget()).is_some());
    let finding = proxy.map(|Proxy { mesh, native_key, .. }| {
        let problem = format!("{mesh} proxy may be a classic sidecar, which would stop before the app");
        let hint = format!("set {native_key}: \"true\" or \"false\"");
        RULE.finding(FieldPath::template_annotation(native_key), problem).hint(hint)
    });
    finding.into_iter().collect()
}

const PAGE: &str = r#"## Why

The mesh injects its proxy into the pod, not into the template. Newer versions of Linkerd and Istio inject it as a native
sidecar, older ones as a classic sidecar. A native sidecar stops after the app, so there is no problem. A classic sidecar
gets SIGTERM at the same time as the app, and with its default durations the app would lose its connections before it has
finished. The template does not show which one it is.

## What to do

Look at a running pod. A native sidecar is listed in `initContainers`:

```sh
kubectl get pod POD -o jsonpath='{.spec.initContainers[*].name}'
```

Then set the annotation in the template, to "true" or "false". Winddown then checks the durations, or reports nothing:

```yaml
spec:
  template:
    metadata:
      annotations:
        config.beta.linkerd.io/proxy-enable-native-sidecar: "true" # Linkerd
        sidecar.istio.io/nativeSidecar: "true"                     # Istio
```

## Source

- [Linkerd: native sidecars](https://linkerd.io/2/features/native-sidecars)
- [Istio: native sidecars](https://istio.io/latest/blog/2023/native-sidecars/)
- [KEP-753: sidecar containers](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{MeshProxyUnclear, ProxyStopsFirst};
    use crate::rules::tests::{deployment, fires, silent};

    const NATIVE: &str = "config.beta.linkerd.io/proxy-enable-native-sidecar";

    fn meshed(annotations: &Value) -> Value {
        deployment(|workload| workload["spec"]["template"]["metadata"]["annotations"] = annotations.clone())
    }

    fn istio(config: &str) -> Value {
        meshed(&json!({"sidecar.istio.io/inject": "true", "proxy.istio.io/config": config}))
    }

    #[test]
    fn a_proxy_of_unknown_kind_is_reported() {
        let istio_by_label = deployment(|workload| {
            workload["spec"]["template"]["metadata"]["labels"] = json!({"sidecar.istio.io/inject": "true"});
        });
        for manifest in [
            meshed(&json!({"linkerd.io/inject": "enabled"})),
            istio("{}"),
            istio_by_label,
            istio("[nonsense"),
            istio("terminationDrainDuration: soon"),
        ] {
            let (field, message) = fires(&manifest, MeshProxyUnclear);
            let key = if message.starts_with("Linkerd") { NATIVE } else { "sidecar.istio.io/nativeSidecar" };
            assert_eq!(field, format!("spec.template.metadata.annotations[{key}]"));
            let expected = format!(
                " proxy may be a classic sidecar, which would stop before the app; set {key}: \"true\" or \"false\""
            );
            assert!(message.ends_with(&expected), "{message}");
            silent(&manifest, ProxyStopsFirst);
        }
    }

    #[test]
    fn a_proxy_of_known_kind_is_not_reported() {
        for manifest in [
            meshed(&json!({"linkerd.io/inject": "enabled", NATIVE: "true"})),
            meshed(&json!({"linkerd.io/inject": "enabled", NATIVE: "false"})),
            meshed(&json!({"sidecar.istio.io/inject": "true", "sidecar.istio.io/nativeSidecar": "true"})),
            istio("terminationDrainDuration: 15s\n"),
        ] {
            silent(&manifest, MeshProxyUnclear);
        }
    }

    #[test]
    fn a_pod_without_a_mesh_is_not_reported() {
        for annotations in [
            json!({"sidecar.istio.io/inject": "false", "proxy.istio.io/config": "terminationDrainDuration: 1s"}),
            json!({"linkerd.io/inject": "disabled"}),
            json!({}),
        ] {
            silent(&meshed(&annotations), MeshProxyUnclear);
        }
    }
}
