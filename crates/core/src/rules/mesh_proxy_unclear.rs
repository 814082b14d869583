//! The proxy of a mesh that may be a classic or a native sidecar. A classic one would stop before the app.

use crate::catalog::meshes::Proxy;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::related::Neighbours;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::MeshProxyUnclear,
    severity: Severity::Info,
    title: "Whether the proxy of a mesh stops before the app depends on whether it is a native sidecar.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, related: &Neighbours<'_>) -> Vec<Finding> {
    let budget = subject.budget();
    let unclear = |proxy: &Proxy| {
        let early = proxy.early_stop(budget).filter(|_| !proxy.is_certain)?;
        let (effect, after, needed) = early.facts();
        let problem = format!("{} proxy may be a classic sidecar, which {}", proxy.mesh, early.problem());
        let setting = proxy.needed_setting(budget);
        let hint = match proxy.native_key {
            Some(key) => format!("set {key}: \"true\", or {setting}"),
            None => format!("set {setting}, or let the control plane inject native sidecars"),
        };
        let field = FieldPath::template_annotation(proxy.native_key.unwrap_or(proxy.wait_key));
        Some(RULE.finding(field, problem).fact(effect).fact(after).fact(needed).hint(hint))
    };
    subject.proxies(related).iter().filter_map(unclear).collect()
}

const PAGE: &str = r#"## Why

The mesh injects its proxy into the pod, not into the template. Newer versions of Linkerd and Istio inject it as a native
sidecar, older ones as a classic sidecar; Consul, Kuma and Dapr do so if they are configured to. A native sidecar stops after
the app, so there is no problem. A classic sidecar gets SIGTERM at the same time as the app, and with its default durations
the app would lose its connections before it has finished. The template does not show which one it is.

Winddown expects a proxy if the template asks for one (`sidecar.istio.io/inject`, `istio.io/rev`, `linkerd.io/inject`,
`consul.hashicorp.com/connect-inject`, `kuma.io/sidecar-injection`, `dapr.io/enabled`), or if `winddown.dev/traffic` is
`istio` or `linkerd`: the proxy can also be injected because of a label of the namespace. Winddown reads the labels
`istio-injection`, `istio.io/rev` and `kuma.io/sidecar-injection` and the annotation `linkerd.io/inject` of a Namespace that
it knows. If the pods get no proxy, for example in Istio's ambient mode, say so in the template (`istio.io/dataplane-mode: ambient`, `sidecar.istio.io/inject: "false"`,
`linkerd.io/inject: disabled`).

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
        consul.hashicorp.com/enable-consul-dataplane-as-sidecar: "true"
        dapr.io/enable-native-sidecar: "true"
