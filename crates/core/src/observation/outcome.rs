//! How a container stopped.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::duration::Seconds;
use crate::observation::Terminated;

/// How a container, or the app of a pod, stopped. The order is by weight: what is later in it decides for the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// In time and with success: exit code 0, 143 (SIGTERM; also a JVM after its shutdown hooks) or 130 (SIGINT).
    Clean,
    /// It cannot be known.
    Unknown(Unseen),
    /// In time, with another exit code.
    Failed,
    /// SIGKILL before the end of the grace period: by a process in the pod, the runtime or a user.
    KilledOtherwise,
    /// Out of memory.
    OutOfMemory,
    /// SIGKILL at the end of a grace period that a caller or the kubelet shortened.
    CutShort,
    /// SIGKILL at the end of the pod's own grace period.
    Killed,
}

/// What was not seen of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unseen {
    /// The deletion request.
    Request,
    /// The end: it came while no watch was connected.
    End,
    /// The end: the pod was removed from the API before.
    Forced,
    /// The end: the node was gone.
    Node,
    /// The status of the container: kubelet or runtime lost it.
    Status,
    /// The time of the end: the clocks of node and API server disagree.
    Clocks,
}

/// Whether the app honoured its promise to exit in time. The order is by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Promise {
    /// The end says nothing about the app: node, memory, a shorter grace period of a caller, or not seen.
    NotJudged,
    /// It exited in time. Stored statuses have the name `Kept`.
    #[serde(rename = "Kept")]
    Honoured,
    /// It exited by itself, but after its deadline.
    Overran,
    /// It exited in time, but failed.
    Failed,
    /// It was killed at the end of the grace period.
    Killed,
}

/// Who asked a pod to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A deletion, with the smallest grace period that was asked for.
    Api { grace: Seconds, own: Seconds },
    /// The kubelet, with a grace period of its own and no deletion.
    Kubelet,
    /// A deletion that was not seen.
    Unseen,
}

impl Outcome {
    /// The name in metrics and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "Clean",
            Self::Unknown(_) => "Unknown",
            Self::Failed => "Failed",
            Self::KilledOtherwise => "KilledOtherwise",
            Self::OutOfMemory => "OutOfMemory",
            Self::CutShort => "CutShort",
            Self::Killed => "Killed",
        }
    }

    /// The outcome of a terminated container. `after` is the time of its end after the request, if it is known.
    pub(crate) fn of(end: &Terminated, request: Request, after: Option<i64>) -> Self {
        let reason = end.reason.as_deref().unwrap_or_default();
        let lost = matches!(reason, "ContainerStatusUnknown" | "Unknown") || matches!(end.exit_code, 255 | -1);
        if lost || end.finished_at.is_none() {
            return Self::Unknown(Unseen::Status);
        }
        let out_of_memory = reason == "OOMKilled";
        match (end.exit_code, request) {
            (_, Request::Unseen) => Self::Unknown(Unseen::Request),
            (SIGKILL, Request::Api { grace, own }) => match after {
                // Times have whole seconds.
                Some(after) if after >= grace.as_i64() - 1 && grace < own => Self::CutShort,
                Some(after) if after >= grace.as_i64() - 1 => Self::Killed,
                _ if out_of_memory => Self::OutOfMemory,
                Some(_) => Self::KilledOtherwise,
                None => Self::Unknown(Unseen::Clocks),
            },
            (SIGKILL, Request::Kubelet) => {
                if out_of_memory {
                    Self::OutOfMemory
                } else {
                    Self::CutShort
                }
            }
            (0 | 143 | 130, _) => Self::Clean,
            // The reason stays if the app outlives an OOM kill of another process in its container (containerd,
            // `cri/server/events.go`), so it counts only with a failure.
            _ if out_of_memory => Self::OutOfMemory,
            _ => Self::Failed,
        }
    }
}

/// The exit code after SIGKILL.
const SIGKILL: i32 = 137;

