//! The manifests that the chart renders, so that the tests use the same objects as an installation.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::tools::Tools;

/// The name of the release and of its namespace; most objects of the chart have it too.
pub const RELEASE: &str = "winddown";

/// The folder of the chart.
#[must_use]
pub fn chart_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/winddown")
}

/// The rendered objects.
pub struct Manifests(Vec<Value>);

impl Manifests {
    /// Renders the chart. `values` is passed to `helm template --set-json`.
    pub fn render(tools: &Tools, values: &Value) -> Result<Self> {
        let mut command = tools.command("helm4")?;
        command.args(["template", RELEASE]).arg(chart_path()).args(["--namespace", RELEASE, "--skip-tests"]);
        command.arg("--set-json").arg(values.to_string());
        let output = command.output().context("run helm4")?;
        ensure!(output.status.success(), "helm template failed: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let documents = text.split("\n---").map(serde_saphyr::from_str::<Value>).collect::<Result<Vec<_>, _>>();
        let documents = documents.context("parse the rendered chart")?;
        Ok(Self(documents.into_iter().filter(Value::is_object).collect()))
    }

    /// The objects that an operator outside the cluster needs: the custom resource definitions, its `ServiceAccount`, RBAC
    /// objects and Secret, and the policies that limit it.
    pub fn prerequisites(&self) -> impl Iterator<Item = &Value> {
        let kinds = [
            "CustomResourceDefinition",
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "Role",
            "RoleBinding",
            "Secret",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ];
        self.0.iter().filter(move |object| kinds.iter().any(|kind| object["kind"] == *kind))
    }

    /// The mutating and the validating webhook configuration, with a loopback URL in place of the Service.
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

    /// The first object of a kind.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Option<&Value> {
        self.0.iter().find(|object| object["kind"] == kind)
    }

    /// The memory limit of the container in the operator's Deployment, in bytes.
    pub fn memory_limit(&self) -> Result<u64> {
        let deployment = self.of_kind("Deployment");
        let limit = deployment.and_then(|deployment| {
            deployment.pointer("/spec/template/spec/containers/0/resources/limits/memory")?.as_str()
        });
        let mebibytes = limit.and_then(|limit| limit.strip_suffix("Mi")?.parse::<u64>().ok());
        Ok(mebibytes.with_context(|| format!("the chart has no memory limit in Mi: {limit:?}"))? * 1024 * 1024)
    }

    /// The arguments of the container in the operator's Deployment.
    pub(crate) fn operator_arguments(&self) -> Result<Vec<String>> {
        let deployment = self.of_kind("Deployment");
        let arguments = deployment.and_then(|deployment| {
            let container = deployment.pointer("/spec/template/spec/containers/0")?;
            let arguments = container.get("args")?.as_array()?.iter();
            Some(arguments.filter_map(|argument| argument.as_str().map(str::to_owned)).collect())
        });
        arguments.context("the chart renders no Deployment with container arguments")
    }
}
