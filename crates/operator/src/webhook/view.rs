//! What a review sees of the cluster: what governs the workloads of the namespace that its request names.

use std::time::Duration;

use crate::cluster::{Cluster, labelled};
use winddown_core::policy::Governing;
use winddown_core::review::{Answer, Request, ReviewError, Scope};

/// How long a review waits for the labels of a namespace that the watch has not reported yet. A webhook of the chart has
/// five seconds, and its answer takes little more.
const NAMESPACE_LIMIT: Duration = Duration::from_secs(2);

/// [`winddown_core::review::mutate`] or [`winddown_core::review::validate`].
type Decide = fn(&Request<'_>, Scope<'_>) -> Result<Answer, ReviewError>;

/// The outcome of a review.
pub(super) enum Reviewed {
    /// It is complete.
    Answered(Answer),
    /// The labels of this namespace are not known. Then [`View::read`] reads them, once.
    NeedsNamespace(String),
}

/// The cluster for one review.
#[derive(Clone)]
pub(super) struct View {
    cluster: Cluster,
    /// Whether the API server selected the workload by the label of its namespace. Its labels are newer than those of the watch.
    opted_in: bool,
    /// Whether the namespace was read, successfully or not.
    read: bool,
}

impl View {
    pub(super) fn new(cluster: Cluster, opted_in: bool) -> Self {
        Self { cluster, opted_in, read: false }
    }

    /// Reads a namespace. If that fails, the review does not wait again.
    pub(super) async fn read(&mut self, namespace: &str) {
        self.read = true;
        let _ = self.cluster.read_namespace(namespace, NAMESPACE_LIMIT).await;
    }

    pub(super) fn review(&self, body: &[u8], decide: Decide) -> Result<Reviewed, ReviewError> {
        let request = Request::read(body)?;
        let policies = &self.cluster.policies;
        let scope = match self.cluster.namespace(request.namespace()) {
            Some(namespace) => Scope::new(self.governing(policies.for_namespace(&namespace))),
            None if !self.read => return Ok(Reviewed::NeedsNamespace(request.namespace().to_owned())),
            None => {
                let only_named = labelled(request.namespace(), Default::default());
                Scope::without_labels(self.governing(policies.for_namespace(&only_named)))
            }
        };
        decide(&request, scope).map(Reviewed::Answered)
    }

    fn governing<'a>(&self, Governing { policy, opted_in }: Governing<'a>) -> Governing<'a> {
        Governing { policy, opted_in: opted_in || self.opted_in }
    }
}
