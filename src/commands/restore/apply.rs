//! The requests: reading the workloads, and patching them.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::Value;
use tokio::time::sleep;

use super::target::{State, Target, is_injected};
use crate::cluster::lists::Selection;
use crate::cluster::workloads::{WorkloadName, resource};
use crate::cluster::{Cluster, Error};
use winddown_core::kind::Kind;

/// The name of this client in `managedFields`.
const MANAGER: &str = "kubectl-winddown";
/// How often a workload is read after a patch without an answer, and the time between: a load balancer may need some.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Why a workload was not restored. Each is the end of a sentence that begins with the workload.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unrestored {
    #[error("was not restored")]
    Refused(#[source] Error),
    #[error("was not restored: it changed since it was read; run the command again")]
    Changed,
    #[error("was deleted in the meantime: there is nothing to restore")]
    Deleted,
    #[error("was deleted and created again in the meantime: the new one was not changed; run the command again")]
    Replaced,
    /// Of a real patch: the template may have changed, and these annotations of the user were removed.
    #[error("was changed, and Winddown injected again{}", and_removed(removed))]
    InjectedAgain { removed: Vec<String> },
    /// There was no answer, and the workload is as before.
    #[error("is not restored so far, and the API server may still do it; `{look}` shows it")]
    Unanswered {
        look: String,
        #[source]
        error: Error,
    },
    /// There was no answer, and the workload cannot be read.
    #[error("may be restored or not; `{look}` shows it")]
    Unknown {
        look: String,
        #[source]
        error: Error,
    },
}

impl Unrestored {
    /// Whether the patch was or may still be carried out, so that a rollout may start.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::InjectedAgain { .. } | Self::Unanswered { .. } | Self::Unknown { .. })
    }
}

/// What was changed although Winddown injected again, as the end of a sentence.
fn and_removed(removed: &[String]) -> String {
    if removed.is_empty() { String::new() } else { format!("; removed were {}", removed.join(", ")) }
}

/// Reads one workload.
pub(super) async fn read(cluster: &Cluster, namespace: &str, workload: &WorkloadName) -> Result<Value, Error> {
    let call = format!("read {} in the namespace {namespace}", workload.qualified());
    cluster.read(call, &format!("{}/{}", workload.kind.path(namespace), workload.name)).await
}

/// Reads all workloads of a selection that are wanted, each with its kind.
pub(super) async fn read_all(
    cluster: &Cluster,
    selection: &Selection,
    mut is_wanted: impl FnMut(&Value) -> bool,
) -> Result<Vec<(Kind, Value)>, Error> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let each = |workload: Value| {
            if is_wanted(&workload) {
                found.push((kind, workload));
            }
        };
        cluster.list(resource(kind), selection, each).await?;
    }
    Ok(found)
}

/// Sends the patch as a dry run, which shows whether Winddown would inject again, and whether the user may patch.
pub(super) async fn dry_run(cluster: &Cluster, target: &Target) -> Result<(), Unrestored> {
    let again = match dry_run_once(cluster, target).await {
        Err(Unrestored::Changed) => renewed(cluster, target).await.ok_or(Unrestored::Changed)?,
        answer => return answer,
    };
    dry_run_once(cluster, &again).await
}

async fn dry_run_once(cluster: &Cluster, target: &Target) -> Result<(), Unrestored> {
    match patch(cluster, target, true).await {
        Ok(patched) if is_injected(&patched) => Err(Unrestored::InjectedAgain { removed: Vec::new() }),
        Ok(_) => Ok(()),
        Err(error) => Err(refusal(cluster, target, error).await),
    }
}

/// Sends the patch. If its answer is lost, the workload is read again: where it turns out to be restored, the result is why
/// there was no answer.
///
/// Where the workload changed since it was read, and what is to be removed is the same, it is patched as it is now: all are
/// read before the question, and rollouts of others may take long.
pub(super) async fn restore(cluster: &Cluster, target: &Target) -> Result<Option<Error>, Unrestored> {
    let again = match restore_once(cluster, target).await {
        Err(Unrestored::Changed) => renewed(cluster, target).await.ok_or(Unrestored::Changed)?,
        restored => return restored,
    };
    restore_once(cluster, &again).await
}

/// Reads a workload that changed. `None` if it can no longer be restored as it was shown, or cannot be read.
async fn renewed(cluster: &Cluster, target: &Target) -> Option<Target> {
    target.renewed(read(cluster, &target.namespace, &target.workload).await.ok()?)
}

