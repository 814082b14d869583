//! The measuring container: what is added to the pod, and whether the API server admits it.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::Status;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Error};
use winddown_core::drill::Candidate;
use winddown_core::sanitize::{escaped, truncated};

/// How long the container waits for SIGTERM.
pub(super) const WAIT_SECONDS: u64 = 60;
/// The longest reason that is shown, in characters.
const LONGEST: usize = 500;

/// Why there is no recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotStarted {
    /// The user, or the cluster, does not allow the container. The rest can be observed.
    NotAllowed(String),
    /// It does not work.
    Failed(String),
}

/// The container that is to join a pod.
pub(super) struct Container<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) pods: Api<Pod>,
    pub(super) candidate: &'a Candidate,
    image: &'a str,
}

impl<'a> Container<'a> {
    pub(super) fn new(cluster: &'a Cluster, namespace: &str, candidate: &'a Candidate, image: &'a str) -> Self {
        Self { cluster, pods: Api::namespaced(cluster.client.clone(), namespace), candidate, image }
    }

    /// Whether the API server would admit it. Where an admission webhook permits no dry run, this is not known, and counts
    /// as yes.
    pub(super) async fn dry_run(&self) -> Result<Result<(), NotStarted>, Error> {
        match self.free_name().await? {
            Ok(name) => self.send(&name, true).await,
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// A name that no ephemeral container of the pod has.
    pub(super) async fn free_name(&self) -> Result<Result<String, NotStarted>, Error> {
        let pod = &self.candidate.name;
        let current = match self.cluster.within(format!("read the pod {pod}"), self.pods.get(pod)).await {
            Ok(current) => current,
            Err(error) if error.is_not_found() => return Ok(Err(gone(pod))),
            Err(error) => return Err(error),
        };
        let earlier = current.spec.and_then(|spec| spec.ephemeral_containers).map_or(0, |containers| containers.len());
        Ok(Ok(format!("winddown-sample-{}", earlier + 1)))
    }

    /// Adds it under this name.
    pub(super) async fn add(&self, name: &str) -> Result<Result<(), NotStarted>, Error> {
        self.send(name, false).await
    }

    async fn send(&self, name: &str, dry_run: bool) -> Result<Result<(), NotStarted>, Error> {
        let pod = &self.candidate.name;
        let patch = Patch::Strategic(patch(name, self.image, self.candidate));
        let call = call(pod, dry_run);
        let parameters = PatchParams { dry_run, ..PatchParams::default() };
        let added = self.pods.patch_ephemeral_containers(pod, &parameters, &patch);
        match self.cluster.within(call, added).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.status().map(|status| (judge(status), status)) {
                Some((Judgement::Unknown, _)) if dry_run => Ok(Ok(())),
                Some((Judgement::NotAllowed, _)) => Ok(Err(NotStarted::NotAllowed(shown(&error.to_string())))),
                Some((Judgement::Gone, _)) => Ok(Err(gone(pod))),
                Some((Judgement::Unknown | Judgement::Wrong, _)) => {
                    Ok(Err(NotStarted::Failed(shown(&error.to_string()))))
                }
                Some((Judgement::Error, _)) | None => Err(error),
            },
        }
    }
}

/// The request, as in "cannot …".
pub(super) fn call(pod: &str, dry_run: bool) -> String {
    format!("add the measuring container to the pod {pod}{}", if dry_run { " (dry run)" } else { "" })
}

/// What an answer to the patch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// RBAC, Pod Security, an admission policy or a webhook does not allow it.
    NotAllowed,
    /// The pod is gone, or another one has its name.
    Gone,
    /// The container is not valid, for example its image.
    Wrong,
    /// An admission webhook with side effects is not asked in a dry run.
    Unknown,
    /// It says nothing about the container.
    Error,
}

fn judge(status: &Status) -> Judgement {
    let fields = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.field.as_str());
    match status.code {
        404 => Judgement::Gone,
        409 if status.message.contains("UID") => Judgement::Gone,
        // Another client changed the pod at the same time.
        409 => Judgement::Wrong,
        400 if status.message.contains("does not support dry run") => Judgement::Unknown,
        // The API server's own validation names fields; an admission policy or a webhook with this code does not.
        422 if fields.into_iter().any(|field| field.starts_with("spec.")) => Judgement::Wrong,
        400 | 403 | 405 | 413 | 422 => Judgement::NotAllowed,
        _ => Judgement::Error,
    }
}

