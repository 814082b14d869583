//! A namespace for one test, and the two verbs that tests speak: what the API server `accepts`, and what it `rejects`.

use std::process::{Output, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::manifest::{KINDS, Manifest};
use crate::request::{self, Answer, Request, create, send};
use crate::suite::{Result, until};
use crate::world::World;

#[derive(Clone)]
pub(crate) struct Namespace {
    pub(crate) world: Arc<World>,
    pub(crate) name: String,
}

/// What a program printed.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What somebody wrote, or a request made of it; a manifest alone is to be created.
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
    /// Makes a namespace named after the test.
    pub(crate) async fn new(world: Arc<World>, sentence: &str) -> Result<Self> {
        let name: String = sentence.replace('_', "-").chars().take(60).collect();
        let namespace = Self { world, name: name.trim_end_matches('-').to_owned() };
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}});
        send(&namespace.world.client(), &create(&manifest)).await?.accepted()?;
        Ok(namespace)
    }

    /// Removes the workloads.
    pub(crate) async fn clear(&self) -> Result {
        for kind in KINDS {
            let all = self.workload_path(kind, "");
            send(&self.world.client(), &request::delete(all.trim_end_matches('/'))).await?.accepted()?;
        }
        Ok(())
    }

    /// Sends a request that may be answered in any way.
    pub(crate) async fn answers(&self, request: impl Into<Request>) -> Result<Answer> {
        send(&self.world.client(), &request.into().within(&self.name)).await
    }

    /// Sends a request that has to be accepted, and gives back the object as the API server then has it.
    pub(crate) async fn accepts(&self, request: impl Into<Request>) -> Result<Value> {
        self.answers(request).await?.accepted()
    }

    /// Sends a request that has to be accepted with a warning that says all of this.
    pub(crate) async fn accepts_with_warning(&self, request: impl Into<Request>, said: &[&str]) -> Result<Value> {
        let answer = self.answers(request).await?;
        let warned = answer.warnings.iter().any(|warning| said.iter().all(|said| warning.contains(said)));
        assert!(warned || !answer.is_accepted(), "no warning says {said:?}: {:#?}", answer.warnings);
        answer.accepted()
    }

    /// Sends a request that has to be refused with a message that says all of this, and gives back the Status.
    pub(crate) async fn rejects(&self, request: impl Into<Request>, said: &[&str]) -> Result<Value> {
        let answer = self.answers(request).await?;
        assert!(!answer.is_accepted(), "accepted, with warnings {:?}: {:#}", answer.warnings, answer.object);
        let message = answer.object["message"].as_str().unwrap_or_default();
        for said in said {
            assert!(message.contains(said), "{said:?} is not said in: {message}");
        }
        Ok(answer.object)
    }

    /// A Deployment as it stands.
    pub(crate) async fn deployment(&self, name: &str) -> Result<Value> {
        self.accepts(request::get(&self.deployment_path(name))).await
    }

    /// Merges fields into a Deployment.
    pub(crate) fn merge(&self, name: &str, fields: Value) -> Request {
        request::merge(&self.deployment_path(name), fields)
    }

    pub(crate) fn deployment_path(&self, name: &str) -> String {
        self.workload_path("Deployment", name)
    }

    /// A workload as it stands.
    pub(crate) async fn workload(&self, kind: &str, name: &str) -> Result<Value> {
        self.accepts(request::get(&self.workload_path(kind, name))).await
    }

    pub(crate) fn workload_path(&self, kind: &str, name: &str) -> String {
        self.path("apps/v1", &format!("{}s", kind.to_lowercase()), name)
    }

    /// Objects of this namespace.
    pub(crate) async fn list(&self, api_version: &str, plural: &str) -> Result<Vec<Value>> {
        let all = self.path(api_version, plural, "");
        let list = self.accepts(request::get(all.trim_end_matches('/'))).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    fn path(&self, api_version: &str, plural: &str, name: &str) -> String {
        let root = if api_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{api_version}/namespaces/{}/{plural}/{name}", self.name)
    }

    /// Waits until the deployment controller has seen the Deployment as it is, and gives back its revisions: the pod
    /// template hash of each of its `ReplicaSet`s, oldest first.
    pub(crate) async fn revisions(&self, name: &str) -> Result<Vec<String>> {
        let observed = async || {
            let deployment = self.deployment(name).await?;
            let same = deployment["metadata"]["generation"] == deployment["status"]["observedGeneration"];
            Ok(same.then_some(()))
        };
        until("the deployment controller had looked", observed).await?;
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

    /// Runs kubectl with the arguments in this line, and with the manifest as its input; it has to succeed.
    pub(crate) async fn kubectl(&self, line: &str, input: Option<&Manifest>) -> Result<Said> {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let output = self.run("kubectl", &arguments, input).await?;
        succeeded(line, &output)
    }

    /// Runs kubectl, which has to fail; gives back what it says of it.
    pub(crate) async fn kubectl_fails(&self, line: &str, input: Option<&Manifest>) -> Result<String> {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let output = self.run("kubectl", &arguments, input).await?;
        assert!(!output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs helm, which has to succeed.
    pub(crate) async fn helm(&self, helm: &str, line: &str) -> Result<Said> {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let output = self.run(helm, &arguments, None).await?;
        succeeded(line, &output)
    }

    async fn run(&self, program: &str, arguments: &[&str], input: Option<&Manifest>) -> Result<Output> {
        let server = &self.world.server;
        let mut command = Command::from(server.tools().command(program)?);
        command.env("KUBECONFIG", server.kubeconfig()).env("HOME", server.directory());
        command.arg("--namespace").arg(&self.name).args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take()
            && let Some(manifest) = input
        {
            stdin.write_all(manifest.as_ref().to_string().as_bytes()).await?;
        }
        Ok(child.wait_with_output().await?)
    }
}

fn succeeded(line: &str, output: &Output) -> Result<Said> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said { out: text(&output.stdout), err: text(&output.stderr) };
    if output.status.success() { Ok(said) } else { Err(format!("{line}: {}", said.err).into()) }
}
