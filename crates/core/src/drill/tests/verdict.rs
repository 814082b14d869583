//! Whether the promise was honoured.

use super::super::Verdict;
use crate::duration::Seconds;
use crate::observation::example::stop;
use crate::observation::{Cause, Outcome, Stop, Unseen};
use crate::policy::Numbers;

fn evicted(outcome: Outcome) -> Stop {
    Stop { cause: Cause::Eviction, ..stop(0, outcome, 6) }
}

#[test]
fn each_outcome_of_an_eviction_has_its_verdict() {
    for (outcome, verdict, text) in [
        (Outcome::Clean, "honoured", "honoured: "),
        (Outcome::Failed, "broken", "broken: "),
        (Outcome::Killed, "broken", "broken: "),
        (Outcome::KilledOtherwise, "broken", "broken: "),
        (Outcome::OutOfMemory, "broken", "broken: "),
        (Outcome::CutShort, "unclear", "unclear: "),
        (Outcome::Unknown(Unseen::End), "unclear", "unclear: "),
        (Outcome::Unknown(Unseen::Status), "unclear", "unclear: "),
    ] {
        let found = Verdict::of(Some(evicted(outcome)));
        assert_eq!(found.as_str(), verdict, "{outcome}");
        assert_eq!(found.to_string(), format!("{text}{}", evicted(outcome)), "{outcome}");
    }
}

#[test]
fn a_stop_that_was_not_seen_is_no_verdict_about_the_app() {
    let found = Verdict::of(None);
    assert_eq!((found.as_str(), found.clone()), ("unseen", Verdict::Unseen));
    assert_eq!(found.to_string(), "unseen: the end of the pod was not seen");
}

#[test]
fn an_app_that_ran_longer_than_its_deadline_did_not_keep_its_promise() {
    let budget = |deadline| Numbers {
        drain: Seconds::new(5),
        deadline: Seconds::new(deadline),
        others: None,
        margin: Seconds::new(5),
    };
    for (deadline, verdict) in [(6, "honoured"), (5, "honoured"), (4, "broken")] {
        let stop = Stop { budget: Some(budget(deadline)), ..evicted(Outcome::Clean) };
        assert_eq!(Verdict::of(Some(stop)).as_str(), verdict, "{deadline}");
    }
}

#[test]
fn a_node_that_ends_the_pod_meanwhile_says_nothing_about_the_app() {
    for cause in [Cause::NodeLost, Cause::NodePressure, Cause::NodeShutdown, Cause::KubeletPreemption, Cause::Kubelet] {
        for outcome in
            [Outcome::Clean, Outcome::Failed, Outcome::Killed, Outcome::KilledOtherwise, Outcome::OutOfMemory]
        {
            let found = Verdict::of(Some(Stop { cause, ..evicted(outcome) }));
            assert_eq!(found.as_str(), "unclear", "{cause} {outcome}");
        }
    }
}

#[test]
fn an_app_that_failed_in_a_shorter_grace_period_is_not_blamed() {
    let stop = Stop { grace_period: Some(Seconds::new(3)), ..evicted(Outcome::Failed) };
    assert_eq!(Verdict::of(Some(stop)).as_str(), "unclear");
}
