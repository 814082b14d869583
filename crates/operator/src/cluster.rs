//! What every replica knows of the cluster besides workloads.

use std::sync::Arc;
use std::time::Duration;

use crate::namespaces::Namespaces;
use crate::policies::{CurrentPolicies, Governed};
use winddown_core::policy::Namespace;

/// How long the controllers wait for the list of namespaces, and for that of the policies without saying so.
const LIST_LIMIT: Duration = Duration::from_secs(30);

/// Shared by the webhooks and the controller: both have to resolve a declaration to the same numbers.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) policies: CurrentPolicies,
    pub(crate) governed: Arc<Governed>,
}

impl Cluster {
    /// Without watches, and with the built-in policy.
    #[cfg(test)]
    pub(crate) fn unwatched(client: kube::Client) -> Self {
        let clients = crate::kubernetes::Clients { short: client.clone(), watching: client };
        let namespaces = Arc::new(Namespaces::new(&clients, |_, _| true).0);
        Self { namespaces, policies: CurrentPolicies::built_in(), governed: Arc::default() }
    }

    /// Waits until the policies are listed, and a while for the namespaces: each of them can also be waited for later.
    pub(crate) async fn listed(&self) {
        let namespaces = tokio::time::timeout(LIST_LIMIT, self.namespaces.listed());
        let policies = async {
            if tokio::time::timeout(LIST_LIMIT, self.policies.listed()).await.is_err() {
                tracing::warn!("no workload is updated until the ShutdownPolicies are listed");
                self.policies.listed().await;
                tracing::info!("the ShutdownPolicies are listed");
            }
        };
        let ((), _) = futures::join!(policies, namespaces);
    }

    /// A namespace; `None` until its labels are known.
    pub(crate) fn namespace(&self, name: &str) -> Option<Namespace> {
        Some(Namespace::labelled(name, self.namespaces.labels(name)?))
    }

    /// The same after one read of a namespace that is not known; `None` if that fails or takes longer than `limit`.
    pub(crate) async fn read_namespace(&self, name: &str, limit: Duration) -> Option<Namespace> {
        Some(Namespace::labelled(name, self.namespaces.read(name, limit).await?))
    }
}
