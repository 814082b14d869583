//! A rollout, from before it begins until the last old pod is gone.
//!
//! `kubectl rollout status` is content as soon as the new pods are available, while the old ones still stop; but how they
//! stop is what this is all about.

use std::time::{Duration, Instant};

use http::Request;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::{Selector, labels};
use kube::runtime::conditions::is_deleted;
use kube::{Client, ResourceExt as _};

use crate::cluster::{self, watch_until};
use crate::command::{self, Line};
use crate::until::{Elapsed, until};

/// A Deployment under watch.
#[derive(Clone)]
pub struct App {
    /// Where it is.
    pub namespace: String,
    /// What it is called.
    pub name: String,
    client: Client,
    deployments: Api<Deployment>,
    pods: Api<Pod>,
}

/// A rollout that is about to begin, or under way.
pub struct Rollout {
    app: App,
    old: Vec<Pod>,
    begun: Instant,
}

/// Why a rollout did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It took too long, or the cluster does not answer.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// kubectl refuses.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// A selector that the API server would not have taken either.
    #[error("the Deployment's selector cannot be read")]
    Selector(#[from] labels::ParseExpressionError),
    /// Something else changes it at the same time.
    #[error("after a rollout there are other pods than the {0} new ones")]
    Pods(usize),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Cluster(error.into())
    }
}

impl From<Elapsed> for Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::Cluster(elapsed.into())
    }
}

/// Three pods, one after the other, each with the longest drain and start that the demo and the tests have; and then some.
const LIMIT: Duration = Duration::from_mins(3);

impl App {
    /// The Deployment of that name.
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

    /// The Deployment as it stands.
    pub async fn deployment(&self) -> Result<Deployment, Error> {
        Ok(self.deployments.get(&self.name).await?)
    }

    /// Its pods, those that stop included.
    pub async fn all_pods(&self) -> Result<Vec<Pod>, Error> {
        let selector: Selector = self.deployment().await?.spec.selector.try_into()?;
        Ok(self.pods.list(&ListParams::default().labels_from(&selector)).await?.items)
    }

    /// Waits until something holds of the Deployment.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Deployment) -> bool,
    ) -> Result<Deployment, Error> {
        let what = format!("{what} (Deployment {}/{})", self.namespace, self.name);
        let holds = |deployment: Option<&Deployment>| deployment.is_some_and(&holds);
        let found = watch_until(self.deployments.clone(), &self.name, &what, limit, holds).await?;
        // What holds of it, holds of something that is there.
        Ok(found.unwrap_or_default())
    }

    /// Waits until all of its pods are available.
    pub async fn available(&self) -> Result<(), Error> {
        self.until("all of its pods are available", LIMIT, is_complete).await?;
        Ok(())
    }

    /// Waits until there are only available pods, which answer on this port and path. Without a readiness probe a pod is
    /// available before its process listens.
    pub async fn answers(&self, port: u16, path: &str) -> Result<(), Error> {
        self.available().await?;
        for pod in self.all_pods().await? {
            if pod.metadata.deletion_timestamp.is_some() {
                self.gone(&pod).await?;
                continue;
            }
            let name = pod.name_any();
            let uri = format!("/api/v1/namespaces/{}/pods/{name}:{port}/proxy{path}", self.namespace);
            let ask = async || {
                let request = Request::get(&uri).body(Vec::new()).map_err(kube::Error::HttpError)?;
                Ok::<_, Error>(self.client.request_text(request).await.ok())
            };
            until(&format!("{name} answers"), LIMIT, ask).await?;
        }
        Ok(())
    }

    async fn gone(&self, pod: &Pod) -> Result<(), Error> {
        let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
        let what = format!("the old pod {name} is gone");
        watch_until(self.pods.clone(), &name, &what, LIMIT, is_deleted(&uid)).await?;
        Ok(())
    }

    /// Remembers the pods that are there; call it before you start the rollout.
    pub async fn before_rollout(&self) -> Result<Rollout, Error> {
        Ok(Rollout { app: self.clone(), old: self.all_pods().await?, begun: Instant::now() })
    }

    /// Restarts it, and waits until the rollout is over.
    pub async fn restart(&self) -> Result<Duration, Error> {
        let rollout = self.before_rollout().await?;
        self.kubectl("rollout restart deployment").word(&self.name).run().await?;
        rollout.over().await
    }

    /// A kubectl command in its namespace.
    #[must_use]
    pub fn kubectl(&self, words: &str) -> Line {
        Line::new("kubectl --namespace").word(&self.namespace).words(words)
    }
}

impl Rollout {
    /// Waits until the new pods are available and every old one is gone, and says how long it took.
    pub async fn over(self) -> Result<Duration, Error> {
        let deployment = self.app.until("a rollout has brought all new pods", LIMIT, is_complete).await?;
        let Self { app, old, begun } = self;
        for pod in &old {
            app.gone(pod).await?;
        }
        let took = begun.elapsed();
        let wanted = usize::try_from(deployment.spec.replicas.unwrap_or(1)).unwrap_or_default();
        if app.all_pods().await?.len() != wanted {
            return Err(Error::Pods(wanted));
        }
        Ok(took)
    }
}

/// Whether the deployment controller has seen the newest template and replaced every pod by one that is available.
fn is_complete(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.replicas.unwrap_or(1);
    deployment.status.as_ref().is_some_and(|status| {
        let all = |count: Option<i32>| count.unwrap_or_default() == wanted;
        status.observed_generation == deployment.metadata.generation
            && all(status.updated_replicas)
            && all(status.available_replicas)
            && all(status.replicas)
    })
}
