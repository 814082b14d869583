//! A Prometheus server that scrapes pods of the test cluster through its API server, with the credentials in KUBECONFIG.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::{Request, Uri};
use k8s_openapi::ByteString;
use kube::client::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api_server::free_ports;
use crate::command::CommandLine;
use crate::supervised_process::SupervisedProcess;
use crate::wait::until;

/// A running server. Dropping it stops the server and deletes its data.
pub struct Prometheus {
    server: SupervisedProcess,
    client: Client,
    _directory: TempDir,
}

/// The `/metrics` of a pod.
#[derive(Clone, Debug)]
pub struct Target {
    /// The namespace of the pod.
    pub namespace: String,
    /// Its name, which becomes the label `instance`.
    pub pod: String,
    /// The port of `/metrics`.
    pub port: u16,
}

/// One element of the result of a query.
#[derive(Clone, Debug, Deserialize)]
pub struct Sample {
    /// The labels.
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    /// The time and the value, which Prometheus writes as a string.
    value: (f64, String),
}

/// For the start of the server.
const LIMIT: Duration = Duration::from_secs(30);

impl Prometheus {
    /// Starts a server that scrapes these pods every second.
    pub async fn start(targets: &[Target]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = |name: &str| directory.path().join(name);
        let [port] = free_ports()?;
        fs::write(file("prometheus.yml"), configuration(targets).await?.to_string())?;
        let mut command = Command::new("prometheus");
        command.arg("--config.file").arg(file("prometheus.yml")).arg("--storage.tsdb.path").arg(file("data"));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut server = SupervisedProcess::start(&command, &file("log"))?;
        let uri = Uri::try_from(format!("http://127.0.0.1:{port}"))?;
        let client = Client::try_from(kube::Config::new(uri))?;
        until("Prometheus to be ready", LIMIT, async || {
            let status = server.exit_status()?;
            ensure!(status.is_none(), "Prometheus ended: {}", server.output());
            Ok(client.request_text(Request::get("/-/ready").body(Vec::new())?).await.ok())
        })
        .await?;
        Ok(Self { server, client, _directory: directory })
    }

    /// The result of a query, an instant vector, at the current time. `expression` has no characters that a URL must
    /// escape apart from quotes, braces and spaces.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let escaped = expression.replace(' ', "%20").replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        let request = Request::get(format!("/api/v1/query?query={escaped}")).body(Vec::new())?;
        let response: Value = self.client.request(request).await.with_context(|| format!("query {expression}"))?;
        let result = serde_json::from_value(response["data"]["result"].clone());
        result.with_context(|| format!("query {expression}: {response}"))
    }

    /// The log of the server.
    #[must_use]
    pub fn output(&self) -> String {
        self.server.output()
    }
}

impl Sample {
    /// The value.
    pub fn value(&self) -> Result<f64> {
        self.value.1.parse().with_context(|| format!("not a number: {self:?}"))
    }
}

/// The configuration, as JSON, which is also YAML.
async fn configuration(targets: &[Target]) -> Result<Value> {
    let kubeconfig = CommandLine::new("kubectl config view --raw --minify --output json").run().await?;
    let kubeconfig: Value = serde_json::from_str(&kubeconfig)?;
    let cluster = &kubeconfig["clusters"][0]["cluster"];
    let user = &kubeconfig["users"][0]["user"];
    let server = cluster["server"].as_str().and_then(|server| server.strip_prefix("https://"));
    let server = server.context("the API server's address in KUBECONFIG")?;
    let targets: Vec<_> = targets
        .iter()
        .map(|Target { namespace, pod, port }| {
            let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
            json!({"targets": [server], "labels": {"instance": pod, "__metrics_path__": path}})
        })
        .collect();
    Ok(json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{
            "job_name": "winddown",
            "scheme": "https",
            "tls_config": {
                "ca": pem(&cluster["certificate-authority-data"])?,
                "cert": pem(&user["client-certificate-data"])?,
                "key": pem(&user["client-key-data"])?,
            },
            "static_configs": targets,
        }],
    }))
}

/// The text of a field with base64.
fn pem(field: &Value) -> Result<String> {
    let ByteString(bytes) = serde_json::from_value(field.clone()).context("a certificate or key in KUBECONFIG")?;
    Ok(String::from_utf8(bytes)?)
}
