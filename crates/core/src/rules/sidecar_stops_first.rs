//! A proxy in a main container that stops while the app may still need it: main containers stop independently of each
//! other, each when its own preStop hook ends.

use crate::catalog::sidecars::Wait;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::Role;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::SidecarStopsFirst,
    severity: Severity::Warning,
    title: "A proxy that carries the app's connections stops before the app.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let app = subject.plan.timeline.done;
    let findings = subject.lanes(Role::Helper).filter_map(|(container, lane)| {
        let proxy = lane.proxy.filter(|_| !lane.assumed)?;
        let wait = match lane.wait {
            Some(Wait::Unknown) => return None,
            Some(Wait::For(wait)) => Some(wait),
            None => None,
        };
        let (stops, waits) = (lane.signal_at, wait.unwrap_or_default());
        (stops.plus(waits) < app).then(|| {
            let waiting = wait.map_or_else(String::new, |wait| format!(" and waits {wait}"));
            let problem = format!("gets SIGTERM at {stops}{waiting}, but the app may need it until {app}");
            let hint = format!(
                "make it a native sidecar (an init container with restartPolicy: Always); on SIGTERM, {} {}",
                proxy.name, proxy.on_sigterm
            );
            let field = FieldPath::container(&container.name, "lifecycle.preStop");
            RULE.finding(field, problem).fact(stops).fact(waits).fact(app).hint(hint)
        })
    });
    findings.collect()
}

const PAGE: &str = r"## Why

The main containers of a pod stop independently of each other: each gets SIGTERM when its own preStop hook ends. A proxy
that carries the app's connections (Istio, Linkerd, Consul, Kuma, Dapr, Envoy, the Cloud SQL and AlloyDB proxies) and runs
as a main container therefore gets SIGTERM at the same time as the app. It exits, or refuses new connections, while the app
still processes its last requests. These requests then fail, because the app has no connection to its database or to another
service.

## What to do

Make the proxy a native sidecar: an init container with `restartPolicy: Always`. It starts before the app and stops after
it (Kubernetes 1.29 and later):

```yaml
initContainers:
- name: cloud-sql-proxy
  image: gcr.io/cloud-sql-connectors/cloud-sql-proxy:2
  restartPolicy: Always
```

Linkerd and Istio can inject their proxies as native sidecars, newer versions do so by default. If a native sidecar is not
possible, configure the proxy to wait as long as the app may need: `--min-sigterm-delay` for Cloud SQL and AlloyDB,
`terminationDrainDuration` for Istio, `-shutdown-grace-period-seconds` for Consul, `--drain-time` for Kuma,
`--dapr-block-shutdown-duration` for Dapr. A longer preStop sleep of the proxy works too; it counts only for the proxy.

## Source

