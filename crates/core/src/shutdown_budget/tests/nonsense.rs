//! A status that somebody else wrote.

use serde_json::{Value, json};

use super::{computed, fits, injected, reasons, written};
use crate::observation::Outcome;
use crate::observation::example::{at, stop};
use crate::shutdown_budget::{ShutdownBudgetStatus, Update};

/// Winddown writes less.
const MAX_SIZE: usize = 12 * 1024;

fn size(status: &ShutdownBudgetStatus) -> usize {
    serde_json::to_vec(status).unwrap().len()
}

/// A status with stops.
fn valid() -> Value {
    let stops = [stop(1, Outcome::Killed, 30), stop(2, Outcome::Clean, 4)];
    let status = written(&computed(&injected(&fits())));
    serde_json::to_value(status.next(&Update { stops: &stops, ..Update::default() }, at(2)).status).unwrap()
}

#[test]
fn nonsense_in_a_stored_status_is_bounded_and_said_once() {
    let (valid, computed) = (valid(), computed(&injected(&fits())));
    let long = "\u{1f600}x\n".repeat(30_000);
    let foreign = json!({"type": "Fits", "status": "Maybe", "reason": "x".repeat(2000), "message": long,
                         "lastTransitionTime": "9999-01-01T00:00:00Z"});
    let all_nonsense = [
        Value::Null,
        json!(5),
        json!(-1e300),
        json!(long),
        json!({"v": 7}).to_string().into(),
        json!({"v": 1, "since": "9999-01-01T00:00:00Z", "totals": {"clean": u64::MAX}}).to_string().into(),
        json!([]),
        json!([5, long]),
        json!(vec![&long; 20]),
        json!(vec![&foreign; 100]),
        json!({"a": [[[]]], "drain": long, "count": -1, "current": u64::MAX}),
        json!({"drain": long, "deadlineFrom": long, "longestHelper": long}),
    ];
    let stops = [stop(900, Outcome::Killed, 30)];
    let none = Update::default();
    let updates = [none, Update { computed: Some(&computed), is_new: true, ..none }, Update { stops: &stops, ..none }];
    for field in valid.as_object().unwrap().keys() {
        for nonsense in &all_nonsense {
            let mut stored = valid.clone();
            stored[field] = nonsense.clone();
            let stored: ShutdownBudgetStatus = serde_json::from_value(stored).unwrap();
            for update in &updates {
                let next = stored.next(update, at(1000));
                let is_said = reasons(&next).iter().filter(|reason| **reason == "StatusReset").count();
                let is_read = field == "checkpoint" && !nonsense.as_str().is_some_and(|text| text.contains("9999"));
                let is_reset = is_read || field == "reported" && nonsense.is_string();
                assert_eq!(is_said, usize::from(is_reset), "{field}: {:.80}", nonsense.to_string());
                assert!(next.events.iter().all(|event| event.note.len() <= 1024), "{:?}", next.events);
                assert!(size(&next.status) <= MAX_SIZE, "{field}: {:?}", next.status);
                assert_eq!(next.status.conditions.len(), 4);
                let again = next.status.next(update, at(1000));
                assert_eq!((&again.status, again.events, again.admitted), (&next.status, vec![], vec![]), "{field}");
            }
        }
    }
}

#[test]
fn what_was_computed_replaces_what_somebody_wrote() {
    let (valid, computed) = (valid(), computed(&injected(&fits())));
    let update = Update { computed: Some(&computed), ..Update::default() };
    for field in ["budget", "findings", "phases", "policy", "workload", "workloadGeneration", "conditions", "reported"]
    {
        let mut stored = valid.clone();
        stored[field] = json!("reviewed by security");
        let stored: ShutdownBudgetStatus = serde_json::from_value(stored).unwrap();
        let restored = stored.next(&update, at(2)).status;
        assert_ne!(restored.fingerprint(), ShutdownBudgetStatus::default().fingerprint());
        assert_eq!(restored.fingerprint(), computed.fingerprint(), "{field}");
    }
}

#[test]
fn a_time_that_the_api_server_would_refuse_is_not_written_again() {
    let far =
        ["0000-01-01T00:00:00+01:00", "-000001-12-31T23:00:00Z", "9999-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "x"];
    for time in far {
        let mut stored = valid();
        stored["conditions"][0]["lastTransitionTime"] = json!(time);
        let stored: ShutdownBudgetStatus = serde_json::from_value(stored).unwrap();
        let next = serde_json::to_value(stored.next(&Update::default(), at(3)).status).unwrap();
        let times: Vec<_> =
            (0..4).map(|index| next["conditions"][index]["lastTransitionTime"].as_str().unwrap()).collect();
        assert!(times[0].len() == 20 && times[0] <= at(3).to_string().as_str(), "{time}: {times:?}");
        assert_eq!(times[1..], [at(0), at(0), at(2)].map(|time| time.to_string()), "the others stay");
    }
}

#[test]
fn a_budget_that_was_deleted_counts_nothing_again() {
    let stops = [stop(1, Outcome::Killed, 30), stop(601, Outcome::Clean, 4)];
    let computed = computed(&injected(&fits()));
    let update = Update { computed: Some(&computed), stops: &stops, is_new: true, ..Update::default() };
    assert_eq!(ShutdownBudgetStatus::default().next(&update, at(600)).admitted, [1]);
}

#[test]
fn a_checkpoint_that_was_removed_counts_nothing_again() {
    let mut stored = valid();
    stored.as_object_mut().unwrap().remove("checkpoint");
    let stored: ShutdownBudgetStatus = serde_json::from_value(stored).unwrap();
    let stops = [stop(1, Outcome::Killed, 30), stop(1000, Outcome::Clean, 4)];
    let next = stored.next(&Update { stops: &stops, ..Update::default() }, at(600));
    assert_eq!((next.admitted, reasons(&stored.next(&Update::default(), at(600)))), (vec![], vec!["StatusReset"]));
    let later = next.status.next(&Update { stops: &stops, ..Update::default() }, at(1000));
    assert_eq!(later.admitted, [1], "what ends after the largest difference of clocks");
}
