//! The shutdown of each container of a pod, from the deletion request (t = 0) to SIGKILL.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Serialize;

use crate::duration::Seconds;
use crate::plan::lanes::{PlannedLane, Role, last_exit};
use crate::pod::sidecars::native_sidecars;
use crate::pod::signals::stop_signal;

/// The phases of each container of a pod after the deletion request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// The main containers in the template's order, then the native sidecars.
    pub lanes: Vec<Lane>,
    /// The time at which the last app has exited, if each one keeps its deadline.
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
    /// Which sum applies to it.
    pub role: Role,
    /// The grace period that it needs; an unknown stop counts as zero.
    pub needs: Seconds,
    /// Its stop signal: `lifecycle.stopSignal` if the pod has `os.name`, otherwise `SIGTERM`.
    pub signal: String,
    /// The time of that signal. If the grace period ends before, it is sent then, and the kubelet waits two seconds.
    pub signal_at: Seconds,
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
    /// It received its stop signal and exits at an unknown time.
    UnknownStop,
    /// The rest of the grace period.
    Slack,
}

impl Activity {
    /// All activities in order.
    pub const ALL: [Self; 6] =
        [Self::PreStop, Self::UnknownPreStop, Self::Serving, Self::Stopping, Self::UnknownStop, Self::Slack];
}

impl Timeline {
    /// The timeline of planned lanes under a grace period.
    pub(crate) fn new(pod: &PodSpec, planned: &[PlannedLane], kill_at: Seconds) -> Self {
        let containers = pod.containers.iter().chain(native_sidecars(pod));
        let lanes =
            containers.zip(planned).map(|(container, planned)| lane(pod, container, planned, kill_at)).collect();
        let done = last_exit(planned.iter().filter(|lane| lane.role == Role::App));
        Self { lanes, done, kill_at }
    }

    /// The timeline of these lanes.
    pub(crate) fn of(lanes: Vec<Lane>, kill_at: Seconds) -> Self {
        let done = lanes.iter().map(Lane::exit).max().unwrap_or_default();
        Self { lanes, done, kill_at }
    }

    /// The lane that SIGKILL cuts off the most, and by how much; `None` if every known stop ends in time.
    #[must_use]
    pub fn killed_early(&self) -> Option<(&Lane, Seconds)> {
        // Of several, the first one: apps come before native sidecars.
        let longest = self.lanes.iter().rev().max_by_key(|lane| lane.exit())?;
        let early = longest.exit().minus(self.kill_at);
        (early > Seconds::ZERO).then_some((longest, early))
    }
}

impl Lane {
    /// The end of its last phase before the slack.
    fn exit(&self) -> Seconds {
        let busy = self.phases.iter().rev().find(|phase| phase.activity != Activity::Slack);
        busy.map(|phase| phase.end).unwrap_or_default()
    }

    /// The same container without the hook that was planned, unless it has its own one, and with this grace period.
    pub(crate) fn as_it_is(&self, has_hook: bool, kill_at: Seconds) -> Self {
        let hook = if has_hook { self.signal_at } else { Seconds::ZERO };
        let stop = self.phases.iter().find(|phase| phase.start >= self.signal_at);
        let exit = match stop {
            Some(phase) if phase.activity == Activity::Stopping => hook.plus(phase.end.minus(phase.start)),
            Some(phase) if phase.activity == Activity::UnknownStop => hook.max(kill_at),
            _ => hook,
        };
        let planned = self.phases.first().map_or(Activity::PreStop, |phase| phase.activity);
        let waiting = if planned == Activity::UnknownPreStop { planned } else { Activity::PreStop };
        let stopping = stop.map_or(Activity::Stopping, |phase| phase.activity);
        let phases = phases(&[(waiting, hook), (stopping, exit), (Activity::Slack, kill_at)]);
        Self { signal_at: hook, needs: exit, phases, ..self.clone() }
    }

    /// What the container does in the second that starts at that time.
    #[must_use]
    pub fn activity(&self, at: Seconds) -> Option<Activity> {
        self.phases.iter().find(|phase| phase.start <= at && at < phase.end).map(|phase| phase.activity)
    }
}

fn lane(pod: &PodSpec, container: &Container, planned: &PlannedLane, kill_at: Seconds) -> Lane {
    let hook = if planned.assumed { Activity::UnknownPreStop } else { Activity::PreStop };
    let (stop, exit) = match planned.stop {
        Some(_) => (Activity::Stopping, planned.exit()),
        None => (Activity::UnknownStop, kill_at),
    };
    let ends = [(hook, planned.hook), (Activity::Serving, planned.signal_at), (stop, exit), (Activity::Slack, kill_at)];
    Lane {
        container: container.name.clone(),
        sidecar: planned.role == Role::NativeSidecar,
        role: planned.role,
        signal: stop_signal(pod, container).to_owned(),
        signal_at: planned.signal_at,
        needs: planned.needs,
        phases: phases(&ends),
    }
}

