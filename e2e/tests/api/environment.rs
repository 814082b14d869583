//! One API server with one operator in front of it, as the chart would install it.

use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use winddown_e2e::api_server::ApiServer;
use winddown_e2e::chart::{Manifests, RELEASE};
use winddown_e2e::operator_process::{Operator, Ports, render};

use crate::manifest::deployment;
use crate::request::{apply, create, delete, get, send};
use crate::suite::{Result, until};

/// The mutating and the validating configuration, by path.
pub(crate) const CONFIGURATIONS: [&str; 2] = [
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/winddown",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/winddown",
];

/// The first replica, the one that the webhook configurations send reviews to.
const FIRST: &str = "winddown-0";

pub(crate) struct World {
    // Ends before the API server does.
    operator: Mutex<Option<Operator>>,
    manifests: Manifests,
    ports: Ports,
    pub(crate) server: ApiServer,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let server = ApiServer::start().await?;
        let ports = Ports::free()?;
        let manifests = render(&server, ports)?;
        let client = server.client();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RELEASE}});
        send(&client, &create(&namespace)).await?.accepted()?;
        for object in manifests.foundations() {
            send(&client, &create(object)).await?.accepted()?;
        }
        let world = Self { operator: Mutex::default(), manifests, ports, server };
        world.install_webhooks().await?;
        world.start_operator().await?;
        world.wait_for_webhooks().await?;
        Ok(world)
    }

    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    /// Whatever an earlier test did: the webhooks are there and answered.
    pub(crate) async fn restore(&self) -> Result {
        let alive = match &mut *self.operator.lock().await {
            Some(operator) => operator.is_alive().await,
            None => false,
        };
        self.install_webhooks().await?;
        if !alive {
            self.start_operator().await?;
        }
        self.wait_for_webhooks().await
    }

    /// Applies both configurations as the chart has them; a caBundle that stands there stays.
    pub(crate) async fn install_webhooks(&self) -> Result {
        for index in 0..CONFIGURATIONS.len() {
            self.install_webhook(index).await?;
        }
        Ok(())
    }

    /// Applies one of [`CONFIGURATIONS`].
    pub(crate) async fn install_webhook(&self, index: usize) -> Result {
        let configuration = &self.manifests.webhook_configurations(self.ports.webhook)[index];
        send(&self.client(), &apply(configuration)).await?.accepted()?;
        Ok(())
    }

    /// Removes both configurations, and waits until the API server asks nobody any more.
    pub(crate) async fn remove_webhooks(&self) -> Result {
        for path in CONFIGURATIONS {
            send(&self.client(), &delete(path)).await?.accepted()?;
        }
        self.wait_until_answered(false).await
    }

    /// Waits until the API server asks both webhooks and they answer.
    pub(crate) async fn wait_for_webhooks(&self) -> Result {
        self.wait_until_answered(true).await
    }

    async fn wait_until_answered(&self, wanted: bool) -> Result {
        let try_out = |value| create(deployment("one").annotated("drain", value).as_ref()).dry_run().within("default");
        let (good, bad, client) = (try_out("5s"), try_out("nonsense"), self.client());
        until("the API server had noticed the webhook configurations", async || {
            let object = send(&client, &good).await?.object;
            let injected = object.pointer("/metadata/annotations/winddown.dev~1budget").is_some();
            let denied = send(&client, &bad).await?.code == 422;
            Ok((injected == wanted && denied == wanted).then_some(()))
        })
        .await
    }

    /// Starts the first replica, and waits until it is ready and leads.
    pub(crate) async fn start_operator(&self) -> Result {
        let mut operator = self.replica(FIRST, self.ports)?;
        let ready = operator.ready().await;
        *self.operator.lock().await = Some(operator);
        ready?;
        self.wait_for_leader(FIRST).await?;
        // Times of creation are in whole seconds; what is made from now on is newer than the operator.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    /// Starts the first replica without waiting.
    pub(crate) async fn begin_operator(&self) -> Result {
        let operator = self.replica(FIRST, self.ports)?;
        *self.operator.lock().await = Some(operator);
        Ok(())
    }

    /// Starts one more replica, which nobody sends reviews to.
    pub(crate) fn another_replica(&self, pod: &str) -> Result<Operator> {
        let ports = Ports::free()?;
        let manifests = render(&self.server, ports)?;
        Ok(Operator::start(&self.server, &manifests, pod, ports)?)
    }

    fn replica(&self, pod: &str, ports: Ports) -> Result<Operator> {
        Ok(Operator::start(&self.server, &self.manifests, pod, ports)?)
    }

    /// Stops the first replica as the kubelet would, and holds it to it.
    pub(crate) async fn stop_operator(&self) -> Result {
        if let Some(operator) = self.operator.lock().await.take() {
            let log = operator.log();
            let status = operator.terminate().await?;
            assert!(status.success(), "winddown ended with {status}; its log:\n{log}");
            // The rights that the chart gives are enough, and nothing happened that never should.
            let wrong = log.lines().find(|line| line.contains("forbidden") || line.contains("\"level\":\"ERROR\""));
            assert_eq!(wrong, None);
        }
        Ok(())
    }

    pub(crate) async fn is_alive(&self) -> bool {
        match &mut *self.operator.lock().await {
            Some(operator) => operator.is_alive().await,
            None => false,
        }
    }

    pub(crate) async fn readiness(&self) -> String {
        match &*self.operator.lock().await {
            Some(operator) => operator.readiness().await,
            None => String::new(),
        }
    }

    /// Everything the first replica logged since the beginning.
    pub(crate) async fn log(&self) -> String {
        self.operator.lock().await.as_ref().map(Operator::log).unwrap_or_default()
    }

    pub(crate) async fn last_words(&self) -> String {
        self.operator.lock().await.as_ref().map(Operator::last_words).unwrap_or_default()
    }

    /// Who holds the Lease.
    pub(crate) async fn leader(&self) -> Result<Option<String>> {
        let lease = get("/apis/coordination.k8s.io/v1/namespaces/winddown/leases/winddown");
        let lease = send(&self.client(), &lease).await?.object;
        Ok(lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()).map(str::to_owned))
    }

    /// Waits until this replica leads.
    pub(crate) async fn wait_for_leader(&self, pod: &str) -> Result {
        until(&format!("{pod} led"), async || Ok((self.leader().await?.as_deref() == Some(pod)).then_some(()))).await
    }

    /// A configuration as it stands.
    pub(crate) async fn configuration(&self, path: &str) -> Result<Value> {
        send(&self.client(), &get(path)).await?.accepted()
    }
}
