//! A pod's last seconds, from the deletion request (t = 0) to SIGKILL, container by container.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Serialize;

use crate::budget::Budget;
use crate::duration::Seconds;
use crate::plan::hooks::{self, Sleep};
use crate::plan::init_containers;

/// What each container of a pod does once the pod is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// The main containers in the template's order, then the native sidecars.
    pub lanes: Vec<Lane>,
    /// When the last main container has exited, if each keeps its deadline.
    pub done: Seconds,
    /// When the kubelet kills what is left.
    pub kill_at: Seconds,
}

/// One container's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lane {
    /// Its name.
    pub container: String,
    /// Whether it is a native sidecar: an init container that restarts always.
    pub sidecar: bool,
    /// What it is sent when its time has come: `lifecycle.stopSignal`, `SIGTERM` where nobody wrote one.
    pub signal: String,
    /// One after the other, without gaps and none of them empty.
    pub phases: Vec<Phase>,
}

/// One stretch of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// What the container does in it.
    pub activity: Activity,
    /// Seconds after the deletion request.
    pub start: Seconds,
    /// Seconds after the deletion request. It may be later than SIGKILL: that is what does not fit.
    pub end: Seconds,
}

/// What a container does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Activity {
    /// Its preStop hook runs; endpoints and balancers forget the pod.
    PreStop,
    /// The same, but nobody knows for how long; what is shown is assumed.
    UnknownPreStop,
    /// A native sidecar is needed until the last main container has exited (KEP-753).
    Serving,
    /// It was told to stop, finishes what is open and exits.
    Stopping,
    /// Time that belongs to nobody.
    Slack,
}

impl Activity {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 5] = [Self::PreStop, Self::UnknownPreStop, Self::Serving, Self::Stopping, Self::Slack];
}

impl Timeline {
    /// The timeline of a budget, for main containers that each sleep so long before their stop signal.
    pub(crate) fn new(pod: &PodSpec, budget: &Budget, sleeps: &[Sleep]) -> Self {
        let (done, kill_at) = (budget.drain.plus(budget.deadline), budget.grace_period);
        let main = pod.containers.iter().zip(sleeps).map(|(container, sleep)| {
            let exit = sleep.seconds.plus(budget.deadline);
            let ends = [(hook(container), sleep.seconds), (Activity::Stopping, exit), (Activity::Slack, kill_at)];
            lane(container, false, &ends)
        });
        let sidecars = init_containers(pod).filter(|container| container.restart_policy.as_deref() == Some("Always"));
        let sidecars = sidecars.map(|container| {
            // Its hook runs at the same time as the others', its signal waits until they are gone.
            let assumed = if hooks::is_open_ended(container) { budget.drain } else { Seconds::ZERO };
            let sleep = hooks::own_sleep(container).max(assumed);
            let ends = [(hook(container), sleep), (Activity::Serving, done), (Activity::Stopping, kill_at)];
            lane(container, true, &ends)
        });
        Self { lanes: main.chain(sidecars).collect(), done, kill_at }
    }

    /// How much earlier than the last main container's exit SIGKILL comes; zero where it fits.
    #[must_use]
    pub fn killed_early(&self) -> Seconds {
        self.done.minus(self.kill_at)
    }
}

impl Lane {
    /// When it is told to stop; `None` where it is killed before that.
    #[must_use]
    pub fn signal_at(&self) -> Option<Seconds> {
        self.phases.iter().find(|phase| phase.activity == Activity::Stopping).map(|phase| phase.start)
    }

    /// What the container does in the second that starts then.
    #[must_use]
    pub fn activity(&self, at: Seconds) -> Option<Activity> {
        self.phases.iter().find(|phase| phase.start <= at && at < phase.end).map(|phase| phase.activity)
    }
}

fn hook(container: &Container) -> Activity {
    if hooks::is_open_ended(container) { Activity::UnknownPreStop } else { Activity::PreStop }
}

/// A lane of activities, each with the time at which it ends at the earliest.
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
    use crate::evaluation::{Before, Origin, settle};
    use crate::policy::Policy;
    use crate::rules::tests::pod;

    fn timeline(manifest: &Value) -> Timeline {
        settle(manifest, Before::Nothing, &Policy::default(), Origin::File).unwrap().timeline.unwrap()
    }

    fn phases(lane: &Lane) -> Vec<(Activity, i64, i64)> {
        lane.phases.iter().map(|phase| (phase.activity, phase.start.as_i64(), phase.end.as_i64())).collect()
    }

    #[test]
    fn every_container_has_a_lane_of_its_own() {
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
    fn a_native_sidecar_serves_until_the_app_has_exited_and_stops_in_what_is_left() {
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
    fn what_does_not_fit_goes_on_after_the_kill() {
        let timeline = timeline(&pod(|pod| {
            pod["terminationGracePeriodSeconds"] = json!(20);
            pod["initContainers"] = json!([{"name": "logs", "restartPolicy": "Always"}]);
        }));
        assert_eq!((timeline.kill_at, timeline.killed_early()), (Seconds::new(20), Seconds::new(10)));
        assert_eq!(phases(&timeline.lanes[0]), [(PreStop, 0, 10), (Stopping, 10, 30)]);
        assert_eq!((phases(&timeline.lanes[1]), timeline.lanes[1].signal_at()), (vec![(Serving, 0, 30)], None));
    }
}
