//! A mesh's proxy has to outlive the app, and the pod the proxy: app ≤ proxy ≤ grace period. A native sidecar does so by
//! itself; a classic one is told to stop with the pod, and waits as long as its annotations say.

use super::Subject;
use crate::catalog::meshes::{Proxy, proxy};
use crate::finding::{Code, Finding};

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(proxy) = proxy(subject.workload) else { return Vec::new() };
    if proxy.surely_classic {
        return stops_first(subject, &proxy).into_iter().chain(outlives(subject, &proxy)).collect();
    }
    stops_first(subject, &proxy)
        .map(|_| {
            let message = format!(
                "is {mesh}'s proxy a native sidecar? A classic one would stop before the app; write {native}: \"true\" or \
                 \"false\"",
                mesh = proxy.mesh,
                native = proxy.native,
            );
            Finding::new(Code::MeshProxyUnclear, annotation(proxy.native), message)
        })
        .into_iter()
        .collect()
}

/// The proxy refuses requests, or is gone, while the app still needs it.
fn stops_first(subject: &Subject<'_>, proxy: &Proxy) -> Option<Finding> {
    let (drain, exit) = (subject.budget.drain, subject.budget.drain.plus(subject.budget.deadline));
    let Proxy { mesh, accepts, lives, .. } = proxy;
    let what = if accepts < &drain {
        format!("{mesh}'s proxy takes no request after {accepts}, the drain lasts {drain}")
    } else if lives < &exit {
        format!("{mesh}'s proxy is gone after {lives}, the app may need it until {exit}")
    } else {
        return None;
    };
    // What it still finishes after that comes on top.
    let needed = drain.max(exit.minus(lives.minus(*accepts)));
    let message = format!("{what}; write {}, or make it a native sidecar", (proxy.way_out)(needed));
    Some(Finding::new(Code::ProxyStopsFirst, annotation(proxy.key), message))
}

/// The proxy waits for longer than the pod has, as somebody wrote it down.
fn outlives(subject: &Subject<'_>, proxy: &Proxy) -> Option<Finding> {
    let grace_period = subject.budget.grace_period;
    (proxy.lives_as_told && proxy.lives > grace_period).then(|| {
        let message = format!(
            "{}'s proxy may wait {}, the grace period is {grace_period}; shorten the wait, or raise the grace period",
            proxy.mesh, proxy.lives
        );
        Finding::new(Code::ProxyOutlivesGracePeriod, annotation(proxy.key), message)
    })
}

