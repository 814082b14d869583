//! The namespace of one test, and operations on its objects.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::environment::Environment;
use crate::manifest::{GRACE_PERIOD, KINDS, Manifest};
use crate::program::Ran;
use crate::request::{self, Request, Response, create, send};
use crate::suite::until;

#[derive(Clone)]
pub(crate) struct Namespace {
    pub(crate) environment: Arc<Environment>,
    pub(crate) name: String,
}

/// A manifest is converted to a create request.
impl From<&Manifest> for Request {
    fn from(manifest: &Manifest) -> Self {
        create(manifest.as_ref())
    }
}

impl From<Manifest> for Request {
    fn from(manifest: Manifest) -> Self {
        create(manifest.as_ref())
    }
}

impl Namespace {
    /// Creates a namespace with a name made of the test's name.
    pub(crate) async fn create(environment: Arc<Environment>, test: &str) -> Result<Self> {
        let name: String = test.replace('_', "-").chars().take(60).collect();
        let namespace = Self { environment, name: name.trim_end_matches('-').to_owned() };
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}});
        namespace.accepts(create(&manifest)).await?;
        Ok(namespace)
    }

    pub(crate) async fn delete_workloads(&self) -> Result<()> {
        for kind in KINDS {
            let collection = self.workload_path(kind, "");
            self.accepts(request::delete(collection.trim_end_matches('/'))).await?;
        }
        Ok(())
    }

    /// Sends a request and returns the response, whatever its status is.
    pub(crate) async fn send(&self, request: impl Into<Request>) -> Result<Response> {
        send(&self.environment.client(), &request.into().within(&self.name)).await
    }

    /// Sends a request that must succeed, and returns the object in the response.
    pub(crate) async fn accepts(&self, request: impl Into<Request>) -> Result<Value> {
        self.send(request).await?.into_object()
    }

    /// Sends a request that must succeed with a warning that contains all these texts.
    pub(crate) async fn accepts_with_warning(&self, request: impl Into<Request>, texts: &[&str]) -> Result<Value> {
        let response = self.send(request).await?;
        let found = response.warnings.iter().any(|warning| texts.iter().all(|text| warning.contains(text)));
        assert!(found || !response.is_success(), "no warning contains {texts:?}: {:#?}", response.warnings);
        response.into_object()
    }

    /// Sends a request that must fail with a message that contains all these texts, and returns the Status.
    pub(crate) async fn rejects(&self, request: impl Into<Request>, texts: &[&str]) -> Result<Value> {
        let response = self.send(request).await?;
        assert!(!response.is_success(), "accepted with warnings {:?}: {:#}", response.warnings, response.object);
        let message = response.object["message"].as_str().unwrap_or_default();
        for text in texts {
            assert!(message.contains(text), "{text:?} is not in the message: {message}");
        }
        Ok(response.object)
    }

    /// Removes the declaration of a Deployment with `kubectl annotate`.
    pub(crate) async fn undeclare(&self, name: &str) -> Result<()> {
        let keys = "winddown.dev/drain- winddown.dev/deadline- winddown.dev/readiness- winddown.dev/expose-";
        self.kubectl(&format!("annotate deployment {name} {keys}"), None).await.map(drop)
    }

    /// Reads a Deployment.
    pub(crate) async fn deployment(&self, name: &str) -> Result<Value> {
        self.workload("Deployment", name).await
    }

    /// A merge patch of a Deployment.
    pub(crate) fn merge(&self, name: &str, fields: Value) -> Request {
        request::merge(&self.deployment_path(name), fields)
    }

    /// A merge patch of a Deployment's annotations.
    pub(crate) fn annotate(&self, name: &str, annotations: Value) -> Request {
        let mut fields = json!({"metadata": {}});
        fields["metadata"]["annotations"] = annotations;
        self.merge(name, fields)
    }

    pub(crate) fn deployment_path(&self, name: &str) -> String {
        self.workload_path("Deployment", name)
    }

    /// Reads a workload.
    pub(crate) async fn workload(&self, kind: &str, name: &str) -> Result<Value> {
        self.accepts(request::get(&self.workload_path(kind, name))).await
    }

    pub(crate) fn workload_path(&self, kind: &str, name: &str) -> String {
        self.path("apps/v1", &format!("{}s", kind.to_lowercase()), name)
    }

    /// Lists the objects of one resource.
    pub(crate) async fn list(&self, api_version: &str, plural: &str) -> Result<Vec<Value>> {
        let collection = self.path(api_version, plural, "");
        let list = self.accepts(request::get(collection.trim_end_matches('/'))).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    fn path(&self, api_version: &str, plural: &str, name: &str) -> String {
        let root = if api_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{api_version}/namespaces/{}/{plural}/{name}", self.name)
    }

    /// Waits until the deployment controller has observed the latest generation, and returns the pod template hashes of
    /// the Deployment's `ReplicaSet`s, ordered by revision.
    pub(crate) async fn revisions(&self, name: &str) -> Result<Vec<String>> {
        let observed = async || {
            let deployment = self.deployment(name).await?;
            let same = deployment["metadata"]["generation"] == deployment["status"]["observedGeneration"];
            Ok(same.then_some(()))
        };
        until("the deployment controller to observe the latest generation", observed).await?;
        let mut sets = self.list("apps/v1", "replicasets").await?;
        sets.retain(|set| set["metadata"]["ownerReferences"][0]["name"] == name);
        let revision = |set: &Value| {
            let text = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
            text.and_then(|text| text.parse::<u32>().ok())
        };
        sets.sort_by_key(revision);
        let hash = |set: &Value| set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap_or_default().to_owned();
        Ok(sets.iter().map(hash).collect())
    }

    /// Waits until a workload has this grace period, in seconds, and returns the workload.
    pub(crate) async fn wait_for_grace_period(&self, kind: &str, name: &str, seconds: i64) -> Result<Value> {
        until(&format!("{kind} {name} to have a grace period of {seconds} s"), async || {
            let workload = self.workload(kind, name).await?;
            Ok((workload.pointer(GRACE_PERIOD) == Some(&json!(seconds))).then_some(workload))
        })
        .await
    }

    /// Runs kubectl with the manifest as its standard input. It must succeed. Returns its standard output.
    pub(crate) async fn kubectl(&self, arguments: &str, manifest: Option<&Manifest>) -> Result<String> {
        let ran = self.run("kubectl", arguments, manifest).await?;
        ensure!(ran.code == 0, "kubectl {arguments}: {}", ran.stderr);
        Ok(ran.stdout)
    }

    /// Runs kubectl, which must fail. Returns its standard error.
    pub(crate) async fn kubectl_fails(&self, arguments: &str, manifest: Option<&Manifest>) -> Result<String> {
        let ran = self.run("kubectl", arguments, manifest).await?;
        assert_ne!(ran.code, 0, "kubectl {arguments} succeeded: {}", ran.stdout);
        Ok(ran.stderr)
    }

    /// Runs a version of helm, `helm3` or `helm4`. It must succeed.
    pub(crate) async fn helm(&self, helm: &str, arguments: &str) -> Result<()> {
        let ran = self.run(helm, arguments, None).await?;
        ensure!(ran.code == 0, "{helm} {arguments}: {}", ran.stderr);
        Ok(())
    }

    /// Applies or compares as a GitOps tool does: `e2e/gitops` lists the tools and the actions. Returns its standard output.
    pub(crate) async fn gitops(&self, tool: &str, action: &str, manifest: &Manifest) -> Result<String> {
        self.gitops_with("", tool, action, manifest).await
    }

    /// The same with options of `e2e/gitops`.
    pub(crate) async fn gitops_with(
        &self,
        options: &str,
        tool: &str,
        action: &str,
        manifest: &Manifest,
    ) -> Result<String> {
        let ran = self.run("gitops", &format!("{options} {tool} {action}"), Some(manifest)).await?;
        ensure!(ran.code == 0, "{tool} {action}: {}", ran.stderr);
        Ok(ran.stdout)
    }

    /// The file that `kubectl edit` reads as the edited text.
    pub(crate) fn edited_file(&self) -> PathBuf {
        self.environment.server.directory().join(format!("{}-edited.json", self.name))
    }

    async fn run(&self, program: &str, arguments: &str, manifest: Option<&Manifest>) -> Result<Ran> {
        let context = || format!("run {program} {arguments}");
        let server = &self.environment.server;
        let mut command = Command::from(server.tools().command(program)?);
        command.env("KUBECONFIG", server.kubeconfig()).env("HOME", server.directory()).kill_on_drop(true);
        command.env("KUBE_EDITOR", format!("cp {}", self.edited_file().display()));
        command.arg("--namespace").arg(&self.name).args(arguments.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(context)?;
        if let Some(mut stdin) = child.stdin.take()
            && let Some(manifest) = manifest
        {
            stdin.write_all(manifest.as_ref().to_string().as_bytes()).await.with_context(context)?;
        }
        Ran::of(child, &format!("{program} {arguments}")).await
    }
}
