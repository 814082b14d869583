//! How a workload's pods stop as it is, before Winddown changes anything, and why its rollouts can drop requests.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::{Serialize, Serializer};

use crate::decode::decode;
use crate::duration::Seconds;
use crate::evaluation::Evaluation;
use crate::field_path::FieldPath;
use crate::finding::Code;
use crate::object::{Object, Template};
use crate::plan::lanes::Role;
use crate::plan::timeline::{Lane, Timeline};
use crate::pod::ports;
use crate::related::Related;
use crate::sanitize::escaped;
use crate::workload::DEFAULT_GRACE_PERIOD;

/// A workload as it is, compared with its budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentShutdown {
    /// Whether a Service selects its pods, or an app lists a port for requests. Unknown without a port where the Services are
    /// unknown.
    pub takes_requests: Option<bool>,
    /// Seconds from the deletion of a pod to SIGKILL.
    pub grace_period: Seconds,
    /// How its apps stop today, if each one takes its deadline.
    pub timeline: Timeline,
    /// Why a rollout can drop requests; empty for a workload that takes none, or of which that is unknown.
    pub losses: Vec<Loss>,
}

/// A reason why a rollout can drop requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// What is missing.
    pub cause: LossCause,
    /// The names and numbers, in one line.
    pub message: String,
}

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $name:ident $words:literal,)+) => {
        /// What is missing. The names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LossCause {
            $($(#[doc = $doc])+ $name,)+
        }

        impl LossCause {
            /// Every cause, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable name, as in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// A few words that can follow "because: ".
            #[must_use]
            pub const fn in_words(self) -> &'static str {
                match self { $(Self::$name => $words,)+ }
            }
        }
    };
}

causes! {
    /// An app without a preStop hook stops accepting while it still gets new requests.
    NoWait "no preStop wait",
    /// It has a preStop hook that cannot run.
    WaitFails "the preStop hook fails",
    /// It has a preStop hook that ends before the drain.
    WaitShort "the preStop wait is too short",
    /// SIGKILL comes before the deadline of the app.
    KilledEarly "SIGKILL before the deadline",
    /// The app does not get SIGTERM, or does not stop on it.
    NoStopSignal "SIGTERM does not stop the app cleanly",
    /// New pods get requests before they can serve them.
    NoReadiness "no readiness probe",
    /// The same, in spite of a probe.
    EmptyReadiness "a readiness probe that always succeeds",
    /// A rollout leaves no pod.
    NoPod "no pod is left during a rollout",
    /// A proxy that carries the connections of the app stops first.
    ProxyStopsFirst "a proxy stops before the app",
}

impl LossCause {
    /// The cause that a finding names, if it is about requests of a rollout.
    #[must_use]
    pub const fn of(code: Code) -> Option<Self> {
        Some(match code {
            Code::HookFails | Code::HookNeedsShell | Code::HookOnHostNetwork => Self::WaitFails,
            Code::PreStopShort => Self::WaitShort,
            Code::StopSignalKills | Code::SignalLost | Code::RestartsOnSigterm | Code::WrapperKillsEarly => {
                Self::NoStopSignal
            }
            Code::ReadinessMissing => Self::NoReadiness,
            Code::ReadinessPlaceholder => Self::EmptyReadiness,
            Code::NoPodDuringRollout | Code::RolloutTakesAllCapacity | Code::SingleStatefulPod => Self::NoPod,
            Code::SidecarStopsFirst | Code::ProxyStopsFirst => Self::ProxyStopsFirst,
            _ => return None,
        })
    }
}

impl CurrentShutdown {
    /// `None` for a workload without a budget: what it needs is unknown. `evaluation` is that of the same workload, with its
    /// own annotations or with assumed ones. Without `related` objects, the Services are unknown.
    #[must_use]
    pub fn of(workload: &Object<'_>, evaluation: &Evaluation, related: Option<&Related>) -> Option<Self> {
        let (budget, timeline) = (evaluation.budget.as_ref()?, evaluation.timeline.as_ref()?);
        let template = workload.template().ok()?;
        let pod: PodSpec = decode(template.pod_spec().ok()?, FieldPath::new("spec.template.spec")).ok()?;
        let lanes = timeline.lanes.iter().filter(|lane| lane.role == Role::App);
        let apps: Vec<_> =
            lanes.filter_map(|lane| Some(App { lane, container: named(&pod, &lane.container)? })).collect();
        let has_port = apps.iter().any(|app| ports::serving(app.container).is_some());
        let has_service = related.map(|related| related.has_service(*workload));
        let takes_requests = if has_port { Some(true) } else { has_service };
        let grace_period = grace_period(template);
        let losses = if takes_requests == Some(true) {
            let wait = no_wait(&apps, budget.drain);
            let killed = apps.iter().find_map(|app| app.killed(grace_period, budget.deadline));
            let mut losses: Vec<_> = wait.into_iter().chain(killed).chain(found(evaluation)).collect();
            losses.sort_by_key(|loss| loss.cause);
            losses
        } else {
            Vec::new()
        };
        let lanes: Vec<_> = apps.iter().map(|app| app.lane.as_it_is(app.has_hook(), grace_period)).collect();
        let timeline = Timeline::of(lanes, grace_period);
        Some(Self { takes_requests, grace_period, timeline, losses })
    }
}

