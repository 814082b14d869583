//! The defaults that the API server sets before admission (API reference of `apps/v1`), for the fields that rules read.

use serde_json::{Map, Value, json};

/// The workload with the defaults of the API server.
#[must_use]
pub fn filled_in(workload: &Value) -> Value {
    let mut workload = workload.clone();
    let kind = workload["kind"].as_str().unwrap_or_default().to_owned();
    if let Some(spec) = workload.get_mut("spec").and_then(Value::as_object_mut) {
        rollout(&kind, spec);
    }
    if let Some(pod) = workload.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut) {
        fill(
            pod,
            &json!({
                "terminationGracePeriodSeconds": 30, "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
                "schedulerName": "default-scheduler", "securityContext": {},
            }),
        );
        for containers in ["containers", "initContainers"] {
            let containers = pod.get_mut(containers).and_then(Value::as_array_mut);
            containers.into_iter().flatten().filter_map(Value::as_object_mut).for_each(container);
        }
    }
    workload
}

fn rollout(kind: &str, spec: &mut Map<String, Value>) {
    match kind {
        "Deployment" => {
            fill(spec, &json!({"replicas": 1, "progressDeadlineSeconds": 600, "strategy": {}}));
            strategy(spec, "strategy", &json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
        }
        "StatefulSet" => {
            fill(spec, &json!({"replicas": 1, "updateStrategy": {}, "podManagementPolicy": "OrderedReady"}));
            strategy(spec, "updateStrategy", &json!({"partition": 0}));
        }
        _ => {
            fill(spec, &json!({"updateStrategy": {}}));
            strategy(spec, "updateStrategy", &json!({"maxUnavailable": 1, "maxSurge": 0}));
        }
    }
}

fn strategy(spec: &mut Map<String, Value>, field: &str, rolling: &Value) {
    let Some(strategy) = spec.get_mut(field).and_then(Value::as_object_mut) else { return };
    fill(strategy, &json!({"type": "RollingUpdate"}));
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, &json!({"rollingUpdate": {}}));
        if let Some(parameters) = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut) {
            fill(parameters, rolling);
        }
    }
}

fn container(container: &mut Map<String, Value>) {
    fill(
        container,
        &json!({
            "imagePullPolicy": "IfNotPresent", "resources": {}, "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }),
    );
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        port.as_object_mut().into_iter().for_each(|port| fill(port, &json!({"protocol": "TCP"})));
    }
    for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) else { continue };
        fill(probe, &json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}));
        http_get(probe);
    }
    for hook in ["preStop", "postStart"] {
        let hook = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(hook));
        hook.and_then(Value::as_object_mut).into_iter().for_each(http_get);
    }
}

fn http_get(handler: &mut Map<String, Value>) {
    if let Some(http_get) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        fill(http_get, &json!({"path": "/", "scheme": "HTTP"}));
    }
}

/// Sets defaults for missing fields. For a field that is not a pointer in the Go type, the API server also replaces zero
/// and the empty string.
fn fill(fields: &mut Map<String, Value>, defaults: &Value) {
    const POINTERS: [&str; 5] =
        ["replicas", "terminationGracePeriodSeconds", "maxUnavailable", "maxSurge", "progressDeadlineSeconds"];
    for (key, default) in defaults.as_object().into_iter().flatten() {
        let field = fields.entry(key.as_str()).or_insert(Value::Null);
        let is_zero = *field == json!(0) || *field == json!("");
        if field.is_null() || (is_zero && !POINTERS.contains(&key.as_str())) {
            *field = default.clone();
        }
    }
}
