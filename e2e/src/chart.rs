//! The chart's own manifests, so that what is tested is what is installed.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::tools::{self, Tools};

/// The release and its namespace have this name, and so has nearly every object of it.
pub const RELEASE: &str = "winddown";

/// Why there are no manifests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No helm.
    #[error(transparent)]
    Tools(#[from] tools::Error),
    /// It cannot be started.
    #[error("cannot run helm")]
    Run(#[from] io::Error),
    /// It says why.
    #[error("helm cannot render the chart: {0}")]
    Render(String),
    /// What came out is not YAML.
    #[error("the chart renders no YAML")]
    Yaml(#[from] serde_saphyr::Error),
    /// It is not there.
    #[error("the chart has no {0}")]
    Missing(&'static str),
}

/// The chart's manifests.
pub struct Manifests(Vec<Value>);

impl Manifests {
    /// Renders the chart with values given as for `helm --set-json`.
    pub fn render(tools: &Tools, values: &Value) -> Result<Self, Error> {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/winddown");
        let mut command = tools.command("helm4")?;
        command.args(["template", RELEASE]).arg(chart).args(["--namespace", RELEASE, "--skip-tests"]);
        command.arg("--set-json").arg(values.to_string());
        let output = command.output()?;
        if !output.status.success() {
            return Err(Error::Render(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let documents = text.split("\n---").map(serde_saphyr::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(documents.into_iter().filter(Value::is_object).collect()))
    }

    /// What has to be there before an operator that runs outside the cluster can: who it is, what it may do, what it keeps.
    pub fn foundations(&self) -> impl Iterator<Item = &Value> {
        let kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Secret"];
        self.0.iter().filter(move |object| kinds.iter().any(|kind| object["kind"] == *kind))
    }

    /// The webhook configurations, with the API server sent to a port of this machine instead of to the Service.
    #[must_use]
    pub fn webhook_configurations(&self, port: u16) -> Vec<Value> {
        let kinds = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
        let mut configurations: Vec<_> =
            self.0.iter().filter(|object| kinds.iter().any(|kind| object["kind"] == *kind)).cloned().collect();
        let webhooks = configurations.iter_mut().filter_map(|configuration| configuration["webhooks"].as_array_mut());
        for webhook in webhooks.flatten() {
            let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap_or_default();
            webhook["clientConfig"] = json!({"url": format!("https://127.0.0.1:{port}{path}")});
        }
        configurations
    }

    /// The arguments that the operator's Deployment gives to its container.
    pub fn operator_arguments(&self) -> Result<Vec<String>, Error> {
        let deployment = self.0.iter().find(|object| object["kind"] == "Deployment");
        let arguments = deployment.and_then(|deployment| {
            let container = deployment.pointer("/spec/template/spec/containers/0")?;
            let arguments = container.get("args")?.as_array()?.iter();
            Some(arguments.filter_map(|argument| argument.as_str().map(str::to_owned)).collect())
        });
        arguments.ok_or(Error::Missing("arguments of the operator"))
    }
}