fn annotation(key: &str) -> String {
    format!("spec.template.metadata.annotations[{key}]")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{MeshProxyUnclear, ProxyOutlivesGracePeriod, ProxyStopsFirst};
    use crate::rules::tests::{deployment, fires, silent};

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

    const WAIT: &str = "config.alpha.linkerd.io/proxy-wait-before-exit-seconds";
    const GRACE: &str = "config.linkerd.io/shutdown-grace-period";
    const NATIVE: &str = "config.beta.linkerd.io/proxy-enable-native-sidecar";

    fn istio(config: &str) -> Value {
        meshed(&json!({"sidecar.istio.io/inject": "true", "proxy.istio.io/config": config}))
    }

    #[test]
    fn a_classic_linkerd_proxy_has_to_wait_through_the_drain() {
        for (annotations, said) in [
            (&[(NATIVE, "false")][..], "Linkerd's proxy takes no request after 0s, the drain lasts 10s; write "),
            (&[(WAIT, "9")], "Linkerd's proxy takes no request after 9s, the drain lasts 10s; write "),
            (
                &[(WAIT, "10"), (GRACE, "5s")],
                "Linkerd's proxy is gone after 15s, the app may need it until 30s; write ",
            ),
        ] {
            let (field, message) = fires(&linkerd(annotations), ProxyStopsFirst);
            assert_eq!(field, format!("spec.template.metadata.annotations[{WAIT}]"));
            assert!(message.starts_with(said), "{message}");
        }
        silent(&linkerd(&[(WAIT, "10")]), ProxyStopsFirst);
        silent(&linkerd(&[(WAIT, "12"), (GRACE, "20s")]), ProxyStopsFirst);
    }

    #[test]
    fn whoever_writes_what_the_message_says_has_no_finding_left() {
        for (grace, deadline, wait) in [("15s", "20s", "15"), ("20s", "20s", "10"), ("120s", "200s", "90")] {
            let with = |told: &str| {
                let mut manifest = linkerd(&[(NATIVE, "false"), (WAIT, told), (GRACE, grace)]);
                manifest["metadata"]["annotations"]["winddown.dev/deadline"] = json!(deadline);
                manifest
            };
            let (_, message) = fires(&with("0"), ProxyStopsFirst);
            assert!(message.contains(&format!("write {WAIT}: \"{wait}\", ")), "{message}");
            silent(&with(wait), ProxyStopsFirst);
            silent(&with(wait), ProxyOutlivesGracePeriod);
        }
    }

    #[test]
    fn a_classic_istio_proxy_has_to_wait_until_the_app_is_done() {
        let (field, message) = fires(&istio("terminationDrainDuration: 15s\n"), ProxyStopsFirst);
        assert_eq!(field, "spec.template.metadata.annotations[proxy.istio.io/config]");
        assert!(message.starts_with("Istio's proxy is gone after 15s, the app may need it until 30s; "), "{message}");
        assert!(message.contains("terminationDrainDuration: 30s"), "{message}");
        silent(&istio("terminationDrainDuration: 30s\n"), ProxyStopsFirst);
        silent(&istio("proxyMetadata: {EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true'}\n"), ProxyStopsFirst);
    }

    #[test]
    fn a_proxy_that_waits_for_longer_than_the_pod_has_is_cut() {
        fires(&istio("terminationDrainDuration: 1m\n"), ProxyOutlivesGracePeriod);
        fires(&linkerd(&[(WAIT, "10"), (GRACE, "2m")]), ProxyOutlivesGracePeriod);
        silent(&linkerd(&[(WAIT, "10")]), ProxyOutlivesGracePeriod);
        silent(&istio("terminationDrainDuration: 35s\n"), ProxyOutlivesGracePeriod);
    }

    #[test]
    fn where_nothing_says_which_kind_it_is_that_is_said() {
        let istio_by_label = deployment(|workload| {
            workload["spec"]["template"]["metadata"]["labels"] = json!({"sidecar.istio.io/inject": "true"});
        });
        for manifest in
            [linkerd(&[]), istio("{}"), istio_by_label, istio("[nonsense"), istio("terminationDrainDuration: soon")]
        {
            let (_, message) = fires(&manifest, MeshProxyUnclear);
            assert!(message.contains("proxy a native sidecar? "), "{message}");
            silent(&manifest, ProxyStopsFirst);
        }
    }

    #[test]
    fn a_native_sidecar_needs_no_arithmetic() {
        let native = |annotations: &Value| meshed(annotations);
        for manifest in [
            linkerd(&[(NATIVE, "true")]),
            native(&json!({"sidecar.istio.io/inject": "true", "sidecar.istio.io/nativeSidecar": "true"})),
            native(
                &json!({"sidecar.istio.io/inject": "false", "proxy.istio.io/config": "terminationDrainDuration: 1s"}),
            ),
            native(&json!({"linkerd.io/inject": "disabled"})),
            native(&json!({})),
        ] {
            for code in [ProxyStopsFirst, ProxyOutlivesGracePeriod, MeshProxyUnclear] {
                silent(&manifest, code);
            }
        }
        let mut injected = linkerd(&[(NATIVE, "false")]);
        injected["spec"]["template"]["spec"]["initContainers"] =
            json!([{"name": "linkerd-proxy", "restartPolicy": "Always"}]);
        silent(&injected, ProxyStopsFirst);
    }
}
