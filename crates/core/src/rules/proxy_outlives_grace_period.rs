//! The classic proxy of a mesh that is configured to wait for longer than the grace period.

use crate::catalog::meshes::Proxy;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::related::Neighbours;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::ProxyOutlivesGracePeriod,
    severity: Severity::Warning,
    title: "The proxy of a mesh is configured to wait for longer than the grace period.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, related: &Neighbours<'_>) -> Vec<Finding> {
    let grace_period = subject.budget().grace_period;
    let mut proxies = subject.proxies(related);
    // Without a configured wait, the mesh uses its default, which does not contradict the manifest.
    proxies.retain(|proxy| proxy.is_certain && proxy.exit_is_configured && proxy.exits_after > grace_period);
    let findings = proxies.into_iter().map(|proxy| {
        let Proxy { mesh, exits_after, exit_key, .. } = proxy;
        let problem = format!("{mesh} proxy may run for {exits_after}, but the grace period is {grace_period}");
        RULE.finding(FieldPath::template_annotation(exit_key), problem)
            .fact(exits_after)
            .fact(grace_period)
            .hint("shorten it, or raise terminationGracePeriodSeconds")
    });
    findings.collect()
}

const PAGE: &str = r"## Why

The proxy is configured to wait for longer than the grace period of the pod. While a connection stays open, it does wait,
and at the end of the grace period the kubelet kills it with everything that still passes through it. The pod then always
ends with exit code 137, which looks like an app that does not shut down.

The labels and annotations of the Namespace count, too, if it is in the input of `winddown plan`; the controller reads it. The
webhooks do not see it, so they do not report this.

## What to do

Make the durations match: app ≤ proxy ≤ grace period. Either shorten the wait of the proxy:

```yaml
spec:
  template:
    metadata:
      annotations:
        config.linkerd.io/shutdown-grace-period: 20s # Linkerd, in addition to proxy-wait-before-exit-seconds
        proxy.istio.io/config: |                     # Istio
          terminationDrainDuration: 30s
```

Or set a larger `terminationGracePeriodSeconds`. A native sidecar stops after the app and needs neither.

## Source

- [Linkerd: proxy configuration](https://linkerd.io/2/reference/proxy-configuration)
- [Istio: four durations of a sidecar's end](https://github.com/istio/istio/issues/34855)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ProxyOutlivesGracePeriod;
    use crate::rules::tests::{deployment, fires, silent, within};

    const WAIT: &str = "config.alpha.linkerd.io/proxy-wait-before-exit-seconds";
    const GRACE: &str = "config.linkerd.io/shutdown-grace-period";

    /// Drain 10s, deadline 20s, grace period 35s.
    fn meshed(annotations: &Value) -> Value {
        deployment(|workload| workload["spec"]["template"]["metadata"]["annotations"] = annotations.clone())
    }

    fn istio(config: &str) -> Value {
        meshed(&json!({"sidecar.istio.io/inject": "true", "proxy.istio.io/config": config}))
    }

    #[test]
    fn a_wait_that_is_longer_than_the_grace_period_is_reported() {
        let (field, message) = fires(&istio("terminationDrainDuration: 1m\n"), ProxyOutlivesGracePeriod);
        assert_eq!(field, "spec.template.metadata.annotations[proxy.istio.io/config]");
        assert!(message.starts_with("Istio proxy may run for 60s, but the grace period is 35s; "), "{message}");
        let linkerd = meshed(&json!({"linkerd.io/inject": "enabled", WAIT: "10", GRACE: "2m"}));
        let (field, message) = fires(&linkerd, ProxyOutlivesGracePeriod);
        assert_eq!(field, format!("spec.template.metadata.annotations[{GRACE}]"));
        assert!(message.starts_with("Linkerd proxy may run for 130s, but the grace period is 35s; "), "{message}");
    }

    #[test]
    fn a_default_or_a_short_wait_is_not_reported() {
        silent(&meshed(&json!({"linkerd.io/inject": "enabled", WAIT: "10"})), ProxyOutlivesGracePeriod);
        silent(&istio("terminationDrainDuration: 35s\n"), ProxyOutlivesGracePeriod);
    }

    #[test]
    fn the_namespace_configures_the_wait() {
        let linkerd = || meshed(&json!({"linkerd.io/inject": "enabled", WAIT: "10"}));
        let grace = |value: &str| json!({"annotations": {GRACE: value}});
        fires(&within(linkerd(), &grace("2m")), ProxyOutlivesGracePeriod);
        silent(&within(linkerd(), &grace("20s")), ProxyOutlivesGracePeriod);
        let disabled = json!({"labels": {"istio-injection": "disabled"}});
        silent(&within(istio("terminationDrainDuration: 1m"), &disabled), ProxyOutlivesGracePeriod);
    }

    #[test]
    fn a_native_sidecar_or_no_proxy_is_not_reported() {
        for annotations in [
            json!({"linkerd.io/inject": "enabled", "config.beta.linkerd.io/proxy-enable-native-sidecar": "true"}),
            json!({"sidecar.istio.io/inject": "true", "sidecar.istio.io/nativeSidecar": "true"}),
            json!({"sidecar.istio.io/inject": "false", "proxy.istio.io/config": "terminationDrainDuration: 1s"}),
            json!({"linkerd.io/inject": "disabled"}),
            json!({}),
        ] {
            silent(&meshed(&annotations), ProxyOutlivesGracePeriod);
        }
    }
}
