//! The image of the measuring container: Winddown's own, as the operator in the cluster has it.

use crate::cluster::{Cluster, Error};
use crate::commands::check;

/// Where releases are published, as in the chart.
const PUBLISHED: &str = concat!("ghcr.io/winddown/winddown:", env!("CARGO_PKG_VERSION"));

/// The image of the operator in the namespace of the webhooks' Service, where only an administrator can write; without an
/// operator, or the right to find it, the published one. In the latter case, also the answer of the API server.
pub(super) async fn find(cluster: &Cluster) -> Result<(String, Option<String>), Error> {
    match check::operator_image(cluster).await {
        Ok(image) => Ok((image.unwrap_or_else(|| PUBLISHED.to_owned()), None)),
        Err(error) if error.is_forbidden() => Ok((PUBLISHED.to_owned(), Some(error.to_string()))),
        Err(error) => Err(error),
    }
}
