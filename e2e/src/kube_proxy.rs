//! The mode of kube-proxy in the running cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::command::CommandLine;
use crate::wait::until;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-proxy";
const CONFIG: &str = "config.conf";

/// The mode of a cluster that e2e/cluster/up has started.
pub const DEFAULT: &str = "iptables";

/// For the new mode to appear in the log of a node; the restart of all nodes is complete before.
const LIMIT: Duration = Duration::from_mins(1);

/// The configured mode.
async fn mode(client: &Client) -> Result<String> {
    let config = config(client).await?;
    let mode = config.lines().find_map(|line| line.strip_prefix("mode:")).context("kube-proxy has no mode")?;
    let mode = mode.trim().trim_matches('"');
    Ok(if mode.is_empty() { DEFAULT } else { mode }.to_owned())
}

/// Restarts kube-proxy on all nodes in another mode. At its start it deletes the rules of the other modes.
pub async fn switch(client: &Client, wanted: &str) -> Result<()> {
    if mode(client).await? == wanted {
        return Ok(());
    }
    let config = config(client).await?;
    let line = |line: &str| if line.starts_with("mode:") { format!("mode: {wanted}\n") } else { format!("{line}\n") };
    let data = BTreeMap::from([(CONFIG, config.lines().map(line).collect::<String>())]);
    let patched = config_maps(client).patch(NAME, &PatchParams::default(), &Patch::Merge(json!({"data": data}))).await;
    patched.context("patch the configuration of kube-proxy")?;
    let kubectl = |words: &str| CommandLine::new("kubectl --namespace").word(NAMESPACE).words(words);
    kubectl("rollout restart daemonset/kube-proxy").run().await?;
    kubectl("rollout status daemonset/kube-proxy --timeout=120s").run().await?;
    let log = kubectl("logs --selector k8s-app=kube-proxy --tail=-1");
    until(&format!("kube-proxy to be in {wanted} mode"), LIMIT, async || {
        // A pod of the last mode can still be listed when it is gone.
        let log = log.run().await.unwrap_or_default();
        Ok(log.contains(&format!("Using {wanted} Proxier")).then_some(()))
    })
    .await
}

fn config_maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), NAMESPACE)
}

async fn config(client: &Client) -> Result<String> {
    let found = config_maps(client).get(NAME).await.context("get the configuration of kube-proxy")?;
    found.data.and_then(|mut data| data.remove(CONFIG)).context("kube-proxy has no configuration")
}
