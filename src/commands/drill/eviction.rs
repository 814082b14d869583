//! Evicts through the eviction API, which respects disruption budgets. Nothing is retried.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions, Status};
use kube::Api;
use kube::api::PostParams;

use super::container::deleted;
use crate::cluster::{Cluster, Error};
use winddown_core::drill::Candidate;
use winddown_core::sanitize::{escaped, truncated};

/// The longest answer that is shown, in characters.
const LONGEST: usize = 500;

/// The evictions of a namespace.
pub(super) struct Evictions<'a> {
    cluster: &'a Cluster,
    pods: Api<Pod>,
}

impl<'a> Evictions<'a> {
    pub(super) fn new(cluster: &'a Cluster, namespace: &str) -> Self {
        Self { cluster, pods: Api::namespaced(cluster.client.clone(), namespace) }
    }

    /// Whether the API server would evict the pod; if a disruption budget does not allow it, the answer that names it.
    pub(super) async fn dry_run(&self, candidate: &Candidate) -> Result<Result<(), String>, Error> {
        self.send(candidate, true).await
    }

    /// Evicts the pod, if it is still the same.
    pub(super) async fn evict(&self, candidate: &Candidate) -> Result<Result<(), String>, Error> {
        self.send(candidate, false).await
    }

    async fn send(&self, candidate: &Candidate, dry_run: bool) -> Result<Result<(), String>, Error> {
        let Candidate { name, uid, .. } = candidate;
        let call = format!("evict the pod {name}{}", if dry_run { " (dry run)" } else { "" });
        // `Api::evict` of kube 5.0 sends `delete_options`, which the API server ignores: a dry run would be an eviction.
        let body = eviction(name, uid);
        let parameters = PostParams { dry_run, field_manager: None };
        let answer = self.pods.create_subresource::<_, Status>("eviction", name, &parameters, &body);
        match self.cluster.within(call, answer).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.status() {
                Some(status) if status.code == 404 => Ok(Err(deleted(name))),
                // 429: a disruption budget does not allow it. 500: several select the pod. 409: it was replaced.
                Some(status) if [409, 429, 500].contains(&status.code) => Ok(Err(refusal(status))),
                _ => Err(error),
            },
        }
    }
}

/// An eviction of the pod with this UID only.
fn eviction(name: &str, uid: &str) -> Eviction {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), ..Preconditions::default() };
    Eviction {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        delete_options: Some(DeleteOptions { preconditions: Some(preconditions), ..DeleteOptions::default() }),
    }
}

/// The API server's own words, with the causes, which name the disruption budget.
fn refusal(status: &kube::core::Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.message.as_str());
    let text = std::iter::once(status.message.as_str()).chain(causes).collect::<Vec<_>>().join(" ");
    truncated(&escaped(&text), LONGEST).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::eviction;

    #[test]
    fn only_the_pod_with_the_uid_is_evicted() {
        let sent = serde_json::to_value(eviction("web-1", "a-b")).unwrap();
        assert_eq!(sent["deleteOptions"]["preconditions"], json!({"uid": "a-b"}), "{sent}");
        assert_eq!((&sent["kind"], &sent["metadata"]["name"]), (&json!("Eviction"), &json!("web-1")), "{sent}");
    }
}
