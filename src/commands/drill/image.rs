//! The image of the measuring container: Winddown's own, as the operator in the cluster has it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cluster::lists::{Resource, Scope, Selection};
use crate::cluster::{Cluster, Error};
use winddown_core::sanitize::listed;

/// The chart's labels of the operator.
const OPERATOR: &str = "app.kubernetes.io/name=winddown,app.kubernetes.io/component=operator";
/// Where releases are published, as in the chart.
const PUBLISHED: &str = concat!("ghcr.io/winddown/winddown:", env!("CARGO_PKG_VERSION"));

/// The argument that only the operator has.
const ARGUMENT: &str = "--lease-name";

/// The image of the operator in the cluster; without an operator, or the right to list its pods, the published one. In that case,
/// also the answer of the API server. Anybody can set the labels, so that with several images the user has to choose.
pub(super) async fn find(cluster: &Cluster) -> Result<(String, Option<String>), Error> {
    let pods = Resource::namespaced("v1", "pods");
    let selection = Selection { scope: Scope::All, labels: Some(OPERATOR.to_owned()) };
    let mut images = BTreeSet::new();
    match cluster.list(pods, &selection, |pod: Value| images.extend(image(&pod))).await {
        Err(error) if error.is_forbidden() => return Ok((PUBLISHED.to_owned(), Some(error.to_string()))),
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    match images.len() {
        0 => Ok((PUBLISHED.to_owned(), None)),
        1 => Ok((images.pop_first().unwrap_or_default(), None)),
        _ => Err(Error::SeveralImages(listed(images.iter().map(String::as_str)))),
    }
}

fn image(pod: &Value) -> Option<String> {
    let containers = pod.pointer("/spec/containers")?.as_array()?;
    let is_operator = |container: &&Value| {
        let arguments = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
        arguments.into_iter().any(|argument| argument.starts_with(ARGUMENT))
    };
    containers.iter().find(is_operator)?["image"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::image;

    #[test]
    fn the_image_is_that_of_the_container_with_the_operator() {
        let proxy = json!({"image": "proxy:1", "args": ["run"]});
        let operator = json!({"image": "winddown:1", "args": ["run", "--lease-name=winddown"]});
        assert_eq!(image(&json!({"spec": {"containers": [proxy, operator]}})), Some("winddown:1".to_owned()));
        assert_eq!(image(&json!({"spec": {"containers": [proxy]}})), None);
    }
}
