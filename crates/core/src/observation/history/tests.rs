//! What a status shows after a number of stops, and what remains of it after a restart.

use super::{CheckpointError, History, SHOWN};
use crate::duration::Seconds;
use crate::observation::example::{at, stop};
use crate::observation::{ContainerStop, Outcome, Promise, Recommendation, Stop, Timestamp, Unseen};
use crate::report::EventKind;

fn history(stops: impl IntoIterator<Item = Stop>) -> History {
    let mut history = History::new(at(0));
    for stop in stops {
        assert!(history.admit(&stop, stop.at), "{stop}");
    }
    history
}

/// As the next leader reads it.
fn restored(history: &History, now: Timestamp) -> History {
    let summary = history.summary();
    History::restore(&history.checkpoint(), &summary.recent, &summary.not_honoured, now).unwrap()
}

fn clean(stops: i64) -> impl Iterator<Item = Stop> {
    (0..stops).map(|number| stop(60 * number, Outcome::Clean, if number % 50 == 49 { 9 } else { 4 }))
}

#[test]
fn the_summary_reads_like_a_page() {
    let killed = [10_000, 10_001].map(|second| stop(second, Outcome::Killed, 30));
    let (duration, app_time, containers) = (None, None, Vec::new());
    let unknown = stop(10_002, Outcome::Unknown(Unseen::Forced), 0);
    let unknown = Stop { containers, duration, app_time, ..unknown };
    let history = history(clean(150).chain(killed).chain([stop(10_003, Outcome::Clean, 4), unknown]));
    let text = serde_json::to_string_pretty(&history.summary()).unwrap();
    assert_eq!(text, include_str!("summary.json").trim_end(), "{text}");
}

#[test]
fn nothing_is_lost_between_two_leaders() {
    let mut kept = history([]);
    let mut passed = kept.clone();
    let stops = clean(100).chain((0..40).map(|number| stop(7000 + number, Outcome::Killed, 30)));
    for stop in stops.chain([stop(8000, Outcome::Failed, 3)]) {
        assert!(kept.admit(&stop, stop.at) && passed.admit(&stop, stop.at));
        passed = restored(&passed, stop.at);
        assert_eq!(kept.due_event(stop.at), passed.due_event(stop.at));
        passed = restored(&passed, stop.at);
        assert_eq!(passed, kept);
        assert!(!passed.admit(&stop, stop.at));
    }
    assert_eq!(passed.summary().shutdowns.count, 141);
}

#[test]
fn a_checkpoint_stays_small() {
    let mut history = history(clean(5000).chain((0..256).map(|number| stop(300_000, Outcome::Killed, number))));
    let _ = history.due_event(at(300_001));
    assert!(history.checkpoint().len() <= 3500, "in a burst: {}", history.checkpoint().len());
    assert!(history.admit(&stop(400_000, Outcome::Clean, 4), at(400_000)));
    let size = history.checkpoint().len();
    assert!(size <= 1500, "otherwise: {size}");
}

