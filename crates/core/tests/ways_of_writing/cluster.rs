//! A manifest, and the object that the API server has after it was written and reviewed.

use serde_json::{Value, json};
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::object::LazyObject;
use winddown_core::policy::Policy;

use super::{Way, with_defaults};

/// A manifest with an app and a proxy. `hook` is the app's `lifecycle`, `probe` its `readinessProbe`, `env` its variables.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) readiness: Option<&'static str>,
    pub(crate) hook: Value,
    pub(crate) probe: Value,
    pub(crate) env: Value,
    pub(crate) grace_period: Option<i64>,
}

impl Manifest {
    pub(crate) fn to_json(&self, declared: bool) -> Value {
        let mut app = json!({"name": "app", "image": "shop:1", "ports": [{"containerPort": 8080, "name": "http"}]});
        for (field, value) in [("lifecycle", &self.hook), ("readinessProbe", &self.probe), ("env", &self.env)] {
            if !value.is_null() {
                app[field] = value.clone();
            }
        }
        let mut pod = json!({"containers": [app, {"name": "proxy", "image": "proxy:1"}]});
        if let Some(seconds) = self.grace_period {
            pod["terminationGracePeriodSeconds"] = json!(seconds);
        }
        let mut annotations = json!({});
        if declared {
            annotations =
                json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s", "winddown.dev/expose": "env"});
        }
        if let Some(readiness) = self.readiness.filter(|_| declared) {
            annotations["winddown.dev/readiness"] = json!(readiness);
        }
        let template = json!({"metadata": {"labels": {"app": "shop"}}, "spec": pod});
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop", "annotations": annotations},
            "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": template},
        })
    }

    /// Whether the API server accepts it without Winddown.
    pub(crate) fn is_valid(&self) -> bool {
        invalid_field(&with_defaults(&self.to_json(false))).is_none()
    }
}

/// The state of the cluster.
pub(crate) struct Cluster {
    pub(crate) way: Way,
    pub(crate) written: Value,
    pub(crate) live: Value,
}

impl Cluster {
    pub(crate) fn create(way: Way, manifest: &Manifest) -> Self {
        let written = manifest.to_json(true);
        let live = admit(&way.create(&written), None);
        Self { way, written, live }
    }

    pub(crate) fn write(&mut self, manifest: Value) {
        let request = self.way.update(&self.live, &self.written, &manifest);
        self.live = admit(&request, Some(&self.live));
        self.written = manifest;
    }

    pub(crate) fn container(&self) -> &Value {
        &self.live["spec"]["template"]["spec"]["containers"][0]
    }

    pub(crate) fn pod(&self) -> &Value {
        &self.live["spec"]["template"]["spec"]
    }
}

pub(crate) fn evaluated(workload: &Value, existing: Existing<'_>) -> Evaluation {
    evaluate(workload, existing, &Policy::default(), Origin::ApiServer).unwrap()
}

/// What the API server stores. Another review of it changes nothing.
pub(crate) fn admit(request: &Value, old: Option<&Value>) -> Value {
    let request = with_defaults(request);
    let old = old.map(LazyObject::from);
    let existing = || old.as_ref().map_or(Existing::None, Existing::Replaced);
    let stored = with_defaults(&evaluated(&request, existing()).changes.apply(&request));
    assert_eq!(invalid_field(&stored), None, "request: {request:#}\nstored: {stored:#}");
    for existing in [existing(), Existing::Unchanged] {
        assert_eq!(evaluated(&stored, existing).changes.apply(&stored), stored, "it is the desired state");
    }
    stored
}

/// The hook or probe that the API server rejects.
fn invalid_field(workload: &Value) -> Option<String> {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().find_map(|container| {
        let invalid = |handler: &Value, handlers: &[&str]| {
            let fields = handler.as_object()?;
            let found: Vec<_> = handlers.iter().filter_map(|name| Some((name, fields.get(*name)?))).collect();
            let missing_port = found.iter().any(|(_, fields)| fields["port"] == 0);
            (found.len() != 1 || missing_port).then(|| handler.to_string())
        };
        invalid(&container["lifecycle"]["preStop"], &["exec", "httpGet", "sleep", "tcpSocket"])
            .or_else(|| invalid(&container["readinessProbe"], &["exec", "httpGet", "tcpSocket", "grpc"]))
    })
}

/// Whether the value contains everything that was written.
pub(crate) fn contains(value: &Value, written: &Value) -> bool {
    match (value, written) {
        (_, Value::Null) => true,
        (Value::Object(value), Value::Object(written)) => {
            written.iter().all(|(key, written)| contains(value.get(key).unwrap_or(&Value::Null), written))
        }
        _ => value == written,
    }
}
