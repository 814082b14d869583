//! A model of how clients write a Deployment: what the request contains when admission sees it.

pub(crate) mod cluster;

use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `kubectl apply`.
    ClientSideApply,
    /// `kubectl apply --server-side`, Helm 4, Argo CD, Flux.
    ServerSideApply,
    /// Helm 3: like `kubectl apply`, but the last manifest is not on the object.
    Helm3,
    /// `kubectl patch`: removes nothing.
    Patch,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::ClientSideApply, Self::ServerSideApply, Self::Helm3, Self::Patch];

    /// Whether the object does not show which values the owner wrote.
    pub(crate) fn is_hidden(self) -> bool {
        matches!(self, Self::Helm3 | Self::Patch)
    }

    pub(crate) fn create(self, manifest: &Value) -> Value {
        self.update(manifest, manifest, manifest)
    }

    /// The object of the request that changes the live object from the last manifest to this one.
    pub(crate) fn update(self, live: &Value, last: &Value, manifest: &Value) -> Value {
        let mut object = live.clone();
        match self {
            Self::Patch => {
                // An annotation is removed by its name.
                merge(&mut object["metadata"], &last["metadata"], &manifest["metadata"]);
                merge(&mut object["spec"], &json!({}), &manifest["spec"]);
            }
            _ => merge(&mut object, last, manifest),
        }
        if object["metadata"].get("annotations").is_none() {
            object["metadata"]["annotations"] = json!({});
        }
        match self {
            Self::ClientSideApply => {
                let key = "kubectl.kubernetes.io/last-applied-configuration";
                object["metadata"]["annotations"][key] = json!(manifest.to_string());
            }
            Self::ServerSideApply => {
                let fields = json!({"f:spec": fields(&manifest["spec"])});
                object["metadata"]["managedFields"] = json!([{"operation": "Apply", "fieldsV1": fields}]);
            }
            Self::Helm3 | Self::Patch => {}
        }
        object
    }
}

/// A three-way merge: maps by key, containers by position, variables by name. What the last manifest had and this one
/// has not is removed with everything below it.
fn merge(live: &mut Value, last: &Value, manifest: &Value) {
    match (live, manifest) {
        (Value::Object(live), Value::Object(manifest)) => {
            for key in last.as_object().into_iter().flat_map(Map::keys).filter(|key| !manifest.contains_key(*key)) {
                live.shift_remove(key);
            }
            for (key, value) in manifest {
                merge(live.entry(key.clone()).or_insert(Value::Null), &last[key], value);
            }
        }
        (Value::Array(live), Value::Array(manifest)) if manifest.iter().all(is_variable) => {
            let has = |list: &Value, item: &Value| {
                list.as_array().into_iter().flatten().any(|has| has["name"] == item["name"])
            };
            // The manifest decides the order of its own items.
            live.retain(|item| !has(last, item) && !has(&json!(manifest), item));
            live.extend(manifest.iter().cloned());
        }
        (Value::Array(live), Value::Array(manifest)) if manifest.iter().all(|item| item["image"].is_string()) => {
            for (at, item) in manifest.iter().enumerate() {
                merge(&mut live[at], &last[at], item);
            }
        }
        (live, manifest) => live.clone_from(manifest),
    }
}

fn is_variable(item: &Value) -> bool {
    item["value"].is_string()
}

fn fields(value: &Value) -> Value {
    match value {
        Value::Object(fields_of) => {
            fields_of.iter().map(|(key, value)| (format!("f:{key}"), fields(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) if items.iter().all(|item| item["image"].is_string() || is_variable(item)) => {
            let key = |item: &Value| format!("k:{}", json!({"name": item["name"]}));
            items.iter().map(|item| (key(item), fields(item))).collect::<Map<_, _>>().into()
        }
        _ => json!({}),
    }
}

/// The defaults that the API server fills in, as far as injected fields are concerned.
pub(crate) fn with_defaults(workload: &Value) -> Value {
    let mut workload = workload.clone();
    let pod = &mut workload["spec"]["template"]["spec"];
    if pod.get("terminationGracePeriodSeconds").is_none() {
        pod["terminationGracePeriodSeconds"] = json!(30);
    }
    for container in pod["containers"].as_array_mut().into_iter().flatten() {
        if container["env"] == json!([]) {
            container.as_object_mut().into_iter().for_each(|fields| drop(fields.shift_remove("env")));
        }
        if let Some(probe) = container.get_mut("readinessProbe").and_then(Value::as_object_mut) {
            for (field, value) in
                [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
            {
                probe.entry(field).or_insert(json!(value));
            }
            handler_defaults(probe);
        }
        if let Some(hook) = container.pointer_mut("/lifecycle/preStop").and_then(Value::as_object_mut) {
            handler_defaults(hook);
        }
    }
    workload
}

fn handler_defaults(handler: &mut Map<String, Value>) {
    let defaults = [
        ("httpGet", json!({"path": "/", "port": 0, "scheme": "HTTP"})),
        ("tcpSocket", json!({"port": 0})),
        ("grpc", json!({"service": "", "port": 0})),
    ];
    for (name, defaults) in defaults {
        if let (Some(Value::Object(fields)), Value::Object(defaults)) = (handler.get_mut(name), defaults) {
            for (field, value) in defaults {
                fields.entry(field).or_insert(value);
            }
        }
    }
}
