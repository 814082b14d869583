//! How long a readiness probe takes to notice an app that begins to refuse, beside how long traffic is drained.

use k8s_openapi::api::core::v1::Probe;

use super::Subject;
use crate::finding::{Code, Finding};
use crate::plan::container_field;
use crate::seconds::Seconds;

pub(super) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let drain = subject.budget.drain;
    if drain == Seconds::ZERO {
        return Vec::new();
    }
    let probes = subject.workload.pod.containers.iter();
    let probes = probes.filter_map(|container| Some((container, noticing(container.readiness_probe.as_ref()?))));
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
    // Zero means the default, as in the API server.
    let or_default = |value: Option<i32>, default| i64::from(value.filter(|value| *value > 0).unwrap_or(default));
    Seconds::from_api(or_default(probe.period_seconds, 10) * or_default(probe.failure_threshold, 3))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::ReadinessSlow;
    use crate::plan::rules::tests::{container, deployment, fires, silent};

    fn probe(fields: &Value) -> Value {
        container(|app| {
            app["readinessProbe"] = json!({"tcpSocket": {"port": 80}});
            app["readinessProbe"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        })
    }

    #[test]
    fn a_probe_may_take_longer_than_the_drain() {
        for (fields, noticing) in [
            (json!({}), 30),
            (json!({"periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 1}), 30),
            (json!({"periodSeconds": 0, "failureThreshold": 0, "timeoutSeconds": 0}), 30),
            (json!({"periodSeconds": 5, "failureThreshold": 3}), 15),
            (json!({"periodSeconds": i32::MAX, "failureThreshold": i32::MAX}), u32::MAX),
        ] {
            let (field, message) = fires(&probe(&fields), ReadinessSlow);
            assert_eq!(field, "spec.template.spec.containers[app].readinessProbe");
            let expected = format!("an app that refuses is noticed after up to {noticing}s, the drain is 10s; ");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    #[test]
    fn a_probe_that_is_quick_enough_is_fine() {
        silent(&probe(&json!({"periodSeconds": 3})), ReadinessSlow);
        silent(&probe(&json!({"periodSeconds": 10, "failureThreshold": 1})), ReadinessSlow);
        silent(&deployment(|_| {}), ReadinessSlow);
        let mut without_drain = probe(&json!({}));
        without_drain["metadata"]["annotations"]["winddown.dev/drain"] = json!("0s");
        silent(&without_drain, ReadinessSlow);
    }
}
