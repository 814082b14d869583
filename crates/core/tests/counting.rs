//! Each stop is counted at most once, even if replicas miss events or several write. It is counted exactly once if nothing is lost.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use winddown_core::observation::{
    Condition, ContainerState, Event, History, Observer, PodView, Stop, Terminated, Timestamp,
};

#[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant; only differences count")]
fn start() -> Instant {
    Instant::now()
}

/// A pod of the workload, in seconds after the start. All of it is random.
#[derive(Clone, Debug)]
struct Planned {
    created: i64,
    /// `None` if the kubelet ends it by itself.
    requested: Option<i64>,
    /// From the request to the end of the container.
    runs: i64,
    /// From that end to the removal.
    remains: i64,
    /// How far the clock of its node is ahead.
    skew: i64,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Exits,
    Forced,
    NodeLost,
}

/// The time by the API server's clock, this many seconds after the start.
fn api_time(seconds: i64) -> Time {
    Time(jiff::Timestamp::from_second(1_770_000_000 + seconds).unwrap())
}

fn api_timestamp(seconds: i64) -> Timestamp {
    (&api_time(seconds)).into()
}

const GRACE: i64 = 30;

/// The watches begin this many milliseconds before the start, before the first pod is created.
const BEFORE: i64 = 10_000_000;

/// A change of a pod: the time in milliseconds after the start, the pod's number, whether it is removed, and the pod.
type Change = (i64, usize, bool, Rc<PodView>);

fn changes(pods: &[Planned]) -> Vec<Change> {
    let template: PodView = serde_json::from_value(json!({
        "metadata": {
            "namespace": "shop",
            "labels": {"pod-template-hash": "7d9f"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9f", "uid": "2", "controller": true},
            ],
        },
        "spec": {"terminationGracePeriodSeconds": GRACE, "containers": [{"name": "app"}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "app", "state": {"running": {}}}]},
    }))
    .unwrap();
    let mut changes = Vec::new();
    for (number, planned) in pods.iter().enumerate() {
        let mut pod = template.clone();
        (pod.metadata.uid, pod.metadata.name) = (Some(format!("uid {number}")), Some(format!("web-7d9f-{number}")));
        pod.metadata.creation_timestamp = Some(api_time(planned.created));
        let mut add = |at: i64, later: i64, is_removed, pod: &PodView| {
            changes.push((1000 * at + later, number, is_removed, Rc::new(pod.clone())));
        };
        add(planned.created, 0, false, &pod);
        if let Some(requested) = planned.requested {
            pod.metadata.deletion_timestamp = Some(api_time(requested + GRACE));
            pod.metadata.deletion_grace_period_seconds = Some(GRACE);
            add(requested, 100, false, &pod);
        }
        let end = planned.requested.unwrap_or(planned.created) + planned.runs;
        if planned.fate != Fate::Forced || planned.requested.is_none() {
            pod.status.phase = Some("Failed".to_owned());
            if planned.fate == Fate::NodeLost {
                pod.status.conditions = vec![Condition {
                    kind: "DisruptionTarget".to_owned(),
                    status: "True".to_owned(),
                    reason: Some("DeletionByPodGC".to_owned()),
                    last_transition_time: Some(api_time(end)),
                }];
            }
            if planned.fate == Fate::Exits {
                let finished = Some(api_time(end + planned.skew));
                let started_at = Some(api_time(planned.created));
                let terminated = Terminated { finished_at: finished, started_at, ..Terminated::default() };
                pod.status.container_statuses[0].state =
                    Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() });
            }
            add(end, 1500, false, &pod);
        }
        let removal = end + 2 + planned.remains;
        pod.metadata.deletion_timestamp = Some(api_time(removal));
        pod.metadata.deletion_grace_period_seconds = Some(0);
        add(removal, 200, false, &pod);
        add(removal, 200, true, &pod);
    }
    changes.sort_by_key(|change| change.0);
    changes
}

/// A replica: an observer with the stops that it holds, and the history that it is about to write.
struct Replica {
    observer: Observer,
    held: Vec<Stop>,
    /// The version that was read, the history, and the UIDs that it admitted.
    pending: Option<(u64, History, Vec<String>)>,
    /// In milliseconds.
    latency: i64,
}

