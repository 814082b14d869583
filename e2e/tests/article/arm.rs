//! One arm of a comparison: an app, right or with a mistake, that is stopped while it serves requests.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio::time::sleep;
use winddown_e2e::budgets::{Budgets, Status};
use winddown_e2e::environment::Environment;
use winddown_e2e::progress::Progress;
use winddown_e2e::rollout::App;
use winddown_e2e::variant::{self, Scale};
use winddown_e2e::wait::until;

use crate::observed::Observed;
use crate::stops::Stops;

/// An app before its start: a Deployment with two replicas and a Service, in a namespace of its own.
pub(crate) struct Arm {
    name: &'static str,
    annotations: Value,
    pod_spec: Value,
}

/// An app that serves requests.
pub(crate) struct Running {
    pub(crate) environment: Environment,
    pub(crate) app: App,
}

/// Requests per second over new connections, and the same over kept ones.
const RATE: u32 = 50;

/// What a request takes: long enough that every pod has some open at any time.
const WORK_MS: &str = "200";

const REPLICAS: u32 = 2;

const PORT: u16 = 3000;

/// For the count of the last stops: a status is written at most every 30 s.
const COUNT_LIMIT: Duration = Duration::from_mins(2);

/// Between two reads of the budget.
const INTERVAL: Duration = Duration::from_millis(500);

impl Arm {
    /// An app in this image: drain 5s + deadline 5s + margin 5s = 15s. The name must be different for each arm.
    pub(crate) fn new(name: &'static str, image: &str) -> Self {
        let annotations = json!({
            "winddown.dev/drain": "5s",
            "winddown.dev/deadline": "5s",
            "winddown.dev/readiness": format!("http:{PORT}/health"),
        });
        let container = json!({
            "name": "app",
            "image": format!("winddown.local/{image}:dev"),
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "WORK_MS", "value": WORK_MS}],
            "ports": [{"name": "http", "containerPort": PORT}],
            "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}},
        });
        let pod_spec =
            json!({"automountServiceAccountToken": false, "enableServiceLinks": false, "containers": [container]});
        Self { name, annotations, pod_spec }
    }

    /// Sets a variable of the app.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        if let Some(variables) = self.pod_spec["containers"][0]["env"].as_array_mut() {
            variables.retain(|variable| variable["name"] != name);
            variables.push(json!({"name": name, "value": value}));
        }
        self
    }

    /// The app is not the first process of its PID namespace: what it does not handle has its default action.
    pub(crate) fn under_an_init(mut self) -> Self {
        self.pod_spec["shareProcessNamespace"] = json!(true);
        self
    }

    /// Creates a namespace with the app, and waits until it serves.
    pub(crate) async fn start(self, environment: &Environment) -> Result<Running> {
        let environment = environment.in_namespace(&format!("article-{}", self.name));
        environment.set_up_beside_others().await?;
        let (client, namespace) = (environment.client.clone(), &environment.namespace);
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let parameters = PostParams::default();
        services.create(&parameters, &serde_json::from_value(self.service())?).await.context("create a Service")?;
        let created = deployments.create(&parameters, &serde_json::from_value(self.deployment())?).await;
        created.context("create a Deployment")?;
        let app = App::new(&client, namespace, self.name);
        app.wait_until_serving(PORT, "/health").await?;
        Ok(Running { environment, app })
    }

    fn deployment(&self) -> Value {
        let Self { name, annotations, pod_spec } = self;
        json!({
            "metadata": {"name": name, "annotations": annotations},
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": {"app": name}},
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec},
            },
        })
    }

    fn service(&self) -> Value {
        let Self { name, .. } = self;
        json!({
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        })
    }
}

impl Running {
    /// Rolls the app out under load, and deletes its namespace.
    pub(crate) async fn roll_out(self, rollouts: u32) -> Result<Observed> {
        let Self { environment, app } = self;
        let stops = Stops::watch(&environment, app.name());
        let scale = Scale { rollouts, rate: RATE };
        let load = variant::run(&environment.client, &app, "article", scale, Progress::start()).await?;
        let stops = stops.finish().await?;
        let expected = rollouts * REPLICAS;
        anyhow::ensure!(stops.len() == expected as usize, "{} stops instead of {expected}: {stops:#?}", stops.len());
        let budget = count(&environment, app.name(), u64::from(expected)).await?;
        environment.clean_up().await?;
        let observed = Observed { name: app.name().to_owned(), rollouts, load, stops, budget };
        eprintln!("{observed}");
        Ok(observed)
    }
}

/// Waits until the `ShutdownBudget` of a Deployment counts this many stops.
async fn count(environment: &Environment, name: &str, stops: u64) -> Result<Status> {
    let budgets = Budgets::new(&environment.client, &environment.namespace);
    let name = format!("deployment-{name}");
    until(&format!("{name} to count {stops} stops"), COUNT_LIMIT, async || {
        sleep(INTERVAL).await;
        let status = budgets.all().await?.remove(&name);
        Ok(status.filter(|status| status.count("count") >= stops))
    })
    .await
}