async fn restore_once(cluster: &Cluster, target: &Target) -> Result<Option<Error>, Unrestored> {
    let error = match patch(cluster, target, false).await {
        Ok(patched) if is_injected(&patched) => {
            return Err(Unrestored::InjectedAgain { removed: target.removed_from(&patched) });
        }
        Ok(_) => return Ok(None),
        Err(error) if is_lost(&error) => error,
        Err(error) => return Err(refusal(cluster, target, error).await),
    };
    let look = target.workload.shown_by(&target.namespace);
    let mut looks = 1;
    loop {
        return match look_again(cluster, target).await {
            Ok(State::Restored) => Ok(Some(error)),
            Ok(State::Unrestored) => Err(Unrestored::Unanswered { look, error }),
            Ok(State::Deleted) => Err(Unrestored::Deleted),
            Ok(State::Replaced) => Err(Unrestored::Replaced),
            Err(again) if looks < LOOKS && is_lost(&again) => {
                looks += 1;
                sleep(BETWEEN_LOOKS).await;
                continue;
            }
            Err(_) => Err(Unrestored::Unknown { look, error }),
        };
    }
}

async fn patch(cluster: &Cluster, target: &Target, is_dry_run: bool) -> Result<Value, Error> {
    let parameters =
        PatchParams { dry_run: is_dry_run, field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let Target { namespace, workload, .. } = target;
    let call = format!("patch {} in the namespace {namespace}", workload.qualified());
    let patch = Patch::<()>::Json(target.patch());
    let request = Request::new(workload.kind.path(namespace)).patch(&workload.name, &parameters, &patch);
    let request = request.map_err(|error| Error::new(&call, kube::Error::BuildRequest(error)))?;
    cluster.within(call, cluster.client.request(request)).await
}

/// Why the API server refused the patch. That its guards failed can have several causes.
async fn refusal(cluster: &Cluster, target: &Target, error: Error) -> Unrestored {
    if error.is_not_found() {
        return Unrestored::Deleted;
    }
    if !is_failed_test(&error) {
        return Unrestored::Refused(error);
    }
    match look_again(cluster, target).await {
        Ok(State::Deleted) => Unrestored::Deleted,
        Ok(State::Replaced) => Unrestored::Replaced,
        _ => Unrestored::Changed,
    }
}

/// What is true of a workload now.
async fn look_again(cluster: &Cluster, target: &Target) -> Result<State, Error> {
    match read(cluster, &target.namespace, &target.workload).await {
        Ok(now) => Ok(target.state(&now)),
        Err(error) if error.is_not_found() => Ok(State::Deleted),
        Err(error) => Err(error),
    }
}

/// Whether a request may have been carried out: there was no answer, or one of a proxy or of a time limit in the API server.
/// A time limit of etcd is answered with 500.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Failed { .. } | Error::TimedOut { .. } => true,
        Error::Refused { status, .. } => matches!(status.code, 500 | 502..=504),
        _ => false,
    }
}

/// A JSON patch whose `test` fails is answered like this (measured on 1.37); a rejection by a webhook has a text of its own.
fn is_failed_test(error: &Error) -> bool {
    let is_of_patch = |message: &str| message.contains("the server rejected our request");
    error.status().is_some_and(|status| status.code == 422 && is_of_patch(&status.message))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn where_winddown_injected_again_a_rollout_may_run_and_the_removed_annotations_are_named() {
        let again = |removed: &[&str]| {
            let removed = removed.iter().map(|&key| key.to_owned()).collect();
            Unrestored::InjectedAgain { removed }
        };
        assert!(again(&[]).is_open() && !Unrestored::Changed.is_open() && !Unrestored::Deleted.is_open());
        assert_eq!(again(&[]).to_string(), "was changed, and Winddown injected again");
        let text = again(&["winddown.dev/drain", "winddown.dev/deadline"]).to_string();
        assert!(text.ends_with("injected again; removed were winddown.dev/drain, winddown.dev/deadline"), "{text}");
    }

    #[test]
    fn a_request_without_an_answer_or_with_one_about_the_server_may_have_been_carried_out() {
        let answered = |code| {
            let status = Status::failure("no", "x").with_code(code);
            Error::new("patch", kube::Error::Api(Box::new(status)))
        };
        for code in [400, 403, 404, 409, 422, 429] {
            assert!(!is_lost(&answered(code)), "{code}");
        }
        for code in [500, 502, 503, 504] {
            assert!(is_lost(&answered(code)), "{code}");
        }
        assert!(is_lost(&Error::TimedOut { call: "patch".to_owned(), limit: Duration::from_secs(1) }));
    }
}
