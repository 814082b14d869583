//! How long the slices needed to withdraw a pod.

use std::time::Duration;

use serde_json::json;

use super::{Watch, container, deleted, ended, only, running};
use crate::observation::{EndpointSliceView, Event};

/// What a slice shows of the pod.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Ready,
    Terminating,
    /// By a Service with `publishNotReadyAddresses`.
    ReadyAndTerminating,
    /// Terminating, in a list.
    Listed,
    Nothing,
}

fn slice(name: &str, shown: Shown) -> EndpointSliceView {
    let conditions = match shown {
        Shown::Ready => json!({"ready": true}),
        Shown::ReadyAndTerminating => json!({"ready": true, "terminating": true}),
        Shown::Terminating | Shown::Listed | Shown::Nothing => json!({"ready": false, "terminating": true}),
    };
    let endpoints = match shown {
        Shown::Nothing => json!(null),
        _ => json!([{"conditions": conditions, "targetRef": {"uid": "1"}}]),
    };
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name}, "endpoints": endpoints})).unwrap()
}

#[test]
fn the_withdrawal_lasts_until_the_last_slice() {
    use Shown::{Listed, Nothing, Ready, ReadyAndTerminating, Terminating};
    // The deletion is seen at 0.1 s.
    for (slices, expected) in [
        (&[(0.2, "a", Terminating)][..], Some(100)),
        // Every later event of a slice shows the pod again.
        (&[(0.2, "a", Terminating), (0.6, "b", Terminating), (2.0, "a", Terminating)], Some(500)),
        // The slice is ahead of the pod.
        (&[(0.05, "a", Terminating), (2.0, "a", Terminating)], Some(0)),
        (&[(0.2, "a", Ready)], None),
        (&[(0.2, "a", ReadyAndTerminating)], None),
        // A list does not tell when.
        (&[(0.2, "a", Terminating), (3.0, "b", Listed), (4.0, "b", Terminating)], None),
        (&[(0.2, "a", Nothing)], None),
    ] {
        let mut watch = Watch::new();
        watch.apply(-1.0, &running());
        let mut is_deleted = false;
        for (at, name, shown) in slices {
            if *at > 0.1 && !is_deleted {
                watch.apply(0.1, &deleted(running(), 15));
                is_deleted = true;
            }
            let slice = slice(name, *shown);
            let event = if matches!(shown, Listed) { Event::ListedSlice(&slice) } else { Event::Slice(&slice) };
            assert_eq!(watch.see(*at, event), []);
        }
        let end = ended(deleted(running(), 15), &[container("app", 0, "Completed", 5)]);
        let withdrawal = only(watch.apply(7.0, &end)).withdrawal;
        let rounded = withdrawal.map(|time| (time + Duration::from_micros(500)).as_millis());
        assert_eq!(rounded, expected, "{slices:?}");
    }
}

#[test]
fn a_deletion_in_a_list_is_not_measured() {
    let mut watch = Watch::new();
    watch.list(0.1, &[&deleted(running(), 15)]);
    watch.see(0.2, Event::Slice(&slice("a", Shown::Terminating)));
    let stop = only(watch.apply(7.0, &ended(deleted(running(), 15), &[container("app", 0, "Completed", 5)])));
    assert_eq!(stop.withdrawal, None);
}
