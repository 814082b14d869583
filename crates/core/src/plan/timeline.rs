//! The shutdown of each container of a pod, from the deletion request (t = 0) to SIGKILL.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Serialize;

use crate::budget::Budget;
use crate::duration::Seconds;
use crate::plan::hooks::PlannedHook;
use crate::pod::hooks::PreStop;
use crate::pod::sidecars::native_sidecars;

/// The phases of each container of a pod after the deletion request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// The main containers in the template's order, then the native sidecars.
    pub lanes: Vec<Lane>,
    /// The time at which the last main container has exited, if each one keeps its deadline.
    pub done: Seconds,
    /// The time at which the kubelet kills the containers that still run.
    pub kill_at: Seconds,
}

/// The shutdown of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lane {
    /// The name of the container.
    pub container: String,
    /// Whether it is a native sidecar: an init container that restarts always.
    pub sidecar: bool,
    /// Its stop signal: `lifecycle.stopSignal`, by default `SIGTERM`.
    pub signal: String,
    /// The phases in order, without gaps; no phase is empty.
    pub phases: Vec<Phase>,
}

/// A part of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// What the container does during this phase.
    pub activity: Activity,
    /// Seconds after the deletion request.
    pub start: Seconds,
    /// Seconds after the deletion request. If the budget does not fit, this may be later than SIGKILL.
    pub end: Seconds,
}

/// What a container does during a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Activity {
    /// Its preStop hook runs; endpoints and load balancers remove the pod.
    PreStop,
    /// Its preStop hook runs for an unknown duration; the duration shown is assumed.
    UnknownPreStop,
    /// A native sidecar runs until the last main container has exited (KEP-753).
    Serving,
    /// It received its stop signal, finishes open work and exits.
    Stopping,
    /// The rest of the grace period.
    Slack,
}

impl Activity {
    /// All activities in order.
    pub const ALL: [Self; 5] = [Self::PreStop, Self::UnknownPreStop, Self::Serving, Self::Stopping, Self::Slack];
}

impl Timeline {
    /// The timeline of a budget, for the planned hooks of the main containers.
    pub(crate) fn new(pod: &PodSpec, budget: &Budget, hooks: &[PlannedHook]) -> Self {
        let (done, kill_at) = (budget.drain.plus(budget.deadline), budget.grace_period);
        let main = pod.containers.iter().zip(hooks).map(|(container, hook)| {
            let exit = hook.duration.plus(budget.deadline);
            let ends = [(activity(hook.own), hook.duration), (Activity::Stopping, exit), (Activity::Slack, kill_at)];
            lane(container, false, &ends)
        });
        let sidecars = native_sidecars(pod).map(|container| {
            // Its hook runs at the same time as the others; its stop signal is sent after the main containers have exited.
            let own = PreStop::of(container);
            let assumed = if own.is_open_ended() { budget.drain } else { Seconds::ZERO };
            let ends = [
                (activity(own), own.at_least().max(assumed)),
                (Activity::Serving, done),
                (Activity::Stopping, kill_at),
            ];
            lane(container, true, &ends)
        });
        Self { lanes: main.chain(sidecars).collect(), done, kill_at }
    }

    /// The time between SIGKILL and the later exit of the last main container; zero if the budget fits.
    #[must_use]
    pub fn killed_early(&self) -> Seconds {
        self.done.minus(self.kill_at)
    }
}

impl Lane {
    /// The time of its stop signal; `None` if it is killed before that.
    #[must_use]
    pub fn signal_at(&self) -> Option<Seconds> {
        self.phases.iter().find(|phase| phase.activity == Activity::Stopping).map(|phase| phase.start)
    }

    /// What the container does in the second that starts at that time.
    #[must_use]
    pub fn activity(&self, at: Seconds) -> Option<Activity> {
        self.phases.iter().find(|phase| phase.start <= at && at < phase.end).map(|phase| phase.activity)
    }
}

fn activity(hook: PreStop) -> Activity {
    if hook.is_open_ended() { Activity::UnknownPreStop } else { Activity::PreStop }
}

