//! Pods that send requests at a constant rate and account for each.
//!
//! What counts is what the generator itself says: a line each second, and a summary at its end. They have to agree, and a
//! pod that is lost or too slow is an error, so that nothing dropped can be taken for nothing noticed.

pub mod account;

use std::fmt;
use std::time::Duration;

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, LogParams, PostParams};
use kube::runtime::conditions::is_pod_running;
use kube::{Client, ResourceExt as _};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

pub use self::account::Count;
use self::account::{Account, Inconsistent};
use crate::cluster::{self, watch_until};
use crate::until::{Elapsed, within};

/// Whether requests share connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// A connection for each request.
    New,
    /// As few as will do.
    Kept,
}

/// What to send.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where the pod runs; so does what it sends to.
    pub namespace: String,
    /// The Service that it sends to.
    pub service: String,
    /// Requests a second.
    pub rate: u32,
    /// Whether they share connections.
    pub connections: Connections,
    /// When it ends if nobody ends it.
    pub at_most: Duration,
}

/// A pod that sends.
pub struct Generator {
    pods: Api<Pod>,
    name: String,
    so_far: watch::Receiver<Count>,
    account: JoinHandle<Result<Count, Error>>,
}

/// Why there is no count to go by.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster does not answer.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Its log broke off.
    #[error("the log of a load generator cannot be followed")]
    Follow(#[from] std::io::Error),
    /// What it says does not add up.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// Nobody reads its log any more.
    #[error("the reader of a load generator's log is gone")]
    Reader(#[from] JoinError),
    /// It ended by itself.
    #[error("a load generator ended before it was told to")]
    Lost,
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

/// From the pod's creation to its first request, and from SIGTERM to its last word.
const LIMIT: Duration = Duration::from_mins(1);

const LABEL: &str = "app.kubernetes.io/name=load";

impl Generator {
    /// Starts a pod, and waits until its requests are under way.
    pub async fn start(client: &Client, load: &Load) -> Result<Self, Error> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &load.namespace);
        let name = pods.create(&PostParams::default(), &load.pod()).await.map_err(Error::from)?.name_any();
        watch_until(pods.clone(), &name, &format!("{name} runs"), LIMIT, is_pod_running()).await?;

        let (sender, so_far) = watch::channel(Count::default());
        let account = tokio::spawn(follow(pods.clone(), name.clone(), load.rate, sender));
        let mut generator = Self { pods, name, so_far, account };
        let sending =
            async { generator.so_far.wait_for(|count| count.sent > 0).await.map(drop).map_err(|_| Error::Lost) };
        within("a load generator sends", LIMIT, sending).await?;
        Ok(generator)
    }

    /// What it counted up to the last full second; an error if it ended.
    pub fn so_far(&self) -> Result<Count, Error> {
        if self.account.is_finished() { Err(Error::Lost) } else { Ok(self.so_far.borrow().clone()) }
    }

    /// Tells it to end, and gives back the account of all that it sent.
    pub async fn stop(self) -> Result<Count, Error> {
        if self.account.is_finished() {
            // Its account says more than that it is gone.
            self.account.await??;
            return Err(Error::Lost);
        }
        self.pods.delete(&self.name, &DeleteParams::default()).await?;
        within("a load generator has summed up", LIMIT, async { self.account.await? }).await
    }
}

/// Ends every load generator in a namespace, whoever started it.
pub async fn end_all(client: &Client, namespace: &str) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    pods.delete_collection(&DeleteParams::default(), &ListParams::default().labels(LABEL)).await?;
    Ok(())
}

/// Reads the generator's log to its end.
async fn follow(pods: Api<Pod>, name: String, rate: u32, sender: watch::Sender<Count>) -> Result<Count, Error> {
    let parameters = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(&name, &parameters).await?.lines();
    let mut account = Account::default();
    while let Some(line) = lines.try_next().await? {
        account.read(&line)?;
        sender.send_replace(account.so_far().clone());
    }
    Ok(account.close(rate)?)
}

impl Load {
    /// On the control plane's node, where no pod of a rollout comes or goes, and which needs a toleration.
    fn pod(&self) -> Pod {
        let Self { service, rate, connections, .. } = self;
        let (label, name) = LABEL.split_once('=').unwrap_or_default();
        let object = json!({
            "metadata": {"generateName": format!("load-{connections}-"), "labels": {label: name}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
                "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "load",
                    "image": "winddown.local/load:dev",
                    "imagePullPolicy": "IfNotPresent",
                    "args": [
                        "-target", format!("http://{service}/"),
                        "-rate", rate.to_string(),
                        "-connections", connections.to_string(),
                        "-timeout", "5s",
                        "-duration", format!("{}s", self.at_most.as_secs()),
                    ],
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        });
        // Written above, so there is nothing in it that could not be read.
        serde_json::from_value(object).unwrap_or_default()
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::New => "new",
            Self::Kept => "kept",
        })
    }
}
