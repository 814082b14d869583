//! The ends of the containers of a pod, by three clocks.

use crate::annotations::Declaration;
use crate::duration::Seconds;
use crate::injection::Record;
use crate::observation::outcome::Request;
use crate::observation::stop::Sighting;
use crate::observation::tracked::{Stopping, Tracked};
use crate::observation::view::{ContainerStatus, ContainerView};
use crate::observation::{Cause, ContainerStop, Outcome, PodView, Terminated, Timestamp, Unseen};
use crate::plan::lanes::{self, Role};

/// What a container has after its hook, whatever the grace period is (`kuberuntime_container.go`, `killContainer`).
const SHORTEST: Seconds = Seconds::new(2);

/// The ends of the main containers of a pod.
pub(crate) struct Ends {
    pub(crate) containers: Vec<ContainerStop>,
    /// From the request until the kubelet started.
    pub(crate) latency: Option<Seconds>,
    /// Whether the clocks of API server and node disagree.
    pub(crate) clocks_disagree: bool,
}

impl Ends {
    pub(crate) fn of(
        tracked: &Tracked,
        pod: &PodView,
        record: Option<&Record>,
        cause: Cause,
        sighting: Sighting,
    ) -> Self {
        let stopping = tracked.stopping();
        let times = stopping.map(|stopping| Times::of(stopping, pod, sighting));
        // A start that was seen after the end was seen late.
        let length = times.as_ref().and_then(Times::length);
        let is_late = |latency: &Seconds| length.is_some_and(|length| latency.as_i64() > length);
        let pod_end = PodEnd {
            request: match stopping {
                _ if cause.is_node() => Request::Kubelet,
                Some(stopping) => Request::Api { grace: stopping.grace, own: pod.grace_period() },
                None => Request::Unseen,
            },
            unfinished: match cause {
                Cause::NodeLost => Unseen::Node,
                _ if sighting.removed => Unseen::Forced,
                _ => Unseen::Status,
            },
            times,
            latency: stopping.and_then(Stopping::latency).filter(|latency| !is_late(latency)),
        };
        let declaration =
            Declaration { containers: record.and_then(Record::named_containers), ..Declaration::default() };
        let for_roles = pod.for_roles();
        let apps: Vec<_> = lanes::apps(&for_roles, &declaration).into_iter().map(|app| app.name.as_str()).collect();
        let stop = |(position, (container, status)): (usize, (&ContainerView, Option<&ContainerStatus>))| {
            let ran = stopping.is_some_and(|stopping| stopping.saw_running(position));
            let role = if apps.contains(&container.name.as_str()) { Role::App } else { Role::Helper };
            pod_end.container(container, status, role, ran)
        };
        Self {
            containers: pod.containers().enumerate().map(stop).collect(),
            latency: pod_end.latency,
            clocks_disagree: pod_end.times.is_some_and(|times| times.disagree),
        }
    }
}

/// What applies to all containers of a pod.
struct PodEnd {
    request: Request,
    /// Why the end of a container is not known.
    unfinished: Unseen,
    times: Option<Times>,
    /// Until the kubelet started; `None` if that was not seen.
    latency: Option<Seconds>,
}

impl PodEnd {
    fn container(
        &self,
        view: &ContainerView,
        status: Option<&ContainerStatus>,
        role: Role,
        ran: bool,
    ) -> ContainerStop {
        let end = status.and_then(ContainerStatus::terminated);
        let after = end.zip(self.times.as_ref()).and_then(|(end, times)| times.after(end));
        let outcome = match end {
            Some(end) if self.times.as_ref().is_some_and(|times| times.is_before(end)) => None,
            Some(end) => Some(Outcome::of(end, self.request, after)),
            None if ran || status.is_some_and(ContainerStatus::is_running) => Some(Outcome::Unknown(self.unfinished)),
            None => None,
        };
        let is_known = outcome.is_some_and(|outcome| !matches!(outcome, Outcome::Unknown(_)));
        let duration = after.filter(|_| is_known).map(Seconds::from_api);
        let is_killed = outcome == Some(Outcome::Killed);
        let after_signal = duration.zip(view.hook()).map(|(duration, hook)| {
            let time = duration.minus(hook.plus(self.latency.unwrap_or_default()));
            match self.request {
                Request::Api { grace, .. } if is_killed => time.min(grace.minus(hook).max(SHORTEST)),
                _ => time,
            }
        });
        ContainerStop {
            name: view.name.clone(),
            role,
            outcome,
            exit_code: end.map(|end| end.exit_code),
            out_of_memory: end.is_some_and(|end| end.reason.as_deref() == Some("OOMKilled")),
            duration,
            after_signal,
        }
    }
}

/// The clocks: that of the API server (the request), of the node (the ends), and of the observer.
struct Times {
    requested: Timestamp,
    /// The last end, by the node's clock.
    last: Option<Timestamp>,
    /// From the request to the terminal state as the observer saw them: not less than the true duration.
    observed: Option<i64>,
    disagree: bool,
}

impl Times {
    fn of(stopping: &Stopping, pod: &PodView, sighting: Sighting) -> Self {
        let requested = stopping.requested;
        let containers = pod.containers().enumerate().filter(|(position, _)| stopping.saw_running(*position));
        let last = containers.filter_map(|(_, (_, status))| status?.terminated()?.finished()).max();
        let seen = stopping.seen.filter(|_| sighting.live);
        let observed = seen.map(|seen| sighting.at.saturating_duration_since(seen));
        let observed = observed.map(|time| Seconds::rounded_up_to_max(time).as_i64());
        let disagree = last.map(|last| last.since(requested)).is_some_and(|measured| {
            // Times have whole seconds.
            measured < -1 || observed.is_some_and(|observed| measured > observed + 1)
        });
        Self { requested, last, observed, disagree }
    }

    /// Whether a container had ended before the request, as between two restarts.
    fn is_before(&self, end: &Terminated) -> bool {
        !self.disagree && end.finished().is_some_and(|finished| finished.since(self.requested) < -2)
    }

    /// The time from the request to the last end.
    fn length(&self) -> Option<i64> {
        self.until(self.last?)
    }

    /// The time from the request to the end of a container.
    fn after(&self, end: &Terminated) -> Option<i64> {
        self.until(end.finished()?)
    }

    fn until(&self, finished: Timestamp) -> Option<i64> {
        if self.disagree {
            return Some((self.observed? - self.last?.since(finished)).max(0));
        }
        let measured = finished.since(self.requested).max(0);
        Some(self.observed.map_or(measured, |observed| measured.min(observed)))
    }
}
