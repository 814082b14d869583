//! Restores one workload after the other, and waits for each rollout.

use std::io::{self, Write};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::apply;
use super::target::Target;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use crate::message::message;
use crate::render::sanitize::sanitize;
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::rollout::{is_in_progress, is_stuck, updated, wanted};

/// Time between two looks at a rollout.
const INTERVAL: Duration = Duration::from_secs(1);
/// Progress that does not change is printed again after this time.
const REPEAT: Duration = Duration::from_mins(1);

/// Why the end of a rollout was not seen.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error("the rollout did not end within {} s{}", limit.as_secs(), unread(last.as_ref()))]
    Lasts { limit: Duration, last: Option<Error> },
    #[error("the rollout makes no progress, and its progressDeadlineSeconds are over")]
    Stuck,
    #[error("it was deleted during its rollout")]
    Deleted,
    #[error("it was deleted and created again during its rollout, and the new one was not changed")]
    Replaced,
    #[error("its rollout cannot be watched")]
    Unreadable(#[source] Error),
}

/// The last look at a rollout, if it failed.
fn unread(last: Option<&Error>) -> String {
    last.map(|error| format!(", and at the end, it could not be read: {}", ErrorChain(error))).unwrap_or_default()
}

/// Restores the targets. A failure of one does not keep the others, unless a rollout that is waited for is open.
pub(super) async fn restore(
    cluster: &Cluster,
    targets: &[Target],
    wait: Option<Duration>,
    mut exit: Exit,
) -> Result<Exit, Error> {
    for (index, target) in targets.iter().enumerate() {
        let (title, left) = (target.title(), targets.len() - index - 1);
        match apply::restore(cluster, target).await {
            Ok(None) => {}
            Ok(Some(error)) => message!(
                "winddown: {title} is restored, as reading it again shows; {}",
                sanitize(&ErrorChain(&error).to_string())
            ),
            Err(error) => {
                message!("winddown: {title} {}", sanitize(&ErrorChain(&error).to_string()));
                exit = Exit::Unusable;
                if wait.is_some() && error.is_open() && left > 0 {
                    message!("winddown: {}", unchanged(left));
                    return Ok(exit);
                }
                continue;
            }
        }
        if let Err(error) = writeln!(io::stdout().lock(), "{}", restored(target)) {
            message!("winddown: {title} was restored, but the output is closed{}", and_unchanged(left));
            return Err(error.into());
        }
        let Some(limit) = wait.filter(|_| target.rolls_out()) else { continue };
        let counted = if targets.len() > 1 { format!("{} of {}: ", index + 1, targets.len()) } else { String::new() };
        let Err(error) = until_replaced(cluster, target, &counted, limit).await else { continue };
        let goes_on = matches!(error, Unfinished::Deleted | Unfinished::Replaced);
        let rest = if goes_on { String::new() } else { and_unchanged(left) };
        message!("winddown: {title}: {}{rest}", sanitize(&ErrorChain(&error).to_string()));
        exit = Exit::Unusable;
        if !goes_on {
            return Ok(exit);
        }
    }
    Ok(exit)
}

/// The line of a workload whose patch was carried out.
pub(super) fn restored(target: &Target) -> String {
    format!("{} restored", target.title())
}

fn and_unchanged(left: usize) -> String {
    if left == 0 { String::new() } else { format!("; {}", unchanged(left)) }
}

fn unchanged(left: usize) -> String {
    match left {
        1 => "the workload after it was not changed".to_owned(),
        _ => format!("the {left} workloads after it were not changed"),
    }
}

/// Waits until the pods of a workload are replaced. A look that gets no answer is repeated.
async fn until_replaced(cluster: &Cluster, target: &Target, counted: &str, limit: Duration) -> Result<(), Unfinished> {
    let kind = target.workload.kind;
    let start = Instant::now();
    let mut shown = (String::new(), start);
    loop {
        let last = match apply::read(cluster, &target.namespace, &target.workload).await {
            Err(error) if error.is_not_found() => return Err(Unfinished::Deleted),
            Err(error) if error.status().is_some_and(|status| matches!(status.code, 401 | 403)) => {
                return Err(Unfinished::Unreadable(error));
            }
            Err(error) => Some(error),
            Ok(workload) if !target.is_of(&workload) => return Err(Unfinished::Replaced),
            Ok(workload) if is_over(kind, &workload) => {
                if is_stuck(kind, &workload) {
                    return Err(Unfinished::Stuck);
                }
                if let Some(left) = left_to_the_user(target, &workload) {
                    message!("winddown: {}: {left}", target.title());
                }
                return Ok(());
            }
            Ok(workload) => {
                let progress = progress(updated(kind, &workload), wanted(kind, &workload));
                // A rollout that ends within the first interval needs no line.
                let is_new = progress != shown.0 && start.elapsed() >= INTERVAL;
                if is_new || shown.1.elapsed() >= REPEAT {
                    message!("{counted}{}: {progress}", target.title());
                    shown = (progress, Instant::now());
                }
                None
            }
        };
        if start.elapsed() >= limit {
            return Err(Unfinished::Lasts { limit, last });
        }
        sleep(INTERVAL).await;
    }
}

