//! One API server and one operator, installed as the chart installs it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use winddown_e2e::api_server::ApiServer;
use winddown_e2e::chart::{Manifests, RELEASE};
use winddown_e2e::operator_process::{Operator, Ports, Version, render};

use crate::manifest::deployment;
use crate::request::{apply, create, delete, get, merge, send};
use crate::suite::until;

/// The API paths of the mutating and the validating webhook configuration.
pub(crate) const CONFIGURATIONS: [&str; 2] = [
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/winddown",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/winddown",
];

/// The pod name of the first replica. The webhook configurations contain its port.
const FIRST_REPLICA: &str = "winddown-0";

pub(crate) struct Environment {
    // Declared before `server`: the operator stops before the API server does.
    operator: Mutex<Option<Operator>>,
    /// How many bytes of the first replica's log contain errors that a test caused on purpose.
    expected_log: AtomicUsize,
    manifests: Manifests,
    ports: Ports,
    /// The client of the operator's `ServiceAccount`.
    pub(crate) operator_client: Client,
    pub(crate) server: ApiServer,
}

impl Environment {
    pub(crate) async fn start() -> Result<Self> {
        let server = ApiServer::start().await?;
        let ports = Ports::free()?;
        let manifests = render(&server, ports)?;
        let client = server.client();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RELEASE}});
        send(&client, &create(&namespace)).await?.into_object()?;
        for object in manifests.prerequisites() {
            send(&client, &create(object)).await?.into_object()?;
        }
        let operator_client = server.service_account_client(RELEASE, RELEASE).await?;
        let environment = Self {
            operator: Mutex::default(),
            expected_log: AtomicUsize::new(0),
            manifests,
            ports,
            operator_client,
            server,
        };
        environment.install_webhooks().await?;
        environment.start_operator().await?;
        environment.wait_for_webhooks().await?;
        Ok(environment)
    }

    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    /// Restores the webhook configurations and the operator after an exclusive test.
    pub(crate) async fn restore(&self) -> Result<()> {
        let mut operator = self.operator.lock().await;
        // It stops when it is dropped.
        *operator = operator.take().filter(|operator| operator.version() == Version::Current);
        drop(operator);
        let healthy = self.is_healthy().await;
        self.install_webhooks().await?;
        if !healthy {
            self.start_operator().await?;
        }
        self.wait_for_webhooks().await
    }

    /// Applies both webhook configurations of the chart. An existing `caBundle` is kept.
    pub(crate) async fn install_webhooks(&self) -> Result<()> {
        for index in 0..CONFIGURATIONS.len() {
            self.install_webhook(index).await?;
        }
        Ok(())
    }

    /// Applies one webhook configuration; `index` as in [`CONFIGURATIONS`].
    pub(crate) async fn install_webhook(&self, index: usize) -> Result<()> {
        self.install_webhook_on(index, self.ports.webhook).await
    }

    /// Applies one webhook configuration that calls the replica on this port.
    pub(crate) async fn install_webhook_on(&self, index: usize, port: u16) -> Result<()> {
        let configuration = &self.manifests.webhook_configurations(port)[index];
        send(&self.client(), &apply(configuration)).await?.into_object()?;
        Ok(())
    }

    /// Applies the mutating configuration as the chart has it: it names a Service, which has no pods here.
    /// [`Self::install_webhook`] undoes it.
    pub(crate) async fn install_mutating_webhooks_of_service(&self) -> Result<()> {
        let configuration = self.manifests.of_kind("MutatingWebhookConfiguration").context("no configuration")?;
        send(&self.client(), &apply(configuration)).await?.into_object()?;
        Ok(())
    }

    /// Applies both webhook configurations of the chart, with `failurePolicy: Fail`.
    pub(crate) async fn fail_closed(&self) -> Result<()> {
        for mut configuration in self.manifests.webhook_configurations(self.ports.webhook) {
            for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
                webhook["failurePolicy"] = json!("Fail");
            }
            send(&self.client(), &apply(&configuration)).await?.into_object()?;
        }
        self.wait_for_webhooks().await
    }

    /// Deletes both webhook configurations and waits until the API server no longer calls the webhooks.
    pub(crate) async fn remove_webhooks(&self) -> Result<()> {
        for path in CONFIGURATIONS {
            send(&self.client(), &delete(path)).await?.into_object()?;
        }
        self.wait_until_called(false).await
    }

    /// Waits until the API server trusts all webhooks, calls those for workloads, and they respond.
    pub(crate) async fn wait_for_webhooks(&self) -> Result<()> {
        let empty = |webhook: &Value| webhook["clientConfig"]["caBundle"].as_str().is_none_or(str::is_empty);
        until("each webhook to have a caBundle", async || {
            for path in CONFIGURATIONS {
                let configuration = self.configuration(path).await?;
                if configuration["webhooks"].as_array().context("no webhooks")?.iter().any(empty) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        self.wait_until_called(true).await
    }

    async fn wait_until_called(&self, expected: bool) -> Result<()> {
        let probe = |drain| create(deployment("probe").annotated("drain", drain).as_ref()).dry_run().within("default");
        let (valid, invalid, client) = (probe("5s"), probe("invalid"), self.client());
        let condition = if expected { "the webhooks to be called" } else { "the webhooks not to be called" };
        until(condition, async || {
            let object = send(&client, &valid).await?.object;
            let mutated = object.pointer("/metadata/annotations/winddown.dev~1budget").is_some();
            let denied = send(&client, &invalid).await?.code == 422;
            Ok((mutated == expected && denied == expected).then_some(()))
        })
        .await
    }

    /// Starts the first replica and waits until it is ready and the leader.
    pub(crate) async fn start_operator(&self) -> Result<()> {
        self.start_first_operator(Version::Current).await
    }

    /// Starts the earlier version as the first replica.
    pub(crate) async fn start_earlier_operator(&self) -> Result<()> {
        self.start_first_operator(Version::Earlier).await
    }

    async fn start_first_operator(&self, version: Version) -> Result<()> {
        let mut operator = self.start_first_replica(version)?;
        let ready = operator.wait_until_ready().await;
        *self.operator.lock().await = Some(operator);
        ready?;
        self.wait_for_leader(FIRST_REPLICA).await?;
        // `creationTimestamp` has a resolution of one second. Objects created from now on are newer than the operator.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    /// Starts the first replica without waiting.
    pub(crate) async fn start_operator_without_waiting(&self) -> Result<()> {
        let operator = self.start_first_replica(Version::Current)?;
        *self.operator.lock().await = Some(operator);
        Ok(())
    }

    fn start_first_replica(&self, version: Version) -> Result<Operator> {
        Operator::start_version(version, &self.server, &self.manifests, FIRST_REPLICA, self.ports)
    }

    /// The port of the first replica's webhooks.
    pub(crate) fn webhook_port(&self) -> u16 {
        self.ports.webhook
    }

    /// Starts an additional replica of the earlier version and waits until it is ready.
    pub(crate) async fn start_earlier_replica(&self, pod: &str) -> Result<Operator> {
        let ports = Ports::free()?;
        let manifests = render(&self.server, ports)?;
        let mut operator = Operator::start_version(Version::Earlier, &self.server, &manifests, pod, ports)?;
        operator.wait_until_ready().await?;
        Ok(operator)
    }

    /// Starts an additional replica. The webhook configurations do not refer to it.
    pub(crate) fn start_additional_replica(&self, pod: &str) -> Result<Operator> {
        let ports = Ports::free()?;
        Operator::start(&self.server, &render(&self.server, ports)?, pod, ports)
    }

    /// Creates the operator's Deployment, whose pods a kubelet would start, and reports them as ready. Returns its path.
    pub(crate) async fn install_operator_deployment(&self) -> Result<String> {
        let client = self.client();
        let deployment = self.manifests.of_kind("Deployment").context("the chart renders no Deployment")?;
        send(&client, &create(deployment)).await?.into_object()?;
        let replicas = &deployment["spec"]["replicas"];
        let pods = format!("/api/v1/namespaces/{RELEASE}/pods");
        let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        let operator = format!("/apis/apps/v1/namespaces/{RELEASE}/deployments/winddown");
        // An earlier Deployment may have left pods: nothing collects them here. So all are reported, until its own are ready.
        until("the pods of the operator to be ready", async || {
            let listed = send(&client, &get(&pods)).await?.into_object()?;
            for pod in listed["items"].as_array().into_iter().flatten() {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                // The controller may have removed it.
                send(&client, &merge(&format!("{pods}/{name}/status"), running.clone())).await?;
            }
            let deployment = send(&client, &get(&operator)).await?.into_object()?;
            Ok((deployment["status"]["readyReplicas"] == *replicas).then_some(()))
        })
        .await?;
        Ok(operator)
    }

    /// Stops the first replica with SIGTERM, and checks its exit status and its log.
    pub(crate) async fn stop_operator(&self) -> Result<()> {
        if let Some(operator) = self.operator.lock().await.take() {
            let log = operator.log();
            let status = operator.terminate().await?;
            assert!(status.success(), "winddown exited with {status}; log:\n{log}");
            // The chart's RBAC rights are sufficient, and no internal error was logged.
            let checked = log.get(self.expected_log.load(Ordering::Relaxed)..).unwrap_or(&log);
            let error = checked.lines().find(|line| line.contains("forbidden") || line.contains("\"level\":\"ERROR\""));
            assert_eq!(error, None);
        }
        Ok(())
    }

    /// The chart's memory limit in bytes.
    pub(crate) fn memory_limit(&self) -> Result<u64> {
        self.manifests.memory_limit()
    }

    /// The process ID of the first replica.
    pub(crate) async fn operator_pid(&self) -> Result<u32> {
        self.operator.lock().await.as_ref().context("no replica runs")?.pid()
    }

    /// Declares that the errors in the log up to now were expected.
    pub(crate) async fn expect_logged_errors(&self) {
        self.expected_log.store(self.log().await.len(), Ordering::Relaxed);
    }

    /// Whether the first replica runs and `/healthz` returns 200.
    pub(crate) async fn is_healthy(&self) -> bool {
        match &mut *self.operator.lock().await {
            Some(operator) => operator.is_healthy().await,
            None => false,
        }
    }

    /// The HTTP response of the first replica's `/readyz`.
    pub(crate) async fn readiness(&self) -> String {
        match &*self.operator.lock().await {
            Some(operator) => operator.readiness().await,
            None => String::new(),
        }
    }

    /// The HTTP response of the first replica's `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        match &*self.operator.lock().await {
            Some(operator) => operator.metrics().await,
            None => String::new(),
        }
    }

    /// The whole log of the first replica.
    pub(crate) async fn log(&self) -> String {
        self.operator.lock().await.as_ref().map(Operator::log).unwrap_or_default()
    }

    pub(crate) async fn log_tail(&self) -> String {
        self.operator.lock().await.as_ref().map(Operator::log_tail).unwrap_or_default()
    }

    /// The holder of the Lease.
    pub(crate) async fn leader(&self) -> Result<Option<String>> {
        let lease = get("/apis/coordination.k8s.io/v1/namespaces/winddown/leases/winddown");
        let lease = send(&self.client(), &lease).await?.object;
        Ok(lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()).map(str::to_owned))
    }

    /// Waits until this replica holds the Lease.
    pub(crate) async fn wait_for_leader(&self, pod: &str) -> Result<()> {
        let condition = format!("{pod} to hold the Lease");
        until(&condition, async || Ok((self.leader().await?.as_deref() == Some(pod)).then_some(()))).await
    }

    /// The current webhook configuration at a path of [`CONFIGURATIONS`].
    pub(crate) async fn configuration(&self, path: &str) -> Result<Value> {
        send(&self.client(), &get(path)).await?.into_object()
    }
}
