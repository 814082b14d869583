//! Rollouts of a Deployment, up to the removal of the last old pod.
//!
//! `kubectl rollout status` returns when the new pods are available, while old pods may still be terminating. The tests
//! are about that termination, so they wait until the old pods are removed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http::Request;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::Selector;
use kube::runtime::conditions::is_deleted;
use kube::{Client, ResourceExt as _};

use crate::cluster::watch_until;
use crate::command::CommandLine;
use crate::wait::until;

/// A Deployment and its pods.
#[derive(Clone)]
pub struct App {
    pub(crate) namespace: String,
    pub(crate) name: String,
    client: Client,
    deployments: Api<Deployment>,
    pods: Api<Pod>,
}

/// A rollout that is about to start or in progress.
pub struct Rollout {
    app: App,
    old_pods: Vec<Pod>,
    start: Instant,
}

/// For the replacement of three pods one at a time, with the longest drain and start time that demo and tests use.
const LIMIT: Duration = Duration::from_mins(3);

impl App {
    /// Refers to a Deployment, which does not have to exist yet.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            client: client.clone(),
            deployments: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name of the Deployment.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The current Deployment.
    pub async fn deployment(&self) -> Result<Deployment> {
        let deployment = self.deployments.get(&self.name).await;
        deployment.with_context(|| format!("get Deployment {}/{}", self.namespace, self.name))
    }

    /// All its pods, including those that are terminating.
    pub async fn all_pods(&self) -> Result<Vec<Pod>> {
        let selector: Selector = self.deployment().await?.spec.selector.try_into()?;
        let pods = self.pods.list(&ListParams::default().labels_from(&selector)).await;
        Ok(pods.with_context(|| format!("list the pods of Deployment {}/{}", self.namespace, self.name))?.items)
    }

    /// Waits until the Deployment meets a condition. `description` is used as in [`crate::wait::until`].
    pub async fn wait_until(
        &self,
        description: &str,
        limit: Duration,
        condition: impl Fn(&Deployment) -> bool,
    ) -> Result<Deployment> {
        let description = format!("{description} (Deployment {}/{})", self.namespace, self.name);
        let condition = |deployment: Option<&Deployment>| deployment.is_some_and(&condition);
        let found = watch_until(self.deployments.clone(), &self.name, &description, limit, condition).await?;
        found.with_context(|| format!("watch for {description}: no object"))
    }

    /// Waits until all pods are up to date and available.
    pub async fn wait_until_available(&self) -> Result<()> {
        self.wait_until("all pods to be available", LIMIT, is_complete).await?;
        Ok(())
    }

    /// Waits until all pods are available, old pods are removed, and each pod responds on this port and path. A pod
    /// without a readiness probe is available before its process listens.
    pub async fn wait_until_serving(&self, port: u16, path: &str) -> Result<()> {
        self.wait_until_available().await?;
        for pod in self.all_pods().await? {
            if pod.metadata.deletion_timestamp.is_some() {
                self.wait_until_removed(&pod).await?;
                continue;
            }
            let name = pod.name_any();
            let uri = format!("/api/v1/namespaces/{}/pods/{name}:{port}/proxy{path}", self.namespace);
            let poll = async || {
                let request = Request::get(&uri).body(Vec::new())?;
                Ok(self.client.request_text(request).await.ok())
            };
            until(&format!("Pod {name} to respond on port {port}"), LIMIT, poll).await?;
        }
        Ok(())
    }

    async fn wait_until_removed(&self, pod: &Pod) -> Result<()> {
        let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
        let description = format!("the old Pod {name} to be removed");
        watch_until(self.pods.clone(), &name, &description, LIMIT, is_deleted(&uid)).await?;
        Ok(())
    }

    /// Records the existing pods. Call it before the change that starts the rollout.
    pub async fn before_rollout(&self) -> Result<Rollout> {
        Ok(Rollout { app: self.clone(), old_pods: self.all_pods().await?, start: Instant::now() })
    }

    /// Restarts the Deployment and returns how long the rollout took.
    pub async fn restart(&self) -> Result<Duration> {
        let rollout = self.before_rollout().await?;
        self.kubectl("rollout restart deployment").word(&self.name).run().await?;
        rollout.complete().await
    }

    /// A kubectl command for the Deployment's namespace.
    #[must_use]
    pub fn kubectl(&self, words: &str) -> CommandLine {
        CommandLine::new("kubectl --namespace").word(&self.namespace).words(words)
    }
}

impl Rollout {
    /// Waits until the new pods are available and the old pods are removed, and returns the time since the start.
    pub async fn complete(self) -> Result<Duration> {
        let deployment = self.app.wait_until("all new pods to be available", LIMIT, is_complete).await?;
        let Self { app, old_pods, start } = self;
        for pod in &old_pods {
            app.wait_until_removed(pod).await?;
        }
        let duration = start.elapsed();
        let expected = usize::try_from(deployment.spec.replicas.unwrap_or(1)).unwrap_or_default();
        let found = app.all_pods().await?.len();
        ensure!(
            found == expected,
            "Deployment {}/{} has {found} pods after the rollout instead of {expected}",
            app.namespace,
            app.name
        );
        Ok(duration)
    }
}

/// Whether the deployment controller has observed the latest generation and all pods are up to date and available.
fn is_complete(deployment: &Deployment) -> bool {
    let replicas = deployment.spec.replicas.unwrap_or(1);
    deployment.status.as_ref().is_some_and(|status| {
        let all = |count: Option<i32>| count.unwrap_or_default() == replicas;
        status.observed_generation == deployment.metadata.generation
            && all(status.updated_replicas)
            && all(status.available_replicas)
            && all(status.replicas)
    })
}
