//! A readiness probe that takes longer than the drain to detect a failing app.

use k8s_openapi::api::core::v1::Probe;

use crate::duration::Seconds;
use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::running;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::ReadinessSlow,
    severity: Severity::Info,
    title: "A readiness probe takes longer to detect a failing app than the drain lasts.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let drain = subject.budget().drain;
    if drain == Seconds::ZERO {
        return Vec::new();
    }
    let containers = running(&subject.workload.pod);
    let probes = containers.filter_map(|running| Some((running, running.container.readiness_probe.as_ref()?)));
    // The defaults are slower than most drains, but the user did not set them.
    let chosen = probes.filter(|(_, probe)| period(probe) > PERIOD || failures(probe) > FAILURES);
    let slow = chosen.map(|(running, probe)| (running, detection(probe))).filter(|(_, detected)| *detected > drain);
    let findings = slow.map(|(running, detected)| {
        let field = running.field("readinessProbe");
        let problem = format!("a failing app is detected after up to {detected}, longer than the drain of {drain}");
        RULE.finding(field, problem).fact(detected).fact(drain).hint("lower periodSeconds or failureThreshold")
    });
    findings.collect()
}

/// The time from the first failure of the app to the failure of its probe, without the timeout of the last attempt.
fn detection(probe: &Probe) -> Seconds {
    Seconds::from_api(period(probe) * failures(probe))
}

/// The API server's defaults (API reference of `Probe`).
const PERIOD: i64 = 10;
const FAILURES: i64 = 3;

fn period(probe: &Probe) -> i64 {
    or_default(probe.period_seconds, PERIOD)
}

fn failures(probe: &Probe) -> i64 {
    or_default(probe.failure_threshold, FAILURES)
}

/// Zero means the default, as in the API server.
fn or_default(value: Option<i32>, default: i64) -> i64 {
    value.filter(|value| *value > 0).map_or(default, i64::from)
}

const PAGE: &str = r"## Why

An app that starts to refuse requests, because it is overloaded or has lost a dependency, still gets requests until its
readiness probe has failed `failureThreshold` times, with `periodSeconds` between the attempts: 3 times and 10s by default.
Winddown reports this only if one of the two is above its default, and their product is longer than the drain.

For a pod that is being deleted this does **not** matter: it leaves the list of ready endpoints because it is deleted,
whatever the result of its probe. The probe matters for pods that run, and in one case for pods that stop: if all endpoints
of a Service are terminating, kube-proxy falls back to those whose probe still succeeds.

## What to do

Nothing for the shutdown. If a failing app should leave the endpoints sooner, probe more often:

```yaml
readinessProbe:
  httpGet: {path: /health, port: 8080}
  periodSeconds: 3
  failureThreshold: 2
```

## Source

- [Configure probes](https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#configure-probes)
- [EndpointSlice conditions](https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#conditions)
- [KEP-1669](https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1669-proxy-terminating-endpoints)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessSlow;
    use crate::rules::tests::{container, deployment, fires, pod, silent};

    #[test]
    fn native_sidecars_are_checked() {
        let probe = json!({"tcpSocket": {"port": 80}, "periodSeconds": 60});
        let sidecar = json!({"name": "proxy", "restartPolicy": "Always", "readinessProbe": probe});
        let (field, _) = fires(&pod(|pod| pod["initContainers"] = json!([sidecar])), ReadinessSlow);
        assert_eq!(field, "spec.template.spec.initContainers[proxy].readinessProbe");
    }

    fn probe(fields: &Value) -> Value {
        container(|app| {
            app["readinessProbe"] = json!({"tcpSocket": {"port": 80}});
            app["readinessProbe"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        })
    }

    #[test]
    fn a_probe_that_is_slower_than_the_drain_is_reported() {
        for (fields, detected) in [
            (json!({"periodSeconds": 30}), 90),
            (json!({"failureThreshold": 5, "periodSeconds": 0}), 50),
            (json!({"periodSeconds": 3, "failureThreshold": 4}), 12),
            (json!({"periodSeconds": i32::MAX, "failureThreshold": i32::MAX}), u32::MAX),
        ] {
            let (field, message) = fires(&probe(&fields), ReadinessSlow);
            assert_eq!(field, "spec.template.spec.containers[app].readinessProbe");
            assert_eq!(
                message,
                format!(
                    "a failing app is detected after up to {detected}s, longer than the drain of 10s; lower \
                     periodSeconds or failureThreshold"
                )
            );
        }
    }

    #[test]
    fn defaults_are_not_reported() {
        for fields in [
            json!({}),
            json!({"periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 1}),
            json!({"periodSeconds": 0, "failureThreshold": 0}),
            json!({"periodSeconds": 5}),
        ] {
            silent(&probe(&fields), ReadinessSlow);
        }
    }

    #[test]
    fn a_fast_probe_is_not_reported() {
        silent(&probe(&json!({"periodSeconds": 2, "failureThreshold": 5})), ReadinessSlow);
        silent(&probe(&json!({"periodSeconds": 10, "failureThreshold": 1})), ReadinessSlow);
        silent(&deployment(|_| {}), ReadinessSlow);
        let mut without_drain = probe(&json!({"periodSeconds": 30}));
        without_drain["metadata"]["annotations"]["winddown.dev/drain"] = json!("0s");
        silent(&without_drain, ReadinessSlow);
    }
}
