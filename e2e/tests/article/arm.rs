//! One arm of a comparison: an app, right or with a mistake, that is stopped while it serves requests.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt as _;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio::time::sleep;
use winddown_core::annotations::INJECTED;
use winddown_e2e::budgets::{Budgets, Status};
use winddown_e2e::environment::Environment;
use winddown_e2e::rollout::App;
use winddown_e2e::wait::until;

use crate::client::{Client, ORDERS};
use crate::observed::{Load, Observed};
use crate::servers;
use crate::stops::Stops;

/// An app before its start: a Deployment and a Service, in a namespace of its own.
#[derive(Clone)]
pub(crate) struct Arm {
    name: &'static str,
    annotations: Value,
    replicas: u32,
    container: Value,
    share_process_namespace: bool,
    /// Where its clients send requests.
    path: &'static str,
    rate: u32,
    needs_servers: bool,
}

/// An app that serves requests.
pub(crate) struct Running {
    pub(crate) environment: Environment,
    pub(crate) app: App,
    path: &'static str,
    rate: u32,
    replicas: u32,
}

/// An app under load.
pub(crate) struct Loaded<'a> {
    running: &'a Running,
    stops: Stops,
    orders: Client,
}

/// The small app, which needs no servers.
pub(crate) const HTTP_IMAGE: &str = "winddown.local/node-http:dev";

pub(crate) const SERVICE_IMAGE: &str = "winddown.local/node-service:dev";

/// Requests per second over new connections, and the same over kept ones.
const RATE: u32 = 30;

/// The same for the service, which stores each order in three places, on a disk that all arms share.
const SERVICE_RATE: u32 = 5;

/// What an order takes: long enough that every pod has some open at any time.
const WORK_MS: &str = "1500";

/// The wait of the app: on a busy machine, a client can pause for longer than the default of 1 s, and then use a connection
/// that is being closed.
const WAIT_MS: &str = "2000";

pub(crate) const PORT: u16 = 3000;

/// Load before the first stop and after the last one.
const IDLE: Duration = Duration::from_secs(2);

/// For the controller, where the webhook was not reached.
const INJECTION_LIMIT: Duration = Duration::from_mins(1);

/// For the count of the last stops: a status is written at most every 30 s.
const COUNT_LIMIT: Duration = Duration::from_mins(2);

/// Between two reads of the budget.
const INTERVAL: Duration = Duration::from_millis(500);

impl Arm {
    /// The service as it should be: drain 5s + deadline 10s + margin 5s = 20s. The name must be different for each arm.
    pub(crate) fn service(name: &'static str) -> Self {
        let variables = [
            ("WORK_MS", WORK_MS.to_owned()),
            ("MONGODB_URL", format!("mongodb://mongodb:27017/{name}")),
            ("KAFKA_TOPIC", name.to_owned()),
        ];
        let arm =
            Self { path: "/orders", rate: SERVICE_RATE, needs_servers: true, ..Self::of_image(name, SERVICE_IMAGE) };
        variables.iter().fold(arm, |arm, (name, value)| arm.env(name, value))
    }

    /// The service with one of `mistakes/`.
    pub(crate) fn mistake(name: &'static str, mistake: &str) -> Self {
        Self::service(name).command(&["node", &format!("mistakes/{mistake}.ts")])
    }

