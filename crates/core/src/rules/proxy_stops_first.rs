//! The classic proxy of a mesh that stops before the app.

use crate::catalog::meshes::Proxy;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::related::Neighbours;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::ProxyStopsFirst,
    severity: Severity::Warning,
    title: "The classic proxy of a mesh stops before the app.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, related: &Neighbours<'_>) -> Vec<Finding> {
    subject.proxies(related).iter().filter_map(|proxy| finding(subject, proxy)).collect()
}

fn finding(subject: &Subject<'_>, proxy: &Proxy) -> Option<Finding> {
    if !proxy.is_certain {
        return None;
    }
    let early = proxy.early_stop(subject.budget())?;
    let (effect, after, needed) = early.facts();
    let setting = proxy.needed_setting(subject.budget());
    let hint = format!("set {setting}, or make it a native sidecar");
    let problem = format!("{} proxy {}", proxy.mesh, early.problem());
    let finding = RULE.finding(FieldPath::template_annotation(proxy.wait_key), problem);
    Some(finding.fact(effect).fact(after).fact(needed).hint(hint))
}

const PAGE: &str = r#"## Why

A classic sidecar gets SIGTERM at the same time as the app. But the traffic of the app passes through it until the end:
requests that still arrive during the drain, and the app's own calls to databases and other services until it exits.
Linkerd's proxy refuses every new request as soon as it gets SIGTERM, and finishes open ones. Istio's agent waits for
`terminationDrainDuration` (5s by default) and then stops Envoy with all its connections. Kuma drains for 30s and Consul for
30s (nothing, if its lifecycle management is disabled), whatever the app needs. Dapr closes its API immediately, so the
app can neither publish nor save anything while it shuts down. Users see errors although the app shuts down correctly.

The labels and annotations of the Namespace count, too, if it is in the input of `winddown plan`; the controller reads it. The
webhooks do not see it, so they do not report this.

## What to do

The best solution is a native sidecar. The kubelet stops it after the app, and no durations have to match:

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

Kuma makes it one with the option `experimental.sidecarContainers` of its control plane.

Otherwise configure the proxy to wait. All but Linkerd's have to wait for drain + deadline. Linkerd's proxy has to wait for the
drain, or longer if the time it has for open requests after that (`config.linkerd.io/shutdown-grace-period`, 120s by
default) ends before drain + deadline. The message contains the number.

```yaml
        config.alpha.linkerd.io/proxy-wait-before-exit-seconds: "10"
        proxy.istio.io/config: |
          terminationDrainDuration: 30s
        consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds: "30"
        kuma.io/sidecar-drain-time: 30s
        dapr.io/block-shutdown-duration: 30s
```

## Source

