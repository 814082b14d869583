//! An API server with what the chart installs, and the operator outside of it.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use winddown_e2e::api_server::ApiServer;
use winddown_e2e::chart::{Manifests, RELEASE};
use winddown_e2e::operator_process::{Operator, Ports};
use winddown_e2e::wait::until;

use super::requests::Requests;
use crate::api::Api;
use crate::fixture::deployment;

/// How long the API server may take until it calls the webhooks.
const CONFIGURATION_LIMIT: Duration = Duration::from_mins(1);
/// After its start, the API server reads what is stored, and publishes its `OpenAPI`.
const SETTLE: Duration = Duration::from_secs(15);

/// A control plane without other controllers. Dropping it ends the processes.
pub(crate) struct Installation {
    server: ApiServer,
    manifests: Manifests,
    ports: Ports,
    pub(super) api: Api,
}

impl Installation {
    /// Starts it on a folder with the data of etcd, and applies the objects of the chart.
    pub(super) async fn start(data: &Path) -> Result<Self> {
        let server = ApiServer::start_without_controllers(Some(data)).await?;
        let ports = Ports::free()?;
        let values = json!({
            "webhook": {"securePort": ports.webhook},
            "healthPort": ports.health,
            "metrics": {"port": ports.metrics},
            "extraArgs": ["--bind-address=127.0.0.1", "--tls-san=127.0.0.1"],
        });
        let manifests = Manifests::render(server.tools(), &values)?;
        let api = Api(server.client());
        let installation = Self { server, manifests, ports, api };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RELEASE}});
        installation.apply([namespace].iter().chain(installation.manifests.prerequisites()))?;
        installation.apply(&installation.manifests.webhook_configurations(ports.webhook))?;
        tokio::time::sleep(SETTLE).await;
        Ok(installation)
    }

    /// Applies objects, with as many requests as needed for each.
    fn apply<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) -> Result<()> {
        let mut command = self.server.tools().command("kubectl")?;
        command.arg("--kubeconfig").arg(self.server.kubeconfig());
        command.args(["apply", "--server-side", "--force-conflicts", "--filename=-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut kubectl = command.spawn().context("run kubectl")?;
        let mut input = kubectl.stdin.take().context("kubectl has no standard input")?;
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects.into_iter().collect::<Vec<_>>()});
        input.write_all(list.to_string().as_bytes())?;
        drop(input);
        let status = kubectl.wait()?;
        ensure!(status.success(), "kubectl apply failed ({status})");
        Ok(())
    }

    /// Starts a replica. Does not wait until it is ready.
    pub(super) fn start_operator(&self, binary: &Path) -> Result<Operator> {
        ensure!(binary.is_file(), "there is no {}: build it first", binary.display());
        Operator::start_program(binary, &self.server, &self.manifests, "winddown-0", self.ports)
    }

    /// Waits until the API server calls the webhooks.
    pub(super) async fn wait_for_webhooks(&self) -> Result<()> {
        let valid = serde_json::to_vec(&deployment("probe", "default"))?;
        until("the webhooks to be called", CONFIGURATION_LIMIT, async || {
            let path = "/apis/apps/v1/namespaces/default/deployments?dryRun=All";
            let (_, body) = self.api.send(Method::POST, path, valid.clone()).await?;
            let created: Value = serde_json::from_slice(&body)?;
            Ok(created["metadata"]["annotations"]["winddown.dev/budget"].is_string().then_some(()))
        })
        .await
    }

    /// What the API server has answered so far.
    pub(super) async fn requests(&self) -> Result<Requests> {
        Ok(Requests::parse(&self.api.text("/metrics").await?))
    }
}