/// A container that serves requests, with its planned shutdown.
struct App<'a> {
    lane: &'a Lane,
    container: &'a Container,
}

impl App<'_> {
    fn has_hook(&self) -> bool {
        self.container.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.pre_stop.is_some())
    }

    /// The loss if SIGKILL comes before the deadline. A hook of unknown duration counts as in the timeline.
    fn killed(&self, grace_period: Seconds, deadline: Seconds) -> Option<Loss> {
        let hook = if self.has_hook() { self.lane.signal_at } else { Seconds::ZERO };
        let left = grace_period.minus(hook);
        if left >= deadline {
            return None;
        }
        let name = &self.lane.container;
        let message =
            format!("{name} has {left} after SIGTERM, of a grace period of {grace_period}; its deadline is {deadline}");
        Some(Loss::new(LossCause::KilledEarly, &message))
    }
}

/// The loss if apps have no preStop hook, although there is a drain.
fn no_wait(apps: &[App<'_>], drain: Seconds) -> Option<Loss> {
    let without: Vec<_> = apps.iter().filter(|app| !app.has_hook()).map(|app| app.lane.container.as_str()).collect();
    if without.is_empty() || drain == Seconds::ZERO {
        return None;
    }
    let names = without.join(", ");
    let message = format!("{names}: SIGTERM comes at once, while new requests still arrive for up to {drain}");
    Some(Loss::new(LossCause::NoWait, &message))
}

/// The losses that are findings. There is one for each cause, with the first finding.
fn found(evaluation: &Evaluation) -> Vec<Loss> {
    let mut losses: Vec<Loss> = Vec::new();
    for finding in &evaluation.findings {
        if let Some(cause) = LossCause::of(finding.code)
            && losses.iter().all(|loss| loss.cause != cause)
        {
            losses.push(Loss::new(cause, &finding.problem));
        }
    }
    losses
}

impl Loss {
    fn new(cause: LossCause, message: &str) -> Self {
        Self { cause, message: escaped(message).into_owned() }
    }
}

impl Serialize for LossCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

fn named<'a>(pod: &'a PodSpec, name: &str) -> Option<&'a Container> {
    pod.containers.iter().find(|container| container.name == name)
}

