//! What a rehearsal that ends early leaves in the cluster.

use super::container::WAIT_SECONDS;
use winddown_core::sanitize::escaped;

/// What was changed so far and is not at its end.
#[derive(Debug)]
pub(super) struct LeftBehind {
    /// The flags for the namespace and the cluster in a command to paste, each with a space before it.
    place: String,
    /// The pod that is stopping, or may be.
    pub(super) stopping: Option<Stopping>,
    /// The pod with a measuring container that was not evicted.
    pub(super) joined: Option<Joined>,
}

/// A pod whose eviction was requested.
#[derive(Debug)]
pub(super) struct Stopping {
    pub(super) pod: String,
    /// Whether the API server has agreed.
    pub(super) answered: bool,
}

/// A pod to which the measuring container was added.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) pod: String,
    /// Its name; `None` before the API server has agreed.
    pub(super) container: Option<String>,
}

impl LeftBehind {
    pub(super) fn new(place: String) -> Self {
        Self { place, stopping: None, joined: None }
    }

    /// The pod is at its end.
    pub(super) fn clear(&mut self) {
        (self.stopping, self.joined) = (None, None);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stopping.is_none() && self.joined.is_none()
    }

    /// The line after a rehearsal that ended early, for example with Ctrl-C. `evicted` pods were followed to their end.
    pub(super) fn line(&self, reason: &str, evicted: usize) -> String {
        match &self.stopping {
            Some(Stopping { pod, answered: true }) => {
                return format!("{reason}: the pod {} goes on stopping, as after kubectl delete", escaped(pod));
            }
            Some(Stopping { pod, answered: false }) => {
                let pod = escaped(pod);
                return format!(
                    "{reason}: the pod {pod} may be stopping: check it with kubectl get pods{} before you try again",
                    self.place
                );
            }
            None => {}
        }
        let none = if evicted == 0 { "no pod was evicted" } else { "no other pod is evicted" };
        let joined = self.joined.as_ref().map(|joined| joined.sentence(&self.place)).unwrap_or_default();
        format!("{reason}: {none}{joined}")
    }
}

impl Joined {
    fn sentence(&self, place: &str) -> String {
        let pod = escaped(&self.pod);
        match &self.container {
            Some(container) => format!(
                "; the container {container} in the pod {pod} exits at most {WAIT_SECONDS} s after its start, and its entry \
                 stays until the pod is gone"
            ),
            None => format!("; the pod {pod} may have a measuring container: see kubectl describe pod {pod}{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_in_the_cluster_is_named() {
        let pod = || "web-a".to_owned();
        let stopping = |answered| Some(Stopping { pod: pod(), answered });
        let joined = |container: Option<&str>| Some(Joined { pod: pod(), container: container.map(str::to_owned) });
        for (stopping, joined, evicted, expected) in [
            (None, None, 0, "interrupted: no pod was evicted"),
            (None, None, 1, "interrupted: no other pod is evicted"),
            (
                None,
                joined(Some("winddown-sample-1")),
                0,
                "interrupted: no pod was evicted; the container winddown-sample-1 in the pod web-a exits at most 60 s after \
                 its start, and its entry stays until the pod is gone",
            ),
            (
                None,
                joined(None),
                1,
                "interrupted: no other pod is evicted; the pod web-a may have a measuring container: see kubectl describe \
                 pod web-a -n shop",
            ),
            (
                stopping(true),
                joined(Some("winddown-sample-1")),
                0,
                "interrupted: the pod web-a goes on stopping, as after kubectl delete",
            ),
            (
                stopping(false),
                None,
                0,
                "interrupted: the pod web-a may be stopping: check it with kubectl get pods -n shop before you try again",
            ),
        ] {
            let left = LeftBehind { place: " -n shop".to_owned(), stopping, joined };
            assert_eq!(left.line("interrupted", evicted), expected);
        }
    }
}