/// A lane of activities, each with the earliest time at which it ends.
fn lane(container: &Container, sidecar: bool, ends: &[(Activity, Seconds)]) -> Lane {
    let mut phases = Vec::new();
    let mut start = Seconds::ZERO;
    for &(activity, end) in ends {
        if end > start {
            phases.push(Phase { activity, start, end });
            start = end;
        }
    }
    let signal = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.clone());
    Lane { container: container.name.clone(), sidecar, signal: signal.unwrap_or_else(|| "SIGTERM".to_owned()), phases }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Activity::{PreStop, Serving, Slack, Stopping, UnknownPreStop};
    use super::{Activity, Lane, Timeline};
    use crate::duration::Seconds;
    use crate::evaluation::{Existing, Origin, evaluate};
    use crate::policy::Policy;
    use crate::rules::tests::pod;

    fn timeline(manifest: &Value) -> Timeline {
        evaluate(manifest, Existing::None, &Policy::default(), Origin::File).unwrap().timeline.unwrap()
    }

    fn phases(lane: &Lane) -> Vec<(Activity, i64, i64)> {
        lane.phases.iter().map(|phase| (phase.activity, phase.start.as_i64(), phase.end.as_i64())).collect()
    }

    #[test]
    fn every_main_container_has_a_lane() {
        let timeline = timeline(&pod(|pod| {
            pod["containers"] = json!([
                {"name": "app", "lifecycle": {"stopSignal": "SIGQUIT"}},
                {"name": "batch", "lifecycle": {"preStop": {"sleep": {"seconds": 0}}}},
                {"name": "legacy", "lifecycle": {"preStop": {"httpGet": {"port": 80}}}},
            ]);
        }));
        let [app, batch, legacy] = timeline.lanes.as_slice() else { panic!("{timeline:?}") };
        assert_eq!(phases(app), [(PreStop, 0, 10), (Stopping, 10, 30), (Slack, 30, 35)]);
        assert_eq!((app.signal.as_str(), app.signal_at()), ("SIGQUIT", Some(Seconds::new(10))));
        assert_eq!(phases(batch), [(Stopping, 0, 20), (Slack, 20, 35)]);
        assert_eq!(phases(legacy), [(UnknownPreStop, 0, 10), (Stopping, 10, 30), (Slack, 30, 35)]);
        assert_eq!((timeline.done, timeline.killed_early()), (Seconds::new(30), Seconds::ZERO));
    }

    #[test]
    fn a_native_sidecar_runs_until_the_app_has_exited_and_stops_in_the_rest_of_the_grace_period() {
        let timeline = timeline(&pod(|pod| {
            pod["initContainers"] = json!([
                {"name": "migrate"},
                {"name": "logs", "restartPolicy": "Always"},
                {"name": "proxy", "restartPolicy": "Always", "lifecycle": {"preStop": {"sleep": {"seconds": 4}}}},
            ]);
        }));
        assert_eq!(timeline.lanes.iter().map(|lane| lane.sidecar).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(phases(&timeline.lanes[1]), [(Serving, 0, 30), (Stopping, 30, 35)]);
        assert_eq!(phases(&timeline.lanes[2]), [(PreStop, 0, 4), (Serving, 4, 30), (Stopping, 30, 35)]);
    }

    #[test]
    fn phases_that_do_not_fit_end_after_sigkill() {
        let timeline = timeline(&pod(|pod| {
            pod["terminationGracePeriodSeconds"] = json!(20);
            pod["initContainers"] = json!([{"name": "logs", "restartPolicy": "Always"}]);
        }));
        assert_eq!((timeline.kill_at, timeline.killed_early()), (Seconds::new(20), Seconds::new(10)));
        assert_eq!(phases(&timeline.lanes[0]), [(PreStop, 0, 10), (Stopping, 10, 30)]);
        assert_eq!((phases(&timeline.lanes[1]), timeline.lanes[1].signal_at()), (vec![(Serving, 0, 30)], None));
    }
}