/// The status of the `ShutdownBudget`. Counts how often each UID was admitted by a write that succeeded.
#[derive(Default)]
struct Store {
    version: u64,
    checkpoint: Option<String>,
    counted: BTreeMap<String, u32>,
}

impl Replica {
    fn new(latency: i64) -> Self {
        Self { observer: Observer::default(), held: Vec::new(), pending: None, latency }
    }

    fn see(&mut self, event: Event<'_>, at: i64, start: Instant) {
        let now = start + Duration::from_millis(u64::try_from(BEFORE + at + self.latency).unwrap());
        self.held.extend(self.observer.see(event, now));
    }

    fn list(&mut self, changes: &[Change], at: i64, start: Instant) {
        let mut listed = BTreeMap::new();
        for (_, number, is_removed, pod) in changes.iter().take_while(|change| change.0 <= at) {
            if *is_removed {
                listed.remove(number)
            } else {
                listed.insert(*number, pod.clone())
            };
        }
        self.see(Event::Init, at, start);
        for pod in listed.values() {
            self.see(Event::InitApply(pod), at, start);
        }
        self.see(Event::InitDone, at, start);
    }

    /// Reads the status and admits everything that it holds, beginning anywhere.
    fn read(&mut self, store: &Store, first: usize, now: i64) {
        let now = api_timestamp(now);
        let mut history = match &store.checkpoint {
            // The status was created before all pods.
            None => History::new(api_timestamp(0)),
            Some(text) => History::restore(text, &[], &[], now).unwrap_or_else(|_| History::starting_again(now)),
        };
        let held = self.held.len();
        let order = self.held.iter().cycle().skip(first % held.max(1)).take(held);
        let admitted = order.filter(|stop| history.admit(stop, now)).map(|stop| stop.uid.clone()).collect();
        self.pending = Some((store.version, history, admitted));
    }

    /// Writes what was read and admitted, unless another one wrote since.
    fn write(&mut self, store: &mut Store) {
        let Some((version, history, admitted)) = self.pending.take() else { return };
        if version != store.version {
            return;
        }
        store.version += 1;
        store.checkpoint = Some(history.checkpoint());
        for uid in admitted {
            *store.counted.entry(uid).or_default() += 1;
        }
    }
}

/// What happens to a replica.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Its watch ends, and no event arrives until the next list.
    Disconnect,
    /// It lists and watches again.
    List,
    /// It restarts, and lists. What it held before is offered further, as if another replica held it.
    Restart,
    Read(usize),
    Write,
    /// Somebody writes another text into the status.
    Corrupt,
}

fn planned(last: i64) -> impl Strategy<Value = Planned> {
    let skew = prop_oneof![8 => Just(0_i64), 1 => -3700..3700_i64, 1 => -3..3_i64];
    let remains = prop_oneof![6 => Just(0_i64), 1 => 0..3000_i64];
    let fate = prop_oneof![8 => Just(Fate::Exits), 1 => Just(Fate::Forced), 1 => Just(Fate::NodeLost)];
    let requested = (any::<u8>(), 0..last).prop_map(|(kind, requested)| (kind > 25).then_some(requested));
    let runs = prop_oneof![9 => 0..40_i64, 1 => 0..2000_i64];
    (0..last, requested, runs, remains, skew, fate).prop_map(|(age, requested, runs, remains, skew, fate)| {
        let created = requested.map_or(age, |requested| requested - 1 - age);
        Planned { created, requested, runs, remains, skew, fate }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Disconnect),
        8 => Just(Step::List),
        4 => Just(Step::Restart),
        24 => any::<usize>().prop_map(Step::Read),
        24 => Just(Step::Write),
        1 => Just(Step::Corrupt),
    ]
}

