//! Nodes that vanish. The nodes of kind are containers.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, ListParams};
use winddown_e2e::cluster::watch_until;
use winddown_e2e::command::CommandLine;

use winddown_e2e::environment::names;

/// For the start of a node.
const LIMIT: Duration = Duration::from_mins(2);

/// The names of all nodes apart from the control plane.
pub(super) async fn workers(client: &Client) -> Result<Vec<String>> {
    let nodes: Api<Node> = Api::all(client.clone());
    let workers = ListParams::default().labels("!node-role.kubernetes.io/control-plane");
    Ok(names(&nodes.list(&workers).await.context("list Nodes")?.items))
}

/// Kills all processes of a node and deletes its Node.
pub(super) async fn lose(name: &str) -> Result<()> {
    CommandLine::new("docker kill").word(name).run().await?;
    CommandLine::new("kubectl delete node").word(name).run().await?;
    Ok(())
}

/// Starts a node again, if it does not run, and waits until it is ready.
pub(super) async fn start(client: &Client, name: &str) -> Result<()> {
    CommandLine::new("docker start").word(name).run().await?;
    let ready = |node: Option<&Node>| {
        let status = node.and_then(|node| node.status.as_ref());
        let mut conditions = status.into_iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let nodes: Api<Node> = Api::all(client.clone());
    watch_until(nodes, name, &format!("Node {name} to be ready"), LIMIT, ready).await?;
    Ok(())
}
