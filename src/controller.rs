//! The controller: brings Deployments that the webhook missed to plan, and reports.

pub mod lease;

use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Who and where this replica is.
#[derive(Clone, Debug)]
pub struct Own {
    /// The operator's namespace.
    pub namespace: String,
    /// This replica's pod.
    pub pod: String,
}

/// Runs until shutdown; works only while this replica leads.
pub async fn run(client: Client, leading: watch::Receiver<bool>, shutdown: CancellationToken, own: Own) {
    // PLACEHOLDER: the reconciler goes here.
    let _ = (client, leading, own);
    shutdown.cancelled().await;
}
