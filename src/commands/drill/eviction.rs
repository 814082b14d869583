//! Evicts through the eviction API, which respects disruption budgets. Nothing is retried here.

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

/// A part of the answer where several disruption budgets select the pod (`registry/core/pod/storage/eviction.go`).
const SEVERAL_BUDGETS: &str = "more than one PodDisruptionBudget";

/// Why a pod is not evicted.
pub(super) struct Refused {
    /// In the words of the API server, which name the disruption budget.
    pub(super) reason: String,
    /// A disruption budget does not allow it now.
    pub(super) may_pass: bool,
}

/// The evictions of a namespace.
pub(super) struct Evictions<'a> {
    cluster: &'a Cluster,
    pods: Api<Pod>,
}

impl<'a> Evictions<'a> {
    pub(super) fn new(cluster: &'a Cluster, namespace: &str) -> Self {
        Self { cluster, pods: Api::namespaced(cluster.client.clone(), namespace) }
    }

    /// Whether the API server would evict the pod.
    pub(super) async fn dry_run(&self, candidate: &Candidate) -> Result<Result<(), Refused>, Error> {
        self.send(candidate, true).await
    }

    /// Evicts the pod, if it is still the same.
    pub(super) async fn evict(&self, candidate: &Candidate) -> Result<Result<(), Refused>, Error> {
        self.send(candidate, false).await
    }

    async fn send(&self, candidate: &Candidate, dry_run: bool) -> Result<Result<(), Refused>, Error> {
        let Candidate { name, uid, .. } = candidate;
        let call = format!("evict the pod {name}{}", if dry_run { " (dry run)" } else { "" });
        // `Api::evict` of kube 5.0 sends `delete_options`, which the API server ignores: a dry run would be an eviction.
        let body = eviction(name, uid);
        let parameters = PostParams { dry_run, field_manager: None };
        let answer = self.pods.create_subresource::<_, Status>("eviction", name, &parameters, &body);
        match self.cluster.within(call, answer).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.status() {
                Some(status) if status.code == 404 || is_replaced(status) => {
                    Ok(Err(Refused { reason: deleted(name), may_pass: false }))
                }
                Some(status) if is_refusal(status) => {
                    Ok(Err(Refused { reason: refusal(status), may_pass: status.code == 429 }))
                }
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

/// Whether there is another pod of this name (`registry/generic/registry/store.go`, `storage/interfaces.go`).
fn is_replaced(status: &kube::core::Status) -> bool {
    status.code == 409
        && ["UID in the precondition", "UID in precondition"].iter().any(|text| status.message.contains(text))
}

/// Whether the pod is surely not evicted, for a reason that the answer names. 429: a disruption budget does not allow it. 409: a
/// conflict. 500: several budgets select the pod; any other 500, such as a timeout of etcd, says nothing about the eviction.
fn is_refusal(status: &kube::core::Status) -> bool {
    match status.code {
        409 | 429 => true,
        500 => status.message.contains(SEVERAL_BUDGETS),
        _ => false,
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

    use super::{eviction, is_refusal, is_replaced};

    #[test]
    fn an_answer_that_leaves_the_eviction_open_is_no_refusal() {
        for (code, message, expected) in [
            (429, "Cannot evict pod as it would violate the pod's disruption budget.", true),
            (409, "Precondition failed: UID in precondition", true),
            (
                500,
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                true,
            ),
            (500, "etcdserver: request timed out", false),
            (504, "Timeout: request did not complete within the allotted timeout", false),
        ] {
            let status = kube::core::Status { code, message: message.to_owned(), ..kube::core::Status::default() };
            assert_eq!(is_refusal(&status), expected, "{code} {message}");
        }
    }

    #[test]
    fn another_pod_of_the_same_name_is_a_replacement() {
        let status = |code, message: &str| kube::core::Status {
            code,
            message: message.to_owned(),
            ..kube::core::Status::default()
        };
        for (message, expected) in [
            ("Precondition failed: UID in precondition: 1, UID in object meta: 2", true),
            ("the UID in the precondition (1) does not match the UID in record (2)", true),
            ("the object has been modified; please apply your changes to the latest version", false),
        ] {
            assert_eq!(is_replaced(&status(409, message)), expected, "{message}");
            assert!(!is_replaced(&status(429, message)), "{message}");
        }
    }

    #[test]
    fn only_the_pod_with_the_uid_is_evicted() {
        let sent = serde_json::to_value(eviction("web-1", "a-b")).unwrap();
        assert_eq!(sent["deleteOptions"]["preconditions"], json!({"uid": "a-b"}), "{sent}");
        assert_eq!((&sent["kind"], &sent["metadata"]["name"]), (&json!("Eviction"), &json!("web-1")), "{sent}");
    }
}
