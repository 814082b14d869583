//! Workloads of the example app, and what Winddown makes of them.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use serde_json::{Value, json};
use winddown_e2e::rollout::App;
use winddown_e2e::until::until;

use crate::suite::Result;
use crate::world::{Failure, World};

/// A workload that is about to be created; a Deployment, unless something else is said.
pub(crate) struct Example(Value);

/// As in the README.
pub(crate) const DRAIN: i64 = 5;
pub(crate) const GRACE_PERIOD: i64 = 35;

/// How long a first pod may take, with room for a busy machine.
const START: Duration = Duration::from_mins(2);

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

    /// With a probe, so that a pod counts as available only once it listens, and hears SIGTERM.
    pub(crate) fn probed(mut self) -> Self {
        self.0["metadata"]["annotations"]["winddown.dev/readiness"] = json!("http:3000/health");
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

    /// Creates it as a workload of another kind of `apps/v1`, sees that it is injected, and gives back the name of one of
    /// its pods that is ready.
    pub(crate) async fn start_as(mut self, kind: &str, world: &World) -> Result<String> {
        let name = self.0["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.0["apiVersion"] = json!("apps/v1");
        self.0["kind"] = json!(kind);
        if let ("DaemonSet", Some(spec)) = (kind, self.0["spec"].as_object_mut()) {
            spec.remove("replicas");
        }
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", kind));
        let workloads: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
        let created = workloads.create(&PostParams::default(), &serde_json::from_value(self.0)?).await?;
        assert!(is_template_injected(&created.data["spec"]["template"]), "{:#}", created.data);

        let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
        let of_it = ListParams::default().labels(&format!("app={name}"));
        let ready = |pod: &Pod| {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        };
        let look = async || Ok::<_, Failure>(pods.list(&of_it).await?.items.into_iter().find(ready));
        Ok(until(&format!("a pod of {kind} {name} was ready"), START, look).await?.name_any())
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

fn is_template_injected(template: &Value) -> bool {
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
