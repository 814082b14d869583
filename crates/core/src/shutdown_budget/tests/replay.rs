//! Several writers, conflicts and replays.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use super::{Pods, computed, fits, injected};
use crate::observation::example::{at, stop};
use crate::observation::{Outcome, Stop};
use crate::shutdown_budget::{ShutdownBudgetStatus, Update};

const WRITERS: usize = 3;
const STOPS: usize = 400;

#[derive(Clone, Debug)]
enum Step {
    Read {
        writer: usize,
    },
    /// Offers some stops, and perhaps more. A conflict if somebody wrote since this writer read.
    Write {
        writer: usize,
        first: usize,
        number: usize,
        computed: bool,
        pods: Option<u32>,
    },
    Wait {
        seconds: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writer = || 0..WRITERS;
    vec(
        prop_oneof![
            3 => writer().prop_map(|writer| Step::Read { writer }),
            3 => (writer(), 0..STOPS, 0..80_usize, any::<bool>(), any::<Option<u32>>()).prop_map(
                |(writer, first, number, computed, pods)| Step::Write { writer, first, number, computed, pods }
            ),
            1 => (0..200_i64).prop_map(|seconds| Step::Wait { seconds }),
        ],
        1..60,
    )
}

proptest! {
    #[test]
    fn each_stop_is_counted_at_most_once_and_kills_are_reported_every_five_minutes(steps in steps()) {
        let outcomes = [Outcome::Killed, Outcome::Clean, Outcome::Failed];
        let stops: Vec<Stop> = (0..STOPS)
            .map(|number| Stop {
                uid: format!("uid {number}"),
                ..stop(i64::try_from(number / 7).unwrap(), outcomes[number % 3], 4)
            })
            .collect();
        let computed = computed(&injected(&fits()));
        let mut now = 300;
        let (mut version, mut stored) = (0, ShutdownBudgetStatus::default());
        let mut read: [_; WRITERS] = std::array::from_fn(|_| (version, stored.clone()));
        let mut counted = BTreeMap::<&str, u32>::new();
        let mut reported = Vec::new();
        let mut applied = 0;
        for step in &steps {
            match *step {
                Step::Wait { seconds } => now += seconds,
                Step::Read { writer } => read[writer] = (version, stored.clone()),
                Step::Write { writer, first, number, computed: is_computed, pods } => {
                    let offered = &stops[first..(first + number).min(STOPS)];
                    let update = Update {
                        created: None,
                        evaluated: is_computed.then(|| at(now.max(60) - 60)),
                        computed: Some(&computed).filter(|_| is_computed),
                        pods: pods.map(|current| Pods { current, ..Pods::default() }),
                        stops: offered,
                        is_new: true,
                    };
                    let (read_version, before) = &read[writer];
                    let next = before.next(&update, at(now));
                    if *read_version != version {
                        continue;
                    }
                    (version, stored) = (version + 1, next.status);
                    for position in next.admitted {
                        *counted.entry(&offered[position].uid).or_default() += 1;
                    }
                    let of = |reason| next.events.iter().filter(move |event| event.reason == reason);
                    reported.extend(of("ShutdownKilled").map(|_| now));
                    applied += of("BudgetApplied").count();
                    let again = stored.next(&update, at(now));
                    assert_eq!((&again.status, again.events, again.admitted), (&stored, vec![], vec![]));
                }
            }
        }
        assert!(counted.values().all(|times| *times == 1), "{counted:?}");
        let shown = stored.shutdowns.map_or(0, |shutdowns| shutdowns.count);
        assert_eq!(usize::try_from(shown).unwrap(), counted.len());
        assert!(reported.windows(2).all(|pair| pair[1] - pair[0] >= 300), "{reported:?}");
        assert!(applied <= 1);
    }
}
