//! Workloads of the example app, and what Winddown makes of them.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use winddown_e2e::rollout::App;

use crate::suite::Result;
use crate::world::World;

/// A workload that is about to be created; a Deployment, unless something else is said.
pub(crate) struct Example(Value);

/// As in the README.
pub(crate) const DRAIN: i64 = 5;
pub(crate) const GRACE_PERIOD: i64 = 35;

impl Example {
    /// As little as a Deployment can be.
    pub(crate) fn new(name: &str) -> Self {
        Self(json!({
            "metadata": {"name": name},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{
                        "name": "app",
                        "image": "winddown.local/node-http:dev",
                        "imagePullPolicy": "IfNotPresent",
                        "ports": [{"name": "http", "containerPort": 3000}],
                    }]},
                },
            },
        }))
    }

    /// With a drain of 5 s and a deadline of 25 s.
    pub(crate) fn annotated(mut self) -> Self {
        self.0["metadata"]["annotations"] = json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"});
        self
    }

    /// With one more of Winddown's annotations.
    pub(crate) fn annotated_with(mut self, name: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][format!("winddown.dev/{name}")] = json!(value);
        self
    }

    /// As a workload of another kind of `apps/v1`.
    pub(crate) fn of_kind(mut self, kind: &str) -> Self {
        self.0["apiVersion"] = json!("apps/v1");
        self.0["kind"] = json!(kind);
        if let ("DaemonSet", Some(spec)) = (kind, self.0["spec"].as_object_mut()) {
            spec.remove("replicas");
        }
        self
    }

    /// Without pods, for what is about the Deployment alone.
    pub(crate) fn without_pods(mut self) -> Self {
        self.0["spec"]["replicas"] = json!(0);
        self
    }

    /// Creates it, and gives it back as it came out of admission.
    pub(crate) async fn create(self, world: &World) -> Result<Deployment> {
        let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), &world.namespace);
        Ok(deployments.create(&PostParams::default(), &serde_json::from_value(self.0)?).await?)
    }

    /// Creates it, of whatever kind it is, and gives it back as it came out of admission.
    pub(crate) async fn create_any(self, world: &World) -> Result<DynamicObject> {
        let object: DynamicObject = serde_json::from_value(self.0)?;
        let kind = GroupVersionKind::try_from(object.types.clone().ok_or("it has no kind")?)?;
        let objects: Api<DynamicObject> =
            Api::namespaced_with(world.client.clone(), &world.namespace, &ApiResource::from_gvk(&kind));
        Ok(objects.create(&PostParams::default(), &object).await?)
    }

    /// Creates it, and waits until its pod answers.
    pub(crate) async fn start(self, world: &World) -> Result<App> {
        let created = self.create(world).await?;
        let app = App::new(&world.client, &world.namespace, created.metadata.name.as_deref().unwrap_or_default());
        app.answers(3000, "/health").await?;
        Ok(app)
    }
}

/// Whether a template has the drain and the grace period that the annotations ask for.
pub(crate) fn is_injected(deployment: &Deployment) -> bool {
    is_template_injected(&serde_json::to_value(&deployment.spec.template).unwrap_or_default())
}

/// The same of a template alone.
pub(crate) fn is_template_injected(template: &Value) -> bool {
    let annotations = &template["metadata"]["annotations"];
    annotations["winddown.dev/injected"].is_string()
        && template["spec"]["terminationGracePeriodSeconds"] == GRACE_PERIOD
        && template["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == DRAIN
}

/// Whether there is no trace of Winddown in a template.
pub(crate) fn is_bare(deployment: &Deployment) -> bool {
    let template = serde_json::to_value(&deployment.spec.template).unwrap_or_default();
    template["metadata"]["annotations"]["winddown.dev/injected"].is_null()
        && template["spec"]["terminationGracePeriodSeconds"] == 30
        && template["spec"]["containers"][0]["lifecycle"].is_null()
}
