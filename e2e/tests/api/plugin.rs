//! `kubectl winddown status`, `check`, `restore` and `drill` on a cluster with a running operator.

mod bad_input;
mod check;
mod flags;
mod operator_left_out;
pub(crate) mod proxy;
mod restore;
pub(crate) mod rights;
mod status;
mod watch;

use anyhow::Result;
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::request::merge;
use crate::suite::Test;

pub(crate) fn tests() -> Vec<Test> {
    [
        status::tests(),
        watch::tests(),
        check::tests(),
        restore::tests(),
        operator_left_out::tests(),
        rights::tests(),
        bad_input::tests(),
        flags::tests(),
    ]
    .concat()
}

/// The pods of a Deployment.
async fn pods(namespace: &Namespace, deployment: &str) -> Result<Vec<Value>> {
    let mut pods = namespace.list("v1", "pods").await?;
    pods.retain(|pod| pod["metadata"]["labels"]["app"] == deployment);
    Ok(pods)
}

/// Reports the pods of a Deployment as ready, as a kubelet would. They are on no node, so that a deletion removes them.
async fn report_ready(namespace: &Namespace, deployment: &str) -> Result<()> {
    for pod in pods(namespace, deployment).await? {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("/api/v1/namespaces/{}/pods/{name}/status", namespace.name);
        let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        // The controller may have removed it.
        namespace.send(merge(&path, ready)).await?;
    }
    Ok(())
}