    /// Another app, which needs no servers.
    pub(crate) fn of_image(name: &'static str, image: &str) -> Self {
        let annotations = json!({
            "winddown.dev/drain": "5s",
            "winddown.dev/deadline": "10s",
            "winddown.dev/expose": "env",
            "winddown.dev/readiness": format!("http:{PORT}/health"),
        });
        let container = json!({
            "name": "app",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "SHUTDOWN_WAIT_MS", "value": WAIT_MS}],
            "ports": [{"name": "http", "containerPort": PORT}],
            "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
        });
        Self {
            name,
            annotations,
            replicas: 2,
            container,
            share_process_namespace: false,
            path: "/",
            rate: RATE,
            needs_servers: false,
        }
    }

    /// Sets an annotation of Winddown.
    pub(crate) fn annotated(mut self, name: &str, value: &str) -> Self {
        self.annotations[format!("winddown.dev/{name}")] = json!(value);
        self
    }

    /// Removes an annotation of Winddown.
    pub(crate) fn not_annotated(mut self, name: &str) -> Self {
        if let Some(annotations) = self.annotations.as_object_mut() {
            annotations.remove(&format!("winddown.dev/{name}"));
        }
        self
    }

    /// Sets a variable of the app, in place of one of the same name.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        if let Some(variables) = self.container["env"].as_array_mut() {
            variables.retain(|variable| variable["name"] != name);
            variables.push(json!({"name": name, "value": value}));
        }
        self
    }

    pub(crate) fn command(mut self, command: &[&str]) -> Self {
        self.container["command"] = json!(command);
        self
    }

    pub(crate) fn image(mut self, image: &str) -> Self {
        self.container["image"] = json!(image);
        self
    }

    /// A single pod.
    pub(crate) fn alone(self) -> Self {
        Self { replicas: 1, ..self }
    }

    /// The app is not the first process of its PID namespace: what it does not handle has its default action.
    pub(crate) fn under_an_init(self) -> Self {
        Self { share_process_namespace: true, ..self }
    }

    /// Creates a namespace with the app, and waits until it serves.
    pub(crate) async fn start(self, environment: &Environment) -> Result<Running> {
        let Self { name, path, rate, replicas, .. } = self;
        let environment = environment.in_namespace(&format!("article-{name}"));
        environment.set_up_beside_others().await?;
        let (client, namespace) = (environment.client.clone(), &environment.namespace);
        if self.needs_servers {
            servers::start(&environment).await?;
        }
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let parameters = PostParams::default();
        let service = json!({
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        });
        services.create(&parameters, &serde_json::from_value(service)?).await.context("create a Service")?;
        let created = deployments.create(&parameters, &serde_json::from_value(self.deployment())?).await;
        created.context("create a Deployment")?;
        let app = App::new(&client, namespace, name);
        // A review that the API server did not wait for is made up by the controller, which replaces the pods.
        app.wait_until("Winddown to inject the budget", INJECTION_LIMIT, is_injected).await?;
        app.wait_until_serving(PORT, "/health").await?;
        Ok(Running { environment, app, path, rate, replicas })
    }

    /// The Deployment that a user would write.
    pub(crate) fn deployment(&self) -> Value {
        let Self { name, annotations, replicas, container, share_process_namespace, .. } = self;
        json!({
            "metadata": {"name": name, "annotations": annotations},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "automountServiceAccountToken": false,
                        "enableServiceLinks": false,
                        "shareProcessNamespace": share_process_namespace,
                        "containers": [container],
                    },
                },
            },
        })
    }

    /// Rolls the app out under load. If the answers to all orders that failed were late, it does so once more: the servers
    /// of an order, and not the shutdown, may have been too slow.
    pub(crate) async fn roll_out(self, environment: &Environment, rollouts: u32) -> Result<Observed> {
        let observed = self.clone().roll_out_once(environment, rollouts).await?;
        if !self.needs_servers || !observed.load.as_ref().is_some_and(Load::is_only_late) {
            return Ok(observed);
        }
        eprintln!("  {}: answers were late, once more", observed.name);
        let again = self.roll_out_once(environment, rollouts).await?;
        Ok(Observed { sample: format!("{}, measured twice", again.sample), ..again })
    }

    async fn roll_out_once(self, environment: &Environment, rollouts: u32) -> Result<Observed> {
        let running = self.start(environment).await?;
        let loaded = running.load().await?;
        loaded.roll_out(rollouts).await?;
        let observed = loaded.end(rollouts).await?;
        running.clean_up().await?;
        Ok(observed)
    }
}

impl Running {
    /// The address of the app's Service, with the path of its requests.
    pub(crate) fn target(&self) -> String {
        format!("http://{}{}", self.app.name(), self.path)
    }

    /// The addresses of its pods, with the path of its requests.
    pub(crate) async fn pod_targets(&self) -> Result<Vec<String>> {
        let target = |pod: &Pod| {
            let address = pod.status.as_ref()?.pod_ip.clone()?;
            Some(format!("http://{address}:{PORT}{}", self.path))
        };
        Ok(self.app.all_pods().await?.iter().filter_map(target).collect())
    }