```

Kuma has no such annotation. Set the duration that the message contains; it does no harm to a native sidecar.

## Source

- [Linkerd: native sidecars](https://linkerd.io/2/features/native-sidecars)
- [Istio: native sidecars](https://istio.io/latest/blog/2023/native-sidecars/)
- [Istio: labels](https://istio.io/latest/docs/reference/config/labels)
- [Kuma: lifecycle of the proxy](https://kuma.io/docs/latest/production/dp-config/dpp-on-kubernetes/)
- [Dapr: arguments and annotations](https://docs.dapr.io/reference/arguments-annotations-overview/)
- [Consul: annotations](https://developer.hashicorp.com/consul/docs/k8s/annotations-and-labels)
- [KEP-753: sidecar containers](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{MeshProxyUnclear, ProxyStopsFirst};
    use crate::rules::tests::{deployment, fires, silent, within};

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
            assert!(message.contains(" proxy may be a classic sidecar, which "), "{message}");
            assert!(message.contains(&format!("; set {key}: \"true\", or ")), "{message}");
            silent(&manifest, ProxyStopsFirst);
        }
    }

    #[test]
    fn the_message_has_the_seconds_and_the_setting() {
        let message = |annotations: Value| fires(&meshed(&annotations), MeshProxyUnclear).1;
        assert_eq!(
            message(json!({"sidecar.istio.io/inject": "true"})),
            "Istio proxy may be a classic sidecar, which refuses new requests after 5s, but the drain is 10s; set \
             sidecar.istio.io/nativeSidecar: \"true\", or proxy.istio.io/config: \"terminationDrainDuration: 30s\""
        );
        assert_eq!(
            message(json!({"kuma.io/sidecar-injection": "enabled"})),
            "Kuma proxy may be a classic sidecar, which exits after 30s, and the app may need it until then; set \
             kuma.io/sidecar-drain-time: \"30s\", or let the control plane inject native sidecars"
        );
        assert_eq!(
            message(json!({"dapr.io/enabled": "true"})),
            "Dapr proxy may be a classic sidecar, which refuses the app's requests after 0s, but the app may need it \
             until 30s; set dapr.io/enable-native-sidecar: \"true\", or dapr.io/block-shutdown-duration: \"30s\""
        );
    }

    /// Drain and deadline of 20s each.
    fn with_traffic(traffic: &str, metadata: &Value) -> Value {
        deployment(|workload| {
            workload["metadata"]["annotations"] = json!({
                "winddown.dev/traffic": traffic, "winddown.dev/drain": "20s", "winddown.dev/deadline": "20s",
            });
            workload["spec"]["template"]["metadata"] = metadata.clone();
        })
    }

    #[test]
    fn a_mesh_as_the_source_of_traffic_implies_its_proxy() {
        for (traffic, mesh, off, on) in [
            ("istio", "Istio", json!({"labels": {"istio.io/dataplane-mode": "ambient"}}), json!({"istio.io/rev": "x"})),
            ("istio", "Istio", json!({"labels": {"sidecar.istio.io/inject": "false"}}), json!({"istio.io/rev": ""})),
            ("istio", "Istio", json!({"annotations": {"sidecar.istio.io/inject": "no"}}), json!({})),
            ("linkerd", "Linkerd", json!({"annotations": {"linkerd.io/inject": "disabled"}}), json!({})),
        ] {
            let (_, message) = fires(&with_traffic(traffic, &json!({"labels": on})), MeshProxyUnclear);
            assert!(message.starts_with(mesh), "{message}");
            silent(&with_traffic(traffic, &off), MeshProxyUnclear);
        }
        silent(&with_traffic("service", &json!({})), MeshProxyUnclear);
        let mut on_node = with_traffic("istio", &json!({}));
        on_node["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
        silent(&on_node, MeshProxyUnclear);
    }

    #[test]
    fn labels_of_the_namespace_ask_for_the_proxy_or_refute_it() {
        let labelled = |workload: Value, labels: &Value| within(workload, &json!({"labels": labels}));
        let plain = || meshed(&json!({}));
        let implied = || with_traffic("istio", &json!({}));
        let off = || meshed(&json!({"sidecar.istio.io/inject": "false", "kuma.io/sidecar-injection": "disabled"}));
        for labels in [
            json!({"istio-injection": "enabled"}),
            json!({"istio.io/rev": "stable"}),
            json!({"kuma.io/sidecar-injection": "enabled"}),
        ] {
            fires(&labelled(plain(), &labels), MeshProxyUnclear);
            silent(&labelled(off(), &labels), MeshProxyUnclear);
        }
        let annotated = |annotations: &Value| within(plain(), &json!({"annotations": annotations}));
        fires(&annotated(&json!({"linkerd.io/inject": "enabled"})), MeshProxyUnclear);
        silent(&annotated(&json!({"linkerd.io/inject": "enabled", NATIVE: "true"})), MeshProxyUnclear);
        silent(&annotated(&json!({"linkerd.io/inject": "disabled"})), MeshProxyUnclear);
        silent(&labelled(plain(), &json!({"istio-injection": ""})), MeshProxyUnclear);
        fires(&labelled(implied(), &json!({"team": "shop"})), MeshProxyUnclear);
        silent(&labelled(implied(), &json!({"istio-injection": "disabled"})), MeshProxyUnclear);
        silent(&labelled(implied(), &json!({"istio.io/dataplane-mode": "ambient"})), MeshProxyUnclear);
    }

    #[test]
    fn every_mesh_is_detected_by_what_asks_for_its_proxy_and_only_by_that() {
        for (key, values, other) in [
            ("sidecar.istio.io/inject", &["true", "yes", "True"][..], &["false", "", "0"][..]),
            ("linkerd.io/inject", &["enabled", "ingress"], &["disabled", "", "false"]),
            ("consul.hashicorp.com/connect-inject", &["true", "1"], &["false", ""]),
            ("kuma.io/sidecar-injection", &["enabled", "true"], &["disabled", "false", ""]),
            ("dapr.io/enabled", &["true", "on", "True"], &["false", ""]),
        ] {
            for value in values {
                let mut long = meshed(&json!({key: value}));
                long["metadata"]["annotations"]["winddown.dev/deadline"] = json!("60s");
                fires(&long, MeshProxyUnclear);
            }
            for value in other {
                silent(&meshed(&json!({key: value})), MeshProxyUnclear);
            }
        }
    }

    #[test]
    fn labels_ask_for_a_proxy_too() {
        for label in ["istio.io/rev", "kuma.io/sidecar-injection"] {
            let manifest = deployment(|workload| {
                workload["spec"]["template"]["metadata"]["labels"] = json!({label: "enabled"});
            });
            fires(&manifest, MeshProxyUnclear);
        }
    }

    #[test]
    fn a_proxy_of_known_kind_is_not_reported() {
        for manifest in [
            meshed(&json!({"linkerd.io/inject": "enabled", NATIVE: "true"})),
            meshed(&json!({"linkerd.io/inject": "enabled", NATIVE: "false"})),
            meshed(&json!({"sidecar.istio.io/inject": "true", "sidecar.istio.io/nativeSidecar": "true"})),
            istio("terminationDrainDuration: 15s\n"),
            meshed(&json!({"kuma.io/sidecar-injection": "enabled", "kuma.io/sidecar-drain-time": "30s"})),
            meshed(&json!({"dapr.io/enabled": "true", "dapr.io/enable-native-sidecar": "true"})),
            meshed(&json!({"dapr.io/enabled": "true", "dapr.io/block-shutdown-duration": "30s"})),
            meshed(&json!({
                "consul.hashicorp.com/connect-inject": "true",
                "consul.hashicorp.com/enable-consul-dataplane-as-sidecar": "true",
            })),
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
