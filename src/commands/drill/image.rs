//! The image of the measuring container: Winddown's own, as the operator in the cluster has it.

use serde_json::Value;

use crate::cluster::lists::{Resource, Scope, Selection};
use crate::cluster::{Cluster, Error};

/// The chart's labels of the operator.
const OPERATOR: &str = "app.kubernetes.io/name=winddown,app.kubernetes.io/component=operator";
/// Where releases are published, as in the chart.
const PUBLISHED: &str = concat!("ghcr.io/winddown/winddown:", env!("CARGO_PKG_VERSION"));

/// The image of the operator in the cluster; without an operator, or the right to list its pods, the published one.
pub(super) async fn find(cluster: &Cluster) -> Result<String, Error> {
    let pods = Resource::namespaced("v1", "pods");
    let selection = Selection { scope: Scope::All, labels: Some(OPERATOR.to_owned()) };
    let mut image = None;
    let found = cluster.list(pods, &selection, |pod: Value| {
        let of_pod = pod.pointer("/spec/containers/0/image").and_then(Value::as_str);
        image = image.take().or(of_pod.map(str::to_owned));
    });
    match found.await {
        Err(error) if !error.is_forbidden() => Err(error),
        _ => Ok(image.unwrap_or_else(|| PUBLISHED.to_owned())),
    }
}