- [Sidecar containers](https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/)
- [KEP-753](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers)
- [Linkerd: graceful pod shutdown](https://linkerd.io/2/tasks/graceful-shutdown/)
- [istio/istio#34855](https://github.com/istio/istio/issues/34855)
- [cloud-sql-proxy#128](https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/128) and
  [#2266](https://github.com/GoogleCloudPlatform/cloud-sql-proxy/pull/2266)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::SidecarStopsFirst;
    use crate::rules::tests::{fires, pod, silent};

    fn with_sidecar(sidecar: Value) -> Value {
        pod(|pod| pod["containers"].as_array_mut().unwrap().push(sidecar))
    }

    #[test]
    fn a_proxy_that_stops_with_the_app_is_reported() {
        for sidecar in [
            json!({"name": "istio-proxy", "image": "auto"}),
            json!({"name": "db", "image": "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.11.0"}),
            json!({"name": "cloudsql-proxy", "image": "registry:5000/mirror@sha256:0"}),
            json!({"name": "mesh", "image": "envoyproxy/envoy:v1.30"}),
            json!({"name": "daprd", "image": "daprio/daprd:1.16"}),
        ] {
            let (field, message) = fires(&with_sidecar(sidecar.clone()), SidecarStopsFirst);
            let name = sidecar["name"].as_str().unwrap();
            assert_eq!(field, format!("spec.template.spec.containers[{name}].lifecycle.preStop"));
            assert!(message.starts_with("gets SIGTERM at 10s, but the app may need it until 30s; make "), "{message}");
        }
    }

    #[test]
    fn a_proxy_that_waits_for_the_app_is_not_reported() {
        let proxy = |fields: Value| {
            let mut proxy = json!({"name": "cloud-sql-proxy", "image": "cloud-sql-proxy:2"});
            proxy.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            with_sidecar(proxy)
        };
        let hook = |hook: Value| proxy(json!({"lifecycle": {"preStop": hook}}));
        fires(&hook(json!({"sleep": {"seconds": 29}})), SidecarStopsFirst);
        silent(&hook(json!({"sleep": {"seconds": 30}})), SidecarStopsFirst);
        silent(&hook(json!({"exec": {"command": ["wait-for-app"]}})), SidecarStopsFirst);
        silent(&proxy(json!({"args": ["--max-sigterm-delay=30s", "db"]})), SidecarStopsFirst);
        // Version 1, which has no default.
        let version_1 =
            |flag: &str| proxy(json!({"command": ["/cloud_sql_proxy", "-instances=p:r:db=tcp:5432", flag]}));
        silent(&version_1("-term_timeout=30s"), SidecarStopsFirst);
        fires(&version_1("-verbose=false"), SidecarStopsFirst);
        let (_, message) = fires(&proxy(json!({"args": ["--min-sigterm-delay", "19s", "db"]})), SidecarStopsFirst);
        assert!(
            message.starts_with("gets SIGTERM at 10s and waits 19s, but the app may need it until 30s; "),
            "{message}"
        );
        silent(&proxy(json!({"args": ["--min-sigterm-delay", "20s", "db"]})), SidecarStopsFirst);
        let mesh = |name: &str, args: &[&str]| with_sidecar(json!({"name": name, "args": args}));
        for (name, short, long) in [
            ("daprd", "--dapr-block-shutdown-duration=19s", "--dapr-block-shutdown-duration=20s"),
            ("consul-dataplane", "-shutdown-grace-period-seconds=19", "-shutdown-grace-period-seconds=20"),
        ] {
            fires(&mesh(name, &["run", short]), SidecarStopsFirst);
            silent(&mesh(name, &["run", long]), SidecarStopsFirst);
        }
        silent(&proxy(json!({"env": [{"name": "CSQL_PROXY_MIN_SIGTERM_DELAY", "value": "30s"}]})), SidecarStopsFirst);
    }

    #[test]
    fn a_variable_can_configure_the_wait() {
        let with = |args: &Value, env: &Value| {
            with_sidecar(json!({"name": "cloud-sql-proxy", "image": "cloud-sql-proxy:2", "args": args, "env": env}))
        };
        let argument = json!(["--min-sigterm-delay=$(DELAY)", "db"]);
        let delay =
            |value: &str| json!([{"name": "SECONDS", "value": value}, {"name": "DELAY", "value": "$(SECONDS)s"}]);
        let (_, message) = fires(&with(&argument, &delay("19")), SidecarStopsFirst);
        assert!(
            message.starts_with("gets SIGTERM at 10s and waits 19s, but the app may need it until 30s"),
            "{message}"
        );
        silent(&with(&argument, &delay("20")), SidecarStopsFirst);
        let secret = json!({"secretKeyRef": {"name": "proxy", "key": "delay"}});
        silent(&with(&argument, &json!([{"name": "DELAY", "valueFrom": secret}])), SidecarStopsFirst);
        let own = |value: &str| json!([{"name": "DELAY", "value": value}, {"name": "CSQL_PROXY_MIN_SIGTERM_DELAY", "value": "$(DELAY)"}]);
        fires(&with(&json!(["db"]), &own("19s")), SidecarStopsFirst);
        silent(&with(&json!(["db"]), &own("20s")), SidecarStopsFirst);
    }

    #[test]
    fn an_annotation_can_configure_the_wait() {
        let mut mesh = with_sidecar(json!({"name": "istio-proxy", "image": "auto"}));
        fires(&mesh, SidecarStopsFirst);
        let config = json!({"proxy.istio.io/config": "terminationDrainDuration: 30s\n"});
        mesh["spec"]["template"]["metadata"]["annotations"] = config;
        silent(&mesh, SidecarStopsFirst);
    }

    #[test]
    fn a_proxy_without_an_app_and_other_sidecars_are_not_reported() {
        silent(&pod(|pod| pod["containers"] = json!([{"name": "envoy", "image": "envoy:1"}])), SidecarStopsFirst);
        silent(&with_sidecar(json!({"name": "log", "image": "fluent-bit:3"})), SidecarStopsFirst);
        let gateway =
            json!([{"name": "envoy", "image": "envoy:1"}, {"name": "shutdown-manager", "image": "gateway:1"}]);
        silent(&pod(|pod| pod["containers"] = gateway), SidecarStopsFirst);
        let watched = json!([
            {"name": "edge", "image": "envoyproxy/envoy:v1.30", "ports": [{"containerPort": 8080}]},
            {"name": "stats", "image": "statsd-exporter:1", "ports": [{"containerPort": 9102, "name": "metrics"}]},
        ]);
        silent(&pod(|pod| pod["containers"] = watched), SidecarStopsFirst);
        let native = json!([{"name": "istio-proxy", "image": "proxyv2:1", "restartPolicy": "Always"}]);
        silent(&pod(|pod| pod["initContainers"] = native), SidecarStopsFirst);
    }
}