#[test]
fn a_checkpoint_that_is_not_ours_is_an_error_and_nothing_is_counted_twice() {
    let stops: Vec<_> = clean(100).collect();
    let (text, now) = (history(stops.clone()).checkpoint(), at(60 * 100));
    let long = " ".repeat(9000);
    let future = text.replace("\"from\":\"2026", "\"from\":\"2036");
    assert!(matches!(History::restore(&future, &[], &[], now), Err(CheckpointError::Future(_))));
    for (checkpoint, error) in [
        ("", CheckpointError::Malformed),
        ("[]", CheckpointError::Malformed),
        (r#"{"v":-1}"#, CheckpointError::Malformed),
        (r#"{"v":1}"#, CheckpointError::Malformed),
        (r#"{"v":2,"counts":"more"}"#, CheckpointError::Version(2)),
        (long.as_str(), CheckpointError::TooLarge(9000)),
        (&text.replace("\"app\":\"4:", "\"app\":\"x:"), CheckpointError::Malformed),
        (&text.replace("\"seen\":\"", "\"seen\":\"?"), CheckpointError::Malformed),
        (&text.replace("\"v\":1", "\"v\":1,\"more\":1"), CheckpointError::Malformed),
    ] {
        assert_eq!(History::restore(checkpoint, &[], &[], now), Err(error), "{checkpoint}");
        let mut history = History::starting_again(now);
        assert!(stops.iter().all(|stop| !history.admit(stop, now)));
        assert!(history.admit(&stop(60 * 110, Outcome::Clean, 4), at(60 * 110)), "counting goes on");
    }
}

#[test]
fn lines_of_others_are_left_out() {
    let own = "2026-02-02T02:40:11Z web-1 Rollout: 11s of 15s, app 6s, exit code 0".to_owned();
    let future = |year: u32| format!("{year}-01-01T00:00:00Z web-1");
    let others = ["nonsense".to_owned(), format!("{own}\n{own}"), own.repeat(100), String::new()];
    let lines: Vec<_> = [2027, 2028, 9999].map(future).into_iter().chain(others).chain([own.clone()]).collect();
    let history = History::restore(&history([]).checkpoint(), &lines, &vec![own.clone(); 1000], at(0)).unwrap();
    assert_eq!((history.summary().recent, history.summary().not_honoured), (vec![own.clone()], vec![own]));
}

#[test]
fn the_last_lines_are_shown_and_the_last_that_were_not_honoured() {
    let stops = (0..10).map(|second| stop(second, if second < 5 { Outcome::Killed } else { Outcome::Clean }, 4));
    // The stops that another replica held come later.
    let summary = history(stops.rev()).summary();
    let second = |line: &String| line.split(' ').nth(1).unwrap().rsplit('-').next().unwrap().to_owned();
    assert_eq!(summary.recent.iter().map(second).collect::<Vec<_>>(), ["7", "8", "9"]);
    assert_eq!(summary.not_honoured.iter().map(second).collect::<Vec<_>>(), ["2", "3", "4"]);
    assert_eq!(summary.recent.len(), SHOWN);
}

#[test]
fn the_promise_is_the_worst_of_the_template_that_stopped_last() {
    let of = |template: &str, second: i64, outcome| Stop { template: template.into(), ..stop(second, outcome, 4) };
    let (killed, clean, unknown) = (Outcome::Killed, Outcome::Clean, Outcome::Unknown(Unseen::End));
    for (stops, promise) in [
        (vec![], None),
        (vec![of("a", 1, unknown)], None),
        (vec![of("a", 1, clean)], Some(Promise::Honoured)),
        (vec![of("a", 1, killed), of("a", 2, clean), of("a", 3, unknown)], Some(Promise::Killed)),
        (vec![of("a", 1, killed), of("b", 2, clean)], Some(Promise::Honoured)),
        // Two rollouts overlap, or the stop of an earlier template is reported late.
        (vec![of("a", 1, clean), of("b", 3, killed), of("a", 4, clean)], Some(Promise::Killed)),
        (vec![of("a", 1, clean), of("b", 3, killed), of("c", 2, clean)], Some(Promise::Killed)),
        (vec![of("a", 1, killed), of("b", 2, clean), of("a", 3, killed)], Some(Promise::Honoured)),
        // A rollback.
        (vec![of("a", 1, killed), of("b", 2, killed), of("a", 1000, clean)], Some(Promise::Honoured)),
    ] {
        assert_eq!(history(stops).summary().promise, promise);
    }
}

#[test]
fn an_event_is_due_at_most_every_five_minutes_and_counts_what_came_between() {
    let mut history = history(clean(10));
    assert_eq!(history.due_event(at(600)), None);
    let mut published = Vec::new();
    for second in 10_000..11_000 {
        if second % 10 == 0 {
            let outcome = if second % 50 == 0 { Outcome::Killed } else { Outcome::Clean };
            assert!(history.admit(&stop(second, outcome, 30), at(second)));
        }
        published.extend(history.due_event(at(second)).map(|event| (second, event)));
        history = restored(&history, at(second));
    }
    assert_eq!(published.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [10_000, 10_300, 10_600, 10_900]);
    let (_, event) = &published[1];
    assert_eq!((event.kind, event.reason), (EventKind::Warning, "ShutdownKilled"));
    assert_eq!(
        event.note,
        "6 of 30 pods that stopped were killed at the end of the grace period: container app of web-7d9f-10300 still ran \
         after 35s of 35s. Make the app exit sooner after SIGTERM, or try winddown.dev/deadline: 60s"
    );
}

#[test]
fn an_event_is_short_whatever_the_names_are() {
    let mut killed = stop(0, Outcome::Killed, 30);
    killed.pod = "\u{202e}\u{1f600}".repeat(1000);
    killed.containers[0] =
        ContainerStop { name: "\u{1f600}".repeat(1000), out_of_memory: true, ..killed.containers[0].clone() };
    let mut history = history([killed]);
    let size = history.checkpoint().len();
    assert!(size <= 1500, "{size}");
    let note = history.due_event(at(1)).unwrap().note;
    assert!(note.len() <= 1024 && note.starts_with("A pod was killed"), "{note}");
    assert!(history.summary().recent[0].chars().count() <= 200);
}

#[test]
fn a_kill_after_a_hook_of_unknown_length_names_no_time() {
    let mut killed = stop(0, Outcome::Killed, 30);
    (killed.app_time, killed.containers[0].after_signal) = (None, None);
    let mut history = history([killed]);
    assert_eq!(history.recommendation(), Recommendation::TooFew(0));
    let note = history.due_event(at(1)).unwrap().note;
    let end = "still ran after 35s of 35s. Make the app exit sooner after SIGTERM, or raise winddown.dev/deadline";
    assert!(note.ends_with(end), "{note}");
}

#[test]
fn a_kill_is_forgotten_after_enough_stops_with_a_longer_grace_period() {
    let killed = stop(0, Outcome::Killed, 30);
    let longer = |number: i64| Stop { grace_period: Some(Seconds::new(65)), ..stop(60 * number, Outcome::Clean, 33) };
    let more_than = |history: &History| matches!(history.recommendation(), Recommendation::MoreThan { .. });
    assert!(more_than(&history([killed.clone()].into_iter().chain((1..100).map(|it| stop(
        60 * it,
        Outcome::Clean,
        4
    ))))));
    assert!(more_than(&history([killed.clone()].into_iter().chain((1..20).map(longer)))));
    let unknown_hook = |number: i64| Stop { app_time: None, ..longer(number) };
    assert!(!more_than(&history([killed.clone()].into_iter().chain((1..21).map(unknown_hook)))));
    let enough = history([killed].into_iter().chain((1..21).map(longer)));
    assert_eq!(
        enough.summary().recommendation,
        "the longest of 20 stops is 33s: a deadline of 40s is enough; endpoints were withdrawn within 0.25s"
    );
}

#[test]
fn promises_have_stable_names_in_stored_histories() {
    let names = [Promise::NotJudged, Promise::Honoured, Promise::Overran, Promise::Failed, Promise::Killed];
    let names = names.map(|promise| serde_json::to_value(promise).unwrap());
    assert_eq!(names, ["NotJudged", "Kept", "Overran", "Failed", "Killed"]);
}