- [Linkerd: graceful pod shutdown](https://linkerd.io/2/tasks/graceful-shutdown)
- [Linkerd: proxy configuration](https://linkerd.io/2/reference/proxy-configuration)
- [Istio: four durations of a sidecar's end](https://github.com/istio/istio/issues/34855)
- [Consul: annotations](https://developer.hashicorp.com/consul/docs/k8s/annotations-and-labels) and
  [proxy lifecycle](https://github.com/hashicorp/consul-k8s/pull/2233)
- [Kuma: leaving the mesh](https://kuma.io/docs/latest/production/dp-config/dpp-on-kubernetes/)
- [Dapr: arguments and annotations](https://docs.dapr.io/reference/arguments-annotations-overview/)
- [KEP-753: sidecar containers](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{ProxyOutlivesGracePeriod, ProxyStopsFirst};
    use crate::rules::tests::{deployment, fires, found, silent, within};

    const WAIT: &str = "config.alpha.linkerd.io/proxy-wait-before-exit-seconds";
    const GRACE: &str = "config.linkerd.io/shutdown-grace-period";
    const NATIVE: &str = "config.beta.linkerd.io/proxy-enable-native-sidecar";

    /// Drain 10s, deadline 20s, grace period 35s.
    fn meshed(annotations: &Value) -> Value {
        deployment(|workload| workload["spec"]["template"]["metadata"]["annotations"] = annotations.clone())
    }

    fn linkerd(more: &[(&str, &str)]) -> Value {
        let mut annotations = json!({"linkerd.io/inject": "enabled"});
        for (key, value) in more {
            annotations[*key] = json!(value);
        }
        meshed(&annotations)
    }

    fn istio(config: &str) -> Value {
        meshed(&json!({"sidecar.istio.io/inject": "true", "proxy.istio.io/config": config}))
    }

    #[test]
    fn a_classic_linkerd_proxy_that_does_not_wait_for_the_drain_is_reported() {
        for (annotations, problem) in [
            (&[(NATIVE, "false")][..], "Linkerd proxy refuses new requests after 0s, but the drain is 10s; set "),
            (&[(WAIT, "9")], "Linkerd proxy refuses new requests after 9s, but the drain is 10s; set "),
            (&[(WAIT, "10"), (GRACE, "5s")], "Linkerd proxy exits after 15s, but the app may need it until 30s; set "),
        ] {
            let (field, message) = fires(&linkerd(annotations), ProxyStopsFirst);
            assert_eq!(field, format!("spec.template.metadata.annotations[{WAIT}]"));
            assert!(message.starts_with(problem), "{message}");
        }
        silent(&linkerd(&[(WAIT, "10")]), ProxyStopsFirst);
        silent(&linkerd(&[(WAIT, "12"), (GRACE, "20s")]), ProxyStopsFirst);
    }

    #[test]
    fn refusing_and_exiting_are_different_findings_with_the_same_numbers() {
        let with = |drain: &str, deadline: &str, settings: &[(&str, &str)]| {
            let mut manifest = linkerd(settings);
            manifest["metadata"]["annotations"] =
                json!({"winddown.dev/drain": drain, "winddown.dev/deadline": deadline});
            found(&manifest, ProxyStopsFirst).remove(0)
        };
        let refuses = with("20s", "5s", &[(WAIT, "10")]);
        let exits = with("5s", "15s", &[(WAIT, "5"), (GRACE, "5s")]);
        assert!(refuses.message().contains("refuses new requests after 10s, but the drain is 20s"));
        assert!(exits.message().contains("exits after 10s, but the app may need it until 20s"));
        assert!(!refuses.is_same_as(&exits));
    }

    #[test]
    fn the_proposed_setting_solves_the_problem() {
        for (grace, deadline, wait) in [("15s", "20s", "15"), ("20s", "20s", "10"), ("120s", "200s", "90")] {
            let with = |value: &str| {
                let mut manifest = linkerd(&[(NATIVE, "false"), (WAIT, value), (GRACE, grace)]);
                manifest["metadata"]["annotations"]["winddown.dev/deadline"] = json!(deadline);
                manifest
            };
            let (_, message) = fires(&with("0"), ProxyStopsFirst);
            assert!(message.contains(&format!("set {WAIT}: \"{wait}\", ")), "{message}");
            silent(&with(wait), ProxyStopsFirst);
            silent(&with(wait), ProxyOutlivesGracePeriod);
        }
    }

    #[test]
    fn a_classic_istio_proxy_has_to_wait_until_the_app_exits() {
        let (field, message) = fires(&istio("terminationDrainDuration: 15s\n"), ProxyStopsFirst);
        assert_eq!(field, "spec.template.metadata.annotations[proxy.istio.io/config]");
        assert!(message.starts_with("Istio proxy exits after 15s, but the app may need it until 30s; "), "{message}");
        assert!(message.contains("terminationDrainDuration: 30s"), "{message}");
        silent(&istio("terminationDrainDuration: 30s\n"), ProxyStopsFirst);
        silent(&istio("proxyMetadata: {EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true'}\n"), ProxyStopsFirst);
    }

    #[test]
    fn the_proxies_of_consul_kuma_and_dapr_have_to_wait_until_the_app_exits() {
        const CONSUL: &str = "consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds";
        const LIFECYCLE: &str = "consul.hashicorp.com/enable-sidecar-proxy-lifecycle";
        const DAPR: &str = "dapr.io/block-shutdown-duration";
        let consul = json!({"consul.hashicorp.com/connect-inject": "true"});
        let kuma = json!({"kuma.io/sidecar-injection": "enabled"});
        let dapr = json!({"dapr.io/enabled": "true", "dapr.io/enable-native-sidecar": "false"});
        for (mut annotations, key, value, problem, fixed) in [
            (consul.clone(), CONSUL, "20", "Consul proxy exits after 20s, ", "30"),
            (consul, LIFECYCLE, "false", "Consul proxy refuses new requests after 0s, but the drain is 10s; ", "true"),
            (kuma, "kuma.io/sidecar-drain-time", "15s", "Kuma proxy exits after 15s, ", "30s"),
            (dapr.clone(), DAPR, "", "Dapr proxy refuses the app's requests after 0s, ", "30s"),
            (dapr, DAPR, "29s", "Dapr proxy refuses the app's requests after 29s, ", "30s"),
        ] {
            annotations[key] = json!(value);
            let (field, message) = fires(&meshed(&annotations), ProxyStopsFirst);
            assert_eq!(field, format!("spec.template.metadata.annotations[{key}]"));
            assert!(message.starts_with(problem), "{message}");
            assert!(message.contains(&format!("set {key}: \"{fixed}\"")), "{message}");
            annotations[key] = json!(fixed);
            silent(&meshed(&annotations), ProxyStopsFirst);
            silent(&meshed(&annotations), ProxyOutlivesGracePeriod);
        }
    }

    #[test]
    fn a_pod_may_have_several_proxies() {
        let both = meshed(&json!({
            "linkerd.io/inject": "enabled", NATIVE: "false",
            "dapr.io/enabled": "true", "dapr.io/block-shutdown-duration": "5s",
        }));
        let meshes: Vec<_> =
            found(&both, ProxyStopsFirst).iter().map(|finding| finding.message()[..4].to_owned()).collect();
        assert_eq!(meshes, ["Link", "Dapr"]);
    }

    #[test]
    fn mesh_proxy_unclear_reports_a_proxy_of_unknown_kind() {
        for manifest in [linkerd(&[]), istio("{}"), istio("[nonsense"), istio("terminationDrainDuration: soon")] {
            silent(&manifest, ProxyStopsFirst);
        }
    }

    #[test]
    fn the_namespace_injects_configures_or_refutes_the_proxy() {
        let annotations = |settings: &Value| json!({"annotations": settings});
        let plain = || meshed(&json!({}));
        let (_, message) = fires(
            &within(plain(), &annotations(&json!({"linkerd.io/inject": "enabled", NATIVE: "false"}))),
            ProxyStopsFirst,
        );
        assert!(message.starts_with("Linkerd proxy refuses new requests after 0s, but the drain is 10s"), "{message}");
        fires(&within(linkerd(&[]), &annotations(&json!({WAIT: "9"}))), ProxyStopsFirst);
        silent(&within(linkerd(&[]), &annotations(&json!({WAIT: "10"}))), ProxyStopsFirst);
        silent(&within(linkerd(&[(WAIT, "9")]), &annotations(&json!({NATIVE: "true"}))), ProxyStopsFirst);
        fires(&within(linkerd(&[(WAIT, "9")]), &annotations(&json!({WAIT: "30"}))), ProxyStopsFirst);

        let short = || istio("terminationDrainDuration: 15s");
        fires(&within(short(), &json!({"labels": {"istio-injection": "enabled"}})), ProxyStopsFirst);
        silent(&within(short(), &json!({"labels": {"istio-injection": "disabled"}})), ProxyStopsFirst);

        let kuma = || meshed(&json!({"kuma.io/sidecar-drain-time": "15s"}));
        silent(&kuma(), ProxyStopsFirst);
        fires(&within(kuma(), &json!({"labels": {"kuma.io/sidecar-injection": "enabled"}})), ProxyStopsFirst);
        silent(&within(kuma(), &json!({"labels": {"kuma.io/sidecar-injection": "disabled"}})), ProxyStopsFirst);
    }

    #[test]
    fn a_native_sidecar_or_no_proxy_is_not_reported() {
        for manifest in [
            linkerd(&[(NATIVE, "true")]),
            meshed(&json!({"sidecar.istio.io/inject": "true", "sidecar.istio.io/nativeSidecar": "true"})),
            meshed(
                &json!({"sidecar.istio.io/inject": "false", "proxy.istio.io/config": "terminationDrainDuration: 1s"}),
            ),
            meshed(&json!({"linkerd.io/inject": "disabled"})),
            meshed(&json!({})),
        ] {
            silent(&manifest, ProxyStopsFirst);
        }
        let mut injected = linkerd(&[(NATIVE, "false")]);
        injected["spec"]["template"]["spec"]["initContainers"] =
            json!([{"name": "linkerd-proxy", "restartPolicy": "Always"}]);
        silent(&injected, ProxyStopsFirst);
    }
}
