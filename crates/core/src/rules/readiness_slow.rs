//! How long a readiness probe takes to notice an app that begins to refuse, beside how long traffic is drained.

use k8s_openapi::api::core::v1::Probe;

use super::Subject;
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::plan::container_field;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let drain = subject.budget.drain;
    if drain == Seconds::ZERO {
        return Vec::new();
    }
    let probes = subject.workload.pod.containers.iter();
    let probes = probes.filter_map(|container| Some((container, container.readiness_probe.as_ref()?)));
    // The defaults are slower than most drains; who left them alone has decided nothing.
    let decided = probes.filter(|(_, probe)| period(probe) > PERIOD || failures(probe) > FAILURES);
    let probes = decided.map(|(container, probe)| (container, noticing(probe)));
    probes
        .filter(|(_, noticing)| *noticing > drain)
        .map(|(container, noticing)| {
            let message = format!(
                "an app that refuses is noticed after up to {noticing}, the drain is {drain}; lower periodSeconds or \
                 failureThreshold"
            );
            Finding::new(Code::ReadinessSlow, container_field(&container.name, "readinessProbe"), message)
        })
        .collect()
}

/// From the moment an app begins to refuse until its probe has failed, but for the last answer.
fn noticing(probe: &Probe) -> Seconds {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessSlow;
    use crate::rules::tests::{container, deployment, fires, silent};

    fn probe(fields: &Value) -> Value {
        container(|app| {
            app["readinessProbe"] = json!({"tcpSocket": {"port": 80}});
            app["readinessProbe"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        })
    }

    #[test]
    fn a_probe_may_take_longer_than_the_drain() {
        for (fields, noticing) in [
            (json!({"periodSeconds": 30}), 90),
            (json!({"failureThreshold": 5, "periodSeconds": 0}), 50),
            (json!({"periodSeconds": 3, "failureThreshold": 4}), 12),
            (json!({"periodSeconds": i32::MAX, "failureThreshold": i32::MAX}), u32::MAX),
        ] {
            let (field, message) = fires(&probe(&fields), ReadinessSlow);
            assert_eq!(field, "spec.template.spec.containers[app].readinessProbe");
            let expected = format!("an app that refuses is noticed after up to {noticing}s, the drain is 10s; ");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    #[test]
    fn the_defaults_are_nobodys_decision() {
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
    fn a_probe_that_is_quick_enough_is_fine() {
        silent(&probe(&json!({"periodSeconds": 2, "failureThreshold": 5})), ReadinessSlow);
        silent(&probe(&json!({"periodSeconds": 10, "failureThreshold": 1})), ReadinessSlow);
        silent(&deployment(|_| {}), ReadinessSlow);
        let mut without_drain = probe(&json!({"periodSeconds": 30}));
        without_drain["metadata"]["annotations"]["winddown.dev/drain"] = json!("0s");
        silent(&without_drain, ReadinessSlow);
    }
}