fn grace_period(template: Template<'_>) -> Seconds {
    let seconds = template.grace_period().and_then(serde_json::Value::as_i64);
    seconds.map_or(DEFAULT_GRACE_PERIOD, Seconds::from_api)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CurrentShutdown, LossCause};
    use crate::annotations::Assumption;
    use crate::evaluation::{Existing, Origin, evaluate_among};
    use crate::object::Object;
    use crate::plan::timeline::Activity;
    use crate::policy::Policy;
    use crate::related::Related;

    /// A Deployment of a cluster with two pods and an assumed budget, which the change breaks or repairs.
    fn workload(change: impl FnOnce(&mut Value)) -> Value {
        let mut workload = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop", "namespace": "web", "uid": "1b6c"},
            "spec": {
                "replicas": 2,
                "template": {
                    "metadata": {"labels": {"app": "shop"}},
                    "spec": {
                        "terminationGracePeriodSeconds": 30,
                        "containers": [{
                            "name": "app",
                            "image": "shop:1",
                            "ports": [{"containerPort": 8080}],
                            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                            "readinessProbe": {"httpGet": {"port": 8080, "path": "/"}},
                        }],
                    },
                },
            },
        });
        change(&mut workload);
        let assumption: Assumption = "drain=5s,deadline=25s".parse().unwrap();
        assumption.applied_to(&workload).unwrap_or(workload)
    }

    fn current(change: impl FnOnce(&mut Value), related: &Related) -> Option<CurrentShutdown> {
        let (workload, policy) = (workload(change), Policy::default());
        let evaluation =
            evaluate_among(&workload, Existing::Unchanged, &policy, Origin::ApiServer, Some(related)).unwrap();
        CurrentShutdown::of(&Object::new(&workload), &evaluation, Some(related))
    }

    fn container(workload: &mut Value) -> &mut Value {
        &mut workload["spec"]["template"]["spec"]["containers"][0]
    }

    type Change = fn(&mut Value);

    fn causes(change: impl FnOnce(&mut Value)) -> Vec<LossCause> {
        let current = current(change, &Related::default()).unwrap();
        current.losses.into_iter().map(|loss| loss.cause).collect()
    }

    #[test]
    fn a_workload_that_waits_and_is_probed_drops_nothing() {
        assert_eq!(causes(|_| ()), []);
    }

    #[test]
    fn each_missing_part_is_a_cause() {
        let cases: [(Change, &[LossCause]); 6] = [
            (|it| container(it)["lifecycle"] = Value::Null, &[LossCause::NoWait]),
            (|it| container(it)["readinessProbe"] = Value::Null, &[LossCause::NoReadiness]),
            (|it| container(it)["lifecycle"]["preStop"]["sleep"]["seconds"] = json!(2), &[LossCause::WaitShort]),
            (
                |it| it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20),
                &[LossCause::KilledEarly],
            ),
            (|it| it["spec"]["strategy"] = json!({"type": "Recreate"}), &[LossCause::NoPod]),
            (|it| container(it)["command"] = json!(["sh", "-c", "node server.js; true"]), &[LossCause::NoStopSignal]),
        ];
        for (at, (change, expected)) in cases.into_iter().enumerate() {
            assert_eq!(causes(change), expected, "case {at}");
        }
    }

    #[test]
    fn a_loss_has_the_numbers() {
        let short = |it: &mut Value| it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20);
        let current = current(short, &Related::default()).unwrap();
        let message = "app has 15s after SIGTERM, of a grace period of 20s; its deadline is 25s";
        assert_eq!(current.losses.iter().map(|loss| loss.message.as_str()).collect::<Vec<_>>(), [message]);
        assert_eq!(current.grace_period.as_i64(), 20);
        let ends: Vec<_> = current.timeline.lanes[0].phases.iter().map(|phase| phase.end.as_i64()).collect();
        assert_eq!(
            (ends.as_slice(), current.timeline.kill_at.as_i64(), current.timeline.done.as_i64()),
            (&[5, 30][..], 20, 30)
        );
    }

    #[test]
    fn without_a_hook_the_app_stops_at_once() {
        let current = current(|it| container(it)["lifecycle"] = Value::Null, &Related::default()).unwrap();
        let lane = &current.timeline.lanes[0];
        let phases: Vec<_> = lane.phases.iter().map(|it| (it.activity, it.start.as_i64(), it.end.as_i64())).collect();
        assert_eq!(phases, [(Activity::Stopping, 0, 25), (Activity::Slack, 25, 30)]);
        assert_eq!((lane.signal_at.as_i64(), current.timeline.done.as_i64()), (0, 25));
    }

    #[test]
    fn without_a_port_and_a_service_there_are_no_requests_to_drop() {
        let worker = |it: &mut Value| {
            let container = container(it).as_object_mut().unwrap();
            container.retain(|field, _| ["name", "image"].contains(&field.as_str()));
        };
        let found = current(worker, &Related::default()).unwrap();
        assert!(found.takes_requests == Some(false) && found.losses.is_empty(), "{found:?}");
        let mut related = Related::default();
        related.add(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", "namespace": "web"},
            "spec": {"selector": {"app": "shop"}},
        }));
        let found = current(worker, &related).unwrap();
        assert!(found.takes_requests == Some(true) && found.losses[0].cause == LossCause::NoWait, "{found:?}");
    }

    #[test]
    fn without_a_port_it_is_unknown_whether_there_are_requests_where_the_services_are_unknown() {
        for (ports, expected) in [(json!([]), None), (json!([{"containerPort": 8080}]), Some(true))] {
            let workload = workload(|it| container(it)["ports"] = ports);
            let policy = Policy::default();
            let evaluation = evaluate_among(&workload, Existing::Unchanged, &policy, Origin::ApiServer, None).unwrap();
            let current = CurrentShutdown::of(&Object::new(&workload), &evaluation, None).unwrap();
            assert_eq!(current.takes_requests, expected);
        }
    }

    #[test]
    fn nothing_is_known_of_a_workload_that_opts_out() {
        let off = |it: &mut Value| it["metadata"]["annotations"] = json!({"winddown.dev/mode": "Off"});
        assert_eq!(current(off, &Related::default()), None);
    }

    #[test]
    fn names_and_numbers_of_another_user_stay_in_one_line() {
        let hostile = |it: &mut Value| {
            container(it)["lifecycle"] = Value::Null;
            container(it)["name"] = json!("a\nb");
        };
        let current = current(hostile, &Related::default()).unwrap();
        assert!(current.losses[0].message.starts_with(r"a\nb: SIGTERM comes at once"), "{:?}", current.losses);
    }
}