    /// The name of one of its pods.
    pub(crate) async fn pod(&self) -> Result<String> {
        let pods = self.app.all_pods().await?;
        let mut running = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(running.next().context("the Deployment has no pod")?.name_any())
    }

    /// Runs a command in the container of a pod, and returns what it prints.
    pub(crate) async fn exec(&self, pod: &str, command: &[&str]) -> Result<String> {
        let kubectl = self.app.kubectl("exec").word(pod).word("--");
        command.iter().fold(kubectl, |kubectl, word| kubectl.word(*word)).run().await
    }

    /// Runs JavaScript in the container of a pod that sends its first process a signal. The container can end before the
    /// command does, which is then an error of the command.
    pub(crate) async fn signal(&self, pod: &str, script: &str) {
        if let Err(error) = self.exec(pod, &["node", "-e", script]).await {
            eprintln!("  {script}: {error:#}");
        }
    }

    /// Starts the load.
    pub(crate) async fn load(&self) -> Result<Loaded<'_>> {
        let variables = [("TARGET", self.target()), ("RATE", self.rate.to_string())];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let orders = Client::start(&self.environment, ORDERS, &variables).await?;
        let stops = Stops::watch(&self.environment, self.app.name());
        sleep(IDLE).await;
        Ok(Loaded { running: self, stops, orders })
    }

    /// Waits until the operator has counted this many stops, and returns what it reports.
    pub(crate) async fn count(&self, stops: u64) -> Result<Status> {
        let budgets = Budgets::new(&self.environment.client, &self.environment.namespace);
        let name = format!("deployment-{}", self.app.name());
        until(&format!("{name} to count {stops} stops"), COUNT_LIMIT, async || {
            sleep(INTERVAL).await;
            // A busy API server can refuse one read.
            let status = budgets.all().await.ok().and_then(|mut budgets| budgets.remove(&name));
            Ok(status.filter(|status| status.count("count") >= stops))
        })
        .await
    }

    /// For a pod that is being deleted.
    pub(crate) async fn wait_until_removed(&self, pod: &str) -> Result<()> {
        self.app.kubectl("wait --for=delete --timeout=60s").word(format!("pod/{pod}")).run().await.map(drop)
    }

    /// Returns what was observed of an app without load, whose pod was stopped. Call it after the pod is removed.
    pub(crate) async fn observe(&self, stops: Stops) -> Result<Observed> {
        let stops = stops.finish().await?;
        ensure!(!stops.is_empty(), "no stop was seen");
        let budget = self.count(stops.len() as u64).await?;
        let observed =
            Observed { name: self.app.name().to_owned(), sample: "1 pod".to_owned(), load: None, stops, budget };
        eprintln!("{observed}");
        Ok(observed)
    }

    /// Deletes the namespace.
    pub(crate) async fn clean_up(self) -> Result<()> {
        self.environment.clean_up().await
    }
}

impl Loaded<'_> {
    pub(crate) async fn roll_out(&self, rollouts: u32) -> Result<()> {
        for rollout in 1..=rollouts {
            let seconds = self.running.app.restart().await?.as_secs_f32();
            eprintln!("  {}: rollout {rollout} of {rollouts} took {seconds:.0} s", self.running.app.name());
        }
        Ok(())
    }

    /// Stops the load, and returns what was observed of all stops of this many rollouts.
    pub(crate) async fn end(self, rollouts: u32) -> Result<Observed> {
        let Self { running, stops, orders } = self;
        let expected = rollouts * running.replicas;
        sleep(IDLE).await;
        let load: Load = orders.stop().await?;
        load.verify(running.rate)?;
        let stops = stops.finish().await?;
        ensure!(stops.len() == expected as usize, "{} stops instead of {expected}: {stops:#?}", stops.len());
        let budget = running.count(u64::from(expected)).await?;
        let name = running.app.name().to_owned();
        let sample = format!("{rollouts} rollout{}", if rollouts == 1 { "" } else { "s" });
        let observed = Observed { name, sample, load: Some(load), stops, budget };
        eprintln!("{observed}");
        Ok(observed)
    }
}

fn is_injected(deployment: &Deployment) -> bool {
    let metadata = deployment.spec.template.metadata.as_ref();
    metadata.and_then(|metadata| metadata.annotations.as_ref()).is_some_and(|all| all.contains_key(INJECTED))
}