/// Whether no pod is replaced any more.
fn is_over(kind: Kind, workload: &serde_json::Value) -> bool {
    let is_observed = workload.pointer("/status/observedGeneration") == workload.pointer("/metadata/generation");
    is_observed && (Object::new(workload).is_deleted() || !is_in_progress(kind, workload))
}

/// What has to be done by hand before the pods that keep the injected fields are replaced, where no rollout does it.
fn left_to_the_user(target: &Target, workload: &serde_json::Value) -> Option<String> {
    let (kind, name) = (target.workload.kind, &target.workload);
    let (updated, wanted) = (updated(kind, workload), wanted(kind, workload));
    if Object::new(workload).is_deleted() || updated >= wanted {
        return None;
    }
    let how = match kind {
        Kind::Deployment => format!("after `kubectl rollout resume {name} -n {}`", target.namespace),
        Kind::StatefulSet => "when they are deleted by hand, or after its partition is lowered".to_owned(),
        Kind::DaemonSet => "when they are deleted by hand".to_owned(),
    };
    Some(format!("{updated} of {wanted} pods are updated; the others are replaced only {how}"))
}

fn progress(updated: usize, wanted: usize) -> String {
    let rest = if updated < wanted { "" } else { ", not all are available, or old ones still stop" };
    format!("{updated} of {wanted} pods are updated{rest}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use winddown_core::kind::Kind;

    use super::{Target, and_unchanged, is_over, left_to_the_user, progress};

    #[test]
    fn pods_that_no_rollout_replaces_are_left_to_the_user() {
        let of = |kind: Kind, spec: &Value, updated: u32| {
            let mut object = json!({
                "metadata": {"name": "web", "namespace": "shop", "generation": 2,
                    "annotations": {"winddown.dev/drain": "5s"}},
                "spec": {"replicas": 3, "template": {"spec": {"containers": []}}},
                "status": {"observedGeneration": 2, "updatedReplicas": updated, "availableReplicas": 3, "desiredNumberScheduled": 3,
                    "updatedNumberScheduled": updated},
            });
            object["spec"].as_object_mut().unwrap().extend(spec.as_object().cloned().unwrap());
            assert!(is_over(kind, &object), "{object}");
            left_to_the_user(&Target::of(kind, object.clone(), true).unwrap().unwrap(), &object)
        };
        let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
        let partition = json!({"updateStrategy": {"rollingUpdate": {"partition": 2}}});
        for (kind, spec, updated, text) in [
            (Kind::Deployment, json!({"paused": true}), 0, "after `kubectl rollout resume deployment/web -n shop`"),
            (Kind::StatefulSet, on_delete.clone(), 1, "when they are deleted by hand"),
            (Kind::StatefulSet, partition, 1, "after its partition is lowered"),
            (Kind::DaemonSet, on_delete.clone(), 2, "when they are deleted by hand"),
        ] {
            let left = of(kind, &spec, updated).unwrap();
            let counted = format!("{updated} of 3 pods are updated; the others are replaced only ");
            assert!(left.starts_with(&counted) && left.contains(text), "{left}");
        }
        assert_eq!(of(Kind::DaemonSet, &on_delete, 3), None);
    }

    #[test]
    fn what_is_left_is_counted() {
        assert_eq!(and_unchanged(0), "");
        assert_eq!(and_unchanged(1), "; the workload after it was not changed");
        assert_eq!(and_unchanged(3), "; the 3 workloads after it were not changed");
    }

    #[test]
    fn progress_says_what_is_waited_for_after_the_last_pod() {
        assert_eq!(progress(1, 3), "1 of 3 pods are updated");
        assert_eq!(progress(3, 3), "3 of 3 pods are updated, not all are available, or old ones still stop");
    }
}