/// An ephemeral container that the restricted Pod Security Standard allows
/// (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>). It shares the network of the pod, as all its
/// containers do, and nothing else: no processes (`targetContainerName`), no volume, and so no token.
fn patch(name: &str, image: &str, candidate: &Candidate) -> Value {
    let wait = WAIT_SECONDS.to_string();
    let node = candidate.node_addresses.iter().map(String::as_str).flat_map(|address| ["--node", address]);
    let args: Vec<&str> = ["sample", "--wait", &wait].into_iter().chain(node).collect();
    // With another UID the API server refuses the patch: the pod was replaced.
    json!({"metadata": {"uid": candidate.uid}, "spec": {"ephemeralContainers": [{
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }]}})
}

/// The pod is not there any more.
pub(super) fn gone(pod: &str) -> NotStarted {
    NotStarted::Failed(deleted(pod))
}

/// The sentence for a pod that vanished.
pub(super) fn deleted(pod: &str) -> String {
    format!("the pod {} was deleted in the meantime", escaped(pod))
}

pub(super) fn shown(text: &str) -> String {
    truncated(&escaped(text), LONGEST).into_owned()
}

#[cfg(test)]
mod tests {
    use winddown_core::drill::Promised;
    use winddown_core::duration::Seconds;
    use winddown_core::measurement::Subject;

    use super::*;

    fn candidate() -> Candidate {
        Candidate {
            name: "web-0".to_owned(),
            uid: "a-b".to_owned(),
            node: "node-1".to_owned(),
            node_addresses: vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()],
            ready: vec!["a-b".to_owned()],
            promised: Promised { hook: Some(Seconds::ZERO), deadline: None, grace_period: Seconds::new(30) },
            subject: Subject::default(),
            unmeasurable: None,
        }
    }

    #[test]
    fn the_container_has_no_rights_and_shares_only_the_network() {
        // Everything that is not here is absent: no command, environment, volume, port, target container or terminal.
        let expected = json!({"metadata": {"uid": "a-b"}, "spec": {"ephemeralContainers": [{
            "name": "winddown-sample-1",
            "image": "registry.example/winddown:1",
            "imagePullPolicy": "IfNotPresent",
            "args": ["sample", "--wait", "60", "--node", "10.0.0.1", "--node", "fd00::1"],
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }]}});
        assert_eq!(patch("winddown-sample-1", "registry.example/winddown:1", &candidate()), expected);
    }

    #[test]
    fn an_answer_says_whether_the_container_is_allowed_or_wrong_or_the_pod_gone() {
        for (code, message, field, expected) in [
            (403, "pods \"web-0\" is forbidden: violates PodSecurity \"restricted:latest\"", "", Judgement::NotAllowed),
            (422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "", Judgement::NotAllowed),
            (400, "admission webhook \"w\" denied the request: no", "", Judgement::NotAllowed),
            (400, "admission webhook \"w\" does not support dry run", "", Judgement::Unknown),
            (422, "Pod \"web-0\" is invalid", "spec.ephemeralContainers[0].image", Judgement::Wrong),
            (404, "pods \"web-0\" not found", "", Judgement::Gone),
            (409, "Precondition failed: UID in precondition: a, UID in object meta: b", "", Judgement::Gone),
            (
                409,
                "the object has been modified; please apply your changes to the latest version",
                "",
                Judgement::Wrong,
            ),
            (401, "Unauthorized", "", Judgement::Error),
            (429, "too many requests", "", Judgement::Error),
            (500, "internal error", "", Judgement::Error),
        ] {
            let causes = json!([{"reason": "FieldValueInvalid", "message": message, "field": field}]);
            let status = json!({"code": code, "message": message, "details": {"causes": causes}});
            assert_eq!(judge(&serde_json::from_value(status).unwrap()), expected, "{code} {message}");
        }
    }
}