/// Lets everything happen, and returns what was counted.
fn run(pods: &[Planned], latencies: [i64; 2], steps: &[(i64, usize, Step)]) -> Store {
    let (changes, start) = (changes(pods), start());
    let mut replicas = latencies.map(Replica::new);
    let mut connected = [true; 2];
    let mut store = Store::default();
    for replica in &mut replicas {
        replica.list(&[], -BEFORE, start);
    }
    let mut steps: Vec<_> = steps.to_vec();
    steps.sort_by_key(|step| step.0);
    let mut left = changes.iter().peekable();
    for (at, number, step) in steps {
        while let Some((at, _, is_removed, pod)) = left.next_if(|change| change.0 <= at) {
            for (replica, _) in replicas.iter_mut().zip(connected).filter(|(_, connected)| *connected) {
                replica.see(if *is_removed { Event::Delete(pod) } else { Event::Apply(pod) }, *at, start);
            }
        }
        let replica = &mut replicas[number];
        match step {
            Step::Disconnect => connected[number] = false,
            Step::List => {
                replica.list(&changes, at, start);
                connected[number] = true;
            }
            Step::Restart => {
                (replica.observer, replica.pending) = (Observer::default(), None);
                replica.list(&changes, at, start);
                connected[number] = true;
            }
            Step::Read(first) => replica.read(&store, first, at / 1000),
            Step::Write => replica.write(&mut store),
            Step::Corrupt => {
                store.version += 1;
                store.checkpoint = Some("nonsense".to_owned());
            }
        }
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever replicas miss, see again, hold and write at the same time, and whatever clocks nodes have.
    #[test]
    fn each_uid_is_counted_at_most_once(
        (last, pods) in (300..8000_i64).prop_flat_map(|last| (Just(last), vec(planned(last), 1..220))),
        latencies in [0..1500_i64, 0..1500_i64],
        // The times in thousandths of the whole.
        steps in vec((0..1000_i64, 0..2_usize, step()), 0..120),
    ) {
        let steps: Vec<_> = steps.into_iter().map(|(at, replica, step)| (at * (last + 2000), replica, step)).collect();
        let store = run(&pods, latencies, &steps);
        let twice: Vec<_> = store.counted.iter().filter(|(_, count)| **count > 1).collect();
        prop_assert!(twice.is_empty(), "{twice:?}");
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// 200 pods that are deleted at once and stop within a minute, or within a second. The leader writes every ten seconds
    /// and dies; the next one reads what it wrote, offers what it holds, and goes on.
    #[test]
    fn each_uid_is_counted_exactly_once_if_a_leader_dies_and_the_next_one_has_seen_the_same(
        spread in prop_oneof![Just(1_i64), 1..60_i64],
        runs in vec(0..60_i64, 200),
        takeover in 0..80_i64,
    ) {
        let pod = |runs: &i64| Planned {
            created: 0, requested: Some(100), runs: 5 + runs % spread, remains: 0, skew: 0, fate: Fate::Exits,
        };
        let pods: Vec<_> = runs.iter().map(pod).collect();
        let write = |at: i64, replica| {
            [(1000 * at, replica, Step::Read(3)), (1000 * at + 1, replica, Step::Write)]
        };
        let leader = (0..20).map(|number| 100 + 10 * number).filter(|at| *at < 100 + takeover).flat_map(|at| write(at, 0));
        let next = [100 + takeover + 15, 400].into_iter().flat_map(|at| write(at, 1));
        let store = run(&pods, [100, 400], &leader.chain(next).collect::<Vec<_>>());
        prop_assert_eq!(store.counted.len(), 200);
        prop_assert!(store.counted.values().all(|count| *count == 1));
    }

    /// Stops of one workload over days, one after the other, with a new leader at every tenth write.
    #[test]
    fn without_a_loss_each_uid_is_counted_exactly_once(gaps in vec(1..3000_i64, 1..150)) {
        let mut requested = 0;
        let pods: Vec<_> = gaps.iter().map(|gap| {
            requested += gap;
            Planned { created: requested - 1, requested: Some(requested), runs: 6, remains: 0, skew: 0, fate: Fate::Exits }
        }).collect();
        let steps = pods.iter().enumerate().flat_map(|(number, pod)| {
            let (at, replica) = (1000 * (pod.requested.unwrap() + 9), number / 10 % 2);
            [(at, replica, Step::Read(number)), (at + 1, replica, Step::Write)]
        });
        let store = run(&pods, [100, 400], &steps.collect::<Vec<_>>());
        prop_assert_eq!(store.counted.len(), pods.len());
        prop_assert!(store.counted.values().all(|count| *count == 1));
    }
}