/// Phases, each with the earliest time at which it ends.
fn phases(ends: &[(Activity, Seconds)]) -> Vec<Phase> {
    let mut phases = Vec::new();
    let mut start = Seconds::ZERO;
    for &(activity, end) in ends {
        if end > start {
            phases.push(Phase { activity, start, end });
            start = end;
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Activity::{PreStop, Serving, Slack, Stopping, UnknownPreStop, UnknownStop};
    use super::{Activity, Lane, Role, Timeline};
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

    fn early(timeline: &Timeline) -> Option<(&str, i64)> {
        timeline.killed_early().map(|(lane, early)| (lane.container.as_str(), early.as_i64()))
    }

    #[test]
    fn every_main_container_has_a_lane() {
        let timeline = timeline(&pod(|pod| {
            pod["os"] = json!({"name": "linux"});
            pod["containers"] = json!([
                {"name": "app", "lifecycle": {"stopSignal": "SIGQUIT"}},
                {"name": "batch", "lifecycle": {"preStop": {"sleep": {"seconds": 0}}}},
                {"name": "legacy", "lifecycle": {"preStop": {"httpGet": {"port": 80}}}},
            ]);
        }));
        let [app, batch, legacy] = timeline.lanes.as_slice() else { panic!("{timeline:?}") };
        assert_eq!(phases(app), [(PreStop, 0, 10), (Stopping, 10, 30), (Slack, 30, 35)]);
        assert_eq!((app.signal.as_str(), app.signal_at), ("SIGQUIT", Seconds::new(10)));
        assert_eq!(phases(batch), [(Stopping, 0, 20), (Slack, 20, 35)]);
        assert_eq!(phases(legacy), [(UnknownPreStop, 0, 10), (Stopping, 10, 30), (Slack, 30, 35)]);
        assert_eq!((timeline.done, timeline.killed_early()), (Seconds::new(30), None));
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
        assert_eq!(phases(&timeline.lanes[1]), [(Serving, 0, 30), (UnknownStop, 30, 35)]);
        assert_eq!(phases(&timeline.lanes[2]), [(PreStop, 0, 4), (Serving, 4, 30), (UnknownStop, 30, 35)]);
    }

    #[test]
    fn phases_that_do_not_fit_end_after_sigkill() {
        let timeline = timeline(&pod(|pod| {
            pod["terminationGracePeriodSeconds"] = json!(20);
            pod["initContainers"] = json!([{"name": "logs", "restartPolicy": "Always"}]);
        }));
        assert_eq!((timeline.kill_at, early(&timeline)), (Seconds::new(20), Some(("app", 10))));
        assert_eq!(phases(&timeline.lanes[0]), [(PreStop, 0, 10), (Stopping, 10, 30)]);
        assert_eq!(
            (phases(&timeline.lanes[1]), timeline.lanes[1].signal_at),
            (vec![(Serving, 0, 30)], Seconds::new(30))
        );
    }

    #[test]
    fn a_helper_has_its_own_hook_and_its_own_stop() {
        let timeline = timeline(&pod(|pod| {
            let ports = json!([{"containerPort": 80}]);
            let sleep = |seconds: u32| json!({"preStop": {"sleep": {"seconds": seconds}}});
            pod["containers"] = json!([
                {"name": "app", "ports": ports},
                {"name": "agent", "lifecycle": sleep(15)},
                {"name": "db", "image": "cloud-sql-proxy:2", "lifecycle": sleep(32)},
                {"name": "istio-proxy"},
            ]);
        }));
        let [app, agent, db, mesh] = timeline.lanes.as_slice() else { panic!("{timeline:?}") };
        assert_eq!(phases(app), [(PreStop, 0, 10), (Stopping, 10, 30), (Slack, 30, 35)]);
        assert_eq!(phases(agent), [(PreStop, 0, 15), (UnknownStop, 15, 35)]);
        assert_eq!(phases(db), [(PreStop, 0, 32), (Slack, 32, 35)]);
        assert_eq!(phases(mesh), [(PreStop, 0, 10), (Stopping, 10, 15), (Slack, 15, 35)]);
        let needs: Vec<_> = timeline.lanes.iter().map(|lane| (lane.role, lane.needs.as_i64())).collect();
        assert_eq!(needs, [(Role::App, 35), (Role::Helper, 15), (Role::Helper, 32), (Role::Helper, 15)]);
        assert_eq!((timeline.done, db.signal_at), (Seconds::new(30), Seconds::new(32)));
    }

    #[test]
    fn native_sidecars_stop_one_after_another_each_after_its_own_wait() {
        let timeline = timeline(&pod(|pod| {
            pod["initContainers"] = json!([
                {"name": "db", "restartPolicy": "Always", "image": "cloud-sql-proxy:2", "args": ["--min-sigterm-delay=7s"]},
                {"name": "istio-proxy", "restartPolicy": "Always"},
            ]);
        }));
        let [_, db, mesh] = timeline.lanes.as_slice() else { panic!("{timeline:?}") };
        assert_eq!(phases(mesh), [(Serving, 0, 30), (Stopping, 30, 35), (Slack, 35, 42)]);
        assert_eq!(phases(db), [(Serving, 0, 35), (Stopping, 35, 42)]);
        assert_eq!((timeline.kill_at, db.needs, mesh.needs), (Seconds::new(42), Seconds::new(42), Seconds::new(35)));
    }

    #[test]
    fn the_lane_that_is_cut_off_the_most_is_named() {
        let timeline = timeline(&pod(|pod| {
            pod["terminationGracePeriodSeconds"] = json!(40);
            let slow = json!({"preStop": {"sleep": {"seconds": 60}}});
            pod["containers"] =
                json!([{"name": "app", "ports": [{"containerPort": 80}]}, {"name": "agent", "lifecycle": slow}]);
        }));
        assert_eq!(early(&timeline), Some(("agent", 20)));
        assert_eq!(phases(&timeline.lanes[1]), [(PreStop, 0, 60)]);
    }
}
