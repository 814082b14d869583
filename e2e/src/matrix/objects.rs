//! The objects of one setting: the app, and `HAProxy` where it is in front.

use serde_json::{Value, json};

use super::setting::{Form, Haproxy, Setting};
use crate::load::Connections;

/// The name of the Deployment, and of the Service for everything but gRPC.
pub(super) const APP: &str = "app";
pub(super) const PROXY: &str = "haproxy";
pub(super) const REPLICAS: u32 = 3;

/// A List for `kubectl apply`.
pub(super) fn list(setting: Setting) -> Value {
    let mut items = vec![app(setting.form), service(APP, APP, 3000), service("app-grpc", APP, 3001), headless()];
    if let Some(haproxy) = setting.network.haproxy() {
        items.extend([
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": PROXY},
                "data": {"haproxy.cfg": include_str!("../../matrix/haproxy.cfg")},
            }),
            proxy(haproxy),
            service(PROXY, PROXY, 8080),
            service("haproxy-grpc", PROXY, 8081),
        ]);
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// The Service that receives requests of this kind.
pub(super) fn target(setting: Setting, connections: Connections) -> String {
    let name = if setting.network.haproxy().is_some() { PROXY } else { APP };
    if connections == Connections::Grpc { format!("{name}-grpc") } else { name.to_owned() }
}

fn app(form: Form) -> Value {
    let annotations = if form.is_annotated() {
        json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"})
    } else {
        json!({})
    };
    let labels = json!({"app": APP});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": APP, "labels": labels, "annotations": annotations},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": false,
                    "topologySpreadConstraints": [{
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": labels},
                    }],
                    "containers": [{
                        "name": "app",
                        "image": "winddown.local/matrix-app:dev",
                        "imagePullPolicy": "IfNotPresent",
                        "ports": [{"name": "http", "containerPort": 3000}, {"name": "grpc", "containerPort": 3001}],
                        "env": [{"name": "SHUTDOWN_WAIT_MS", "value": form.wait_ms().to_string()}],
                        "readinessProbe": {
                            "httpGet": {"path": "/health", "port": "http"},
                            "periodSeconds": 1,
                            "failureThreshold": 1,
                        },
                        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
                    }],
                },
            },
        },
    })
}

/// Runs beside the load generators, on the control plane node: rollouts never place pods there.
fn proxy(Haproxy { retries, hold_obsolete }: Haproxy) -> Value {
    let labels = json!({"app": PROXY});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": PROXY, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": false,
                    "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
                    "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
                    "securityContext": {"runAsNonRoot": true, "runAsUser": 65532},
                    "containers": [{
                        "name": PROXY,
                        "image": "winddown.local/haproxy:dev",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["haproxy", "-db", "-f", "/config/haproxy.cfg"],
                        "env": [
                            {"name": "RETRIES", "value": retries.to_string()},
                            {"name": "HOLD_OBSOLETE", "value": hold_obsolete},
                        ],
                        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
                    }],
                    "volumes": [{"name": "config", "configMap": {"name": PROXY}}],
                },
            },
        },
    })
}

fn service(name: &str, app: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": port}]},
    })
}

/// Its DNS name has the addresses of all ready pods.
fn headless() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "pods"},
        "spec": {"clusterIP": "None", "selector": {"app": APP}, "ports": [{"port": 3000}]},
    })
}