impl fmt::Display for Outcome {
    /// `Killed`, `Unknown (status lost)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        if let Self::Unknown(unseen) = self { write!(f, " ({unseen})") } else { Ok(()) }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "deletion request not seen",
            Self::End => "end not seen",
            Self::Forced => "removed before its end",
            Self::Node => "node lost",
            Self::Status => "status lost",
            Self::Clocks => "clocks disagree",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Outcome, Request, Seconds, Terminated, Unseen};

    fn outcome(exit_code: i32, reason: &str, request: Request, after: Option<i64>) -> Outcome {
        let end = json!({"exitCode": exit_code, "reason": reason, "finishedAt": "2026-01-31T21:00:03Z"});
        let end: Terminated = serde_json::from_value(end).unwrap();
        Outcome::of(&end, request, after)
    }

    #[test]
    fn the_time_decides_and_not_the_exit_code() {
        use Outcome::{Clean, CutShort, Failed, Killed, KilledOtherwise, OutOfMemory, Unknown};
        let (own, short) = (Seconds::new(15), Seconds::new(3));
        let full = Request::Api { grace: own, own };
        let by_caller = Request::Api { grace: short, own };
        for (exit_code, reason, request, after, expected) in [
            (0, "Completed", full, Some(5), Clean),
            (143, "Error", full, Some(6), Clean),
            (130, "Error", full, Some(6), Clean),
            (1, "Error", full, Some(6), Failed),
            (2, "Error", full, Some(14), Failed),
            (0, "Completed", full, Some(20), Clean),
            (137, "Error", full, Some(15), Killed),
            (137, "Error", full, Some(14), Killed),
            (137, "OOMKilled", full, Some(14), Killed),
            // The kubelet was restarted and granted the whole grace period again.
            (137, "Error", full, Some(31), Killed),
            (137, "Error", full, Some(13), KilledOtherwise),
            (137, "OOMKilled", full, Some(13), OutOfMemory),
            (1, "OOMKilled", full, Some(6), OutOfMemory),
            (0, "OOMKilled", full, Some(6), Clean),
            (137, "Error", full, None, Unknown(Unseen::Clocks)),
            (0, "Completed", full, None, Clean),
            (137, "Error", by_caller, Some(3), CutShort),
            (137, "Error", by_caller, Some(1), KilledOtherwise),
            (0, "Completed", by_caller, Some(3), Clean),
            (1, "Error", by_caller, Some(1), Failed),
            (137, "Error", Request::Api { grace: Seconds::new(60), own }, Some(15), KilledOtherwise),
            (137, "Error", Request::Kubelet, None, CutShort),
            (137, "OOMKilled", Request::Kubelet, None, OutOfMemory),
            (143, "Error", Request::Kubelet, None, Clean),
            (0, "Completed", Request::Unseen, None, Unknown(Unseen::Request)),
            (137, "ContainerStatusUnknown", full, Some(15), Unknown(Unseen::Status)),
            (255, "Unknown", full, Some(5), Unknown(Unseen::Status)),
            (-1, "Error", full, Some(5), Unknown(Unseen::Status)),
        ] {
            assert_eq!(
                outcome(exit_code, reason, request, after),
                expected,
                "{exit_code} {reason} {request:?} {after:?}"
            );
        }
        let placeholder: Terminated = serde_json::from_value(json!({"exitCode": 137, "finishedAt": null})).unwrap();
        assert_eq!(Outcome::of(&placeholder, full, None), Unknown(Unseen::Status));
    }

    #[test]
    fn the_worst_outcome_decides() {
        let worst = [Outcome::Clean, Outcome::Killed, Outcome::Unknown(Unseen::End)].into_iter().max();
        assert_eq!(worst, Some(Outcome::Killed));
        assert_eq!(Outcome::Unknown(Unseen::Status).to_string(), "Unknown (status lost)");
    }
}
