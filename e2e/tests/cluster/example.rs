//! Workloads that run the example app, and checks of their injected fields.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use serde_json::{Value, json};
use winddown_e2e::rollout::App;
use winddown_e2e::wait::until;

use winddown_e2e::environment::{Environment, is_ready};

/// A workload before its creation; a Deployment unless created with [`Example::start_as`].
pub(crate) struct Example(Value);

/// Seconds, from the annotations that [`Example::annotated`] sets.
pub(crate) const DRAIN: i64 = 5;
pub(crate) const GRACE_PERIOD: i64 = 35;

/// For the start of the first pod, with a margin for a busy machine.
const START_LIMIT: Duration = Duration::from_mins(2);

impl Example {
    /// A minimal Deployment with one replica.
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

    /// Sets a drain of 5 s and a deadline of 25 s.
    pub(crate) fn annotated(mut self) -> Self {
        self.0["metadata"]["annotations"] = json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"});
        self
    }

    /// Requests a readiness probe, so that a pod is available only when its process listens and handles SIGTERM.
    pub(crate) fn probed(mut self) -> Self {
        self.0["metadata"]["annotations"]["winddown.dev/readiness"] = json!("http:3000/health");
        self
    }

    /// Sets `replicas: 0`, for tests of the Deployment only.
    pub(crate) fn without_pods(mut self) -> Self {
        self.0["spec"]["replicas"] = json!(0);
        self
    }

    /// Sets the grace period.
    pub(crate) fn with_grace_period(mut self, seconds: i64) -> Self {
        self.0["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(seconds);
        self
    }

    /// Creates the Deployment and returns it as admission returned it.
    pub(crate) async fn create(self, environment: &Environment) -> Result<Deployment> {
        self.create_with(environment, PostParams::default()).await
    }

    /// Returns the Deployment as admission would return it, and creates nothing.
    pub(crate) async fn create_dry(self, environment: &Environment) -> Result<Deployment> {
        self.create_with(environment, PostParams { dry_run: true, ..PostParams::default() }).await
    }

    async fn create_with(self, environment: &Environment, parameters: PostParams) -> Result<Deployment> {
        let deployments: Api<Deployment> = Api::namespaced(environment.client.clone(), &environment.namespace);
        Ok(deployments.create(&parameters, &serde_json::from_value(self.0)?).await?)
    }

    /// Creates it as another kind of `apps/v1`, checks the injection, and waits until one of its pods is ready.
    pub(crate) async fn start_as(mut self, kind: &str, environment: &Environment) -> Result<()> {
        let name = self.0["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.0["apiVersion"] = json!("apps/v1");
        self.0["kind"] = json!(kind);
        if let ("DaemonSet", Some(spec)) = (kind, self.0["spec"].as_object_mut()) {
            spec.remove("replicas");
        }
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", kind));
        let workloads: Api<DynamicObject> =
            Api::namespaced_with(environment.client.clone(), &environment.namespace, &resource);
        let created = workloads.create(&PostParams::default(), &serde_json::from_value(self.0)?).await?;
        assert!(is_template_injected(&created.data["spec"]["template"]), "{:#}", created.data);

        let pods: Api<Pod> = Api::namespaced(environment.client.clone(), &environment.namespace);
        let selected = ListParams::default().labels(&format!("app={name}"));
        until(&format!("a pod of {kind} {name} to be ready"), START_LIMIT, async || {
            let pods = pods.list(&selected).await.with_context(|| format!("list the pods of {kind} {name}"))?;
            Ok(pods.items.iter().any(is_ready).then_some(()))
        })
        .await
    }

    /// Creates the Deployment and waits until its pod responds.
    pub(crate) async fn start(self, environment: &Environment) -> Result<App> {
        let created = self.create(environment).await?;
        let app = App::new(&environment.client, &environment.namespace, &created.name_any());
        app.wait_until_serving(3000, "/health").await?;
        Ok(app)
    }
}

/// Whether the template has the sleep and the grace period for the annotations of [`Example::annotated`].
pub(crate) fn is_injected(deployment: &Deployment) -> bool {
    is_template_injected(&serde_json::to_value(&deployment.spec.template).unwrap_or_default())
}

fn is_template_injected(template: &Value) -> bool {
    let annotations = &template["metadata"]["annotations"];
    annotations["winddown.dev/injected"].is_string()
        && template["spec"]["terminationGracePeriodSeconds"] == GRACE_PERIOD
        && template["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == DRAIN
}

/// Whether the template has no record, the default grace period and no hooks.
pub(crate) fn has_no_injection(deployment: &Deployment) -> bool {
    let template = serde_json::to_value(&deployment.spec.template).unwrap_or_default();
    template["metadata"]["annotations"]["winddown.dev/injected"].is_null()
        && template["spec"]["terminationGracePeriodSeconds"] == 30
        && template["spec"]["containers"][0]["lifecycle"].is_null()
}
