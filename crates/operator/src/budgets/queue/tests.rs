use serde_json::json;

use super::*;
use crate::budgets::pending::Evaluated;
use crate::metrics::stop;
use winddown_core::kind::Kind;
use winddown_core::observation::Outcome;
use winddown_core::shutdown_budget::Computed;

const SECOND: Duration = Duration::from_secs(1);

fn workload(name: &str) -> Arc<WorkloadRef> {
    Arc::new(WorkloadRef { kind: Kind::Deployment, namespace: "shop".to_owned(), name: name.to_owned() })
}

fn evaluated(uid: &str, generation: i64, is_new: bool) -> Evaluated {
    let workload = json!({"kind": "Deployment", "metadata": {"name": "web", "generation": generation}});
    Evaluated { uid: uid.into(), computed: Some(Computed::not_evaluated(&workload, "too large")), is_new, state: None }
}

/// A stop with this exit code; 137 at the end of its grace period.
fn stopped(name: &str, outcome: Outcome) -> Stop {
    Stop { outcome, ..stop("shop", name, 0) }
}

/// A queue, and its clock.
struct Test {
    queue: Queue,
    start: Instant,
    now: Instant,
}

impl Test {
    fn new() -> Self {
        let now = Instant::now();
        Self { queue: Queue::default(), start: now, now }
    }

    fn evaluate(&mut self, name: &str) {
        self.queue.change(&workload(name), self.now, |pending| pending.evaluate(evaluated("u", 1, false), self.now));
    }

    fn stop(&mut self, name: &str, outcome: Outcome) -> bool {
        self.queue.stopped(stopped(name, outcome), self.now)
    }

    fn count_pods(&mut self, name: &str) {
        self.queue.change(&workload(name), self.now, |pending| pending.count_pods(self.now));
    }

    fn take(&mut self) -> Option<(Arc<WorkloadRef>, Pending)> {
        self.queue.take(self.now, |_| true, |_| true)
    }

    /// Waits until something is due, and writes it: which workload, and after how many seconds since the start.
    fn write(&mut self) -> Option<(String, u64)> {
        self.now = self.now.max(self.queue.next(self.now)?);
        let (workload, _) = self.take()?;
        self.queue.written(&workload, self.now);
        Some((workload.name.clone(), self.now.duration_since(self.start).as_secs()))
    }

    /// Everything that is written from now on, within an hour.
    fn writes(&mut self) -> Vec<(String, u64)> {
        let mut writes = Vec::new();
        while let Some(next) = self.queue.next(self.now) {
            assert!(next < self.start + Duration::from_hours(1));
            self.now = self.now.max(next);
            writes.extend(self.write());
        }
        writes
    }
}

fn at(writes: &[(&str, u64)]) -> Vec<(String, u64)> {
    writes.iter().map(|(name, second)| ((*name).to_owned(), *second)).collect()
}

#[test]
fn an_evaluation_and_a_kill_are_written_at_once_and_other_things_together_after_ten_seconds() {
    let mut test = Test::new();
    test.stop("stopped", Outcome::Clean);
    test.count_pods("changed");
    test.evaluate("evaluated");
    assert!(test.stop("killed", Outcome::Killed));
    assert_eq!(test.queue.backlog(test.now), 2);
    let written = test.writes();
    assert_eq!(written[..2], at(&[("killed", 0), ("evaluated", 0)]));
    assert_eq!(written[2..], at(&[("stopped", 10), ("changed", 10)]));
    assert_eq!((test.queue.backlog(test.now), test.queue.entries.len(), test.queue.stops), (0, 0, 0));
}

#[test]
fn stops_and_pods_of_one_workload_are_written_every_thirty_seconds() {
    let mut test = Test::new();
    let mut written = Vec::new();
    for second in 0..100 {
        test.now = test.start + second * SECOND;
        if second < 70 {
            test.stop("web", Outcome::Clean);
            test.count_pods("web");
        }
        while test.queue.next(test.now).is_some_and(|next| next <= test.now) {
            written.extend(test.write());
        }
    }
    assert_eq!(written, at(&[("web", 10), ("web", 40), ("web", 70)]));
    // Neither an evaluation nor a kill waits.
    test.evaluate("web");
    assert_eq!(test.write(), Some(("web".to_owned(), 99)));
    test.stop("web", Outcome::Killed);
    assert_eq!(test.write(), Some(("web".to_owned(), 99)));
}

#[test]
fn many_stops_do_not_wait_and_too_many_are_lost() {
    let mut test = Test::new();
    for _ in 0..31 {
        assert!(test.stop("web", Outcome::Clean));
    }
    assert!(test.take().is_none());
    assert!(test.stop("web", Outcome::Clean));
    let (web, pending) = test.take().unwrap();
    assert_eq!(pending.stops.len(), 32);
    test.queue.failed(&web, pending, Failure::Refused, test.now);
    let kept = (0..500).filter(|_| test.stop("web", Outcome::Clean)).count();
    assert_eq!(kept, 256 - 32);
    let one = stopped("db", Outcome::Clean);
    let of_workload = |number: usize| Stop { workload: workload(&(number / 100).to_string()), ..one.clone() };
    let of_all = (0..MOST_STOPS).filter(|number| test.queue.stopped(of_workload(*number), test.now)).count();
    assert_eq!(of_all, MOST_STOPS - 256);
}

#[test]
fn a_new_leader_writes_stops_at_once() {
    let mut test = Test::new();
    test.queue.lead(test.now);
    test.stop("web", Outcome::Clean);
    assert!(test.take().is_some());
    test.now += TAKEOVER;
    test.stop("db", Outcome::Clean);
    assert!(test.take().is_none());
    // Told before it knew.
    test.queue.lead(test.now);
    assert!(test.take().is_some());
}

#[test]
fn what_comes_during_a_write_is_written_by_the_next_one() {
    let mut test = Test::new();
    test.evaluate("web");
    let (web, _) = test.take().unwrap();
    assert!(test.queue.is_evaluated(&web));
    test.evaluate("web");
    assert!(test.take().is_none(), "one at a time");
    test.queue.written(&web, test.now);
    assert!(test.take().is_some());
    test.queue.written(&web, test.now);
    assert!(!test.queue.is_evaluated(&web));
}

#[test]
fn what_was_new_before_a_failure_is_still_new() {
    let mut test = Test::new();
    let web = workload("web");
    let now = test.now;
    test.queue.change(&web, now, |pending| pending.evaluate(evaluated("u", 1, true), now));
    let (_, taken) = test.take().unwrap();
    test.queue.change(&web, now, |pending| pending.evaluate(evaluated("u", 2, false), now));
    test.queue.failed(&web, taken, Failure::Refused, now);
    test.now += SECOND;
    let (_, taken) = test.take().unwrap();
    let evaluated = taken.evaluated.unwrap();
    assert!(evaluated.is_new);
    assert_eq!(evaluated.computed, super::tests::evaluated("u", 2, true).computed, "the later one counts");
}

#[test]
fn a_write_that_fails_is_repeated_less_and_less_often_and_delays_no_other() {
    for failure in [Failure::Refused, Failure::Unavailable] {
        let mut test = Test::new();
        test.evaluate("failing");
        let mut attempts = Vec::new();
        while attempts.len() < 9 {
            test.now = test.now.max(test.queue.next(test.now).unwrap());
            // The quiet time after a write of the other one may end.
            let Some((workload, pending)) = test.take() else { continue };
            attempts.push(test.now.duration_since(test.start).as_secs());
            let failures = test.queue.failed(&workload, pending, failure, test.now);
            assert_eq!(usize::try_from(failures).unwrap(), attempts.len());
            test.evaluate("other");
            assert_eq!(test.write().unwrap().0, "other");
        }
        assert_eq!(attempts, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    }
}

#[test]
fn while_the_api_server_is_not_reached_everything_waits() {
    let mut test = Test::new();
    for name in ["a", "b", "c"] {
        test.evaluate(name);
    }
    let mut attempts = Vec::new();
    while attempts.len() < 5 {
        test.now = test.now.max(test.queue.next(test.now).unwrap());
        let Some((workload, pending)) = test.take() else { continue };
        attempts.push(test.now.duration_since(test.start).as_secs());
        test.queue.failed(&workload, pending, Failure::Unreachable, test.now);
        assert!(test.queue.is_paused(test.now) && test.take().is_none());
    }
    assert_eq!(attempts, [0, 1, 3, 7, 15]);
    assert_eq!(test.writes().len(), 3, "nothing is lost");
}

#[test]
fn a_write_that_waits_for_its_turn_is_no_failure() {
    let mut test = Test::new();
    test.evaluate("web");
    let (web, pending) = test.take().unwrap();
    assert_eq!(test.queue.failed(&web, pending, Failure::NotYet(40 * SECOND), test.now), 0);
    assert_eq!(test.writes(), at(&[("web", 40)]));
}

#[test]
fn at_most_twenty_budgets_a_second_are_written_in_ten_seconds() {
    let mut test = Test::new();
    for number in 0..250 {
        test.evaluate(&number.to_string());
    }
    assert!(test.stop("killed", Outcome::Killed));
    let writes = test.writes();
    assert_eq!((writes.len(), writes[0].0.as_str()), (251, "killed"));
    let until = |second| writes.iter().filter(|(_, at)| *at < second).count();
    assert!((20..=25).contains(&until(1)) && (180..=190).contains(&until(10)), "{} {}", until(1), until(10));
}

#[test]
fn kills_do_not_keep_other_budgets_waiting() {
    let mut test = Test::new();
    test.evaluate("misfit");
    test.now += SECOND;
    for number in 0..100 {
        assert!(test.stop(&number.to_string(), Outcome::Killed));
    }
    let writes = test.writes();
    let position = writes.iter().position(|(name, _)| name == "misfit");
    assert_eq!((writes.len(), position), (101, Some(3)));
}

#[test]
fn pods_that_are_as_they_were_are_not_written_and_count_for_no_limit() {
    let mut test = Test::new();
    for number in 0..10_000 {
        test.count_pods(&number.to_string());
    }
    test.count_pods("changed");
    test.now += 10 * SECOND;
    let (taken, _) = test.queue.take(test.now, |_| true, |workload| workload.name == "changed").unwrap();
    assert_eq!(taken.name, "changed");
    assert_eq!(test.queue.entries.len(), 1);
}

#[test]
fn nothing_is_written_about_a_workload_that_is_gone() {
    let mut test = Test::new();
    test.stop("waits", Outcome::Clean);
    test.evaluate("web");
    let (web, taken) = test.take().unwrap();
    for name in ["waits", "web"] {
        test.queue.forget(&workload(name), Some("u"), test.now);
    }
    test.queue.failed(&web, taken, Failure::Refused, test.now);
    assert_eq!(test.writes(), []);
    assert_eq!((test.queue.entries.len(), test.queue.stops), (0, 0));
    // Another one with its name.
    test.evaluate("web");
    test.queue.forget(&web, Some("earlier"), test.now);
    assert_eq!(test.write().map(|(name, _)| name).as_deref(), Some("web"));
}

#[test]
fn another_leader_is_told_everything_again() {
    let mut test = Test::new();
    test.evaluate("web");
    test.stop("db", Outcome::Clean);
    test.queue.follow(test.now);
    assert_eq!(test.writes(), []);
    assert_eq!((test.queue.entries.len(), test.queue.stops), (0, 0));
}

#[test]
fn at_shutdown_everything_is_written_before_it_is_due() {
    let mut test = Test::new();
    test.evaluate("web");
    test.stop("db", Outcome::Clean);
    test.count_pods("api");
    assert_eq!(test.write().unwrap().0, "web");
    let mut taken: Vec<_> = test.queue.take_all().into_iter().map(|(workload, _)| workload.name.clone()).collect();
    taken.sort();
    assert_eq!(taken, ["api", "db"]);
}

#[test]
fn stops_of_a_workload_without_a_budget_wait_for_its_evaluation_and_take_no_turn_of_others() {
    let mut test = Test::new();
    for number in 0..1000 {
        test.stop(&number.to_string(), Outcome::Killed);
    }
    test.stop("web", Outcome::Killed);
    let take = |test: &mut Test| test.queue.take(test.now, |workload| workload.name == "web", |_| true);
    let (web, _) = take(&mut test).unwrap();
    assert_eq!(web.name, "web");
    test.queue.written(&web, test.now);
    assert!(take(&mut test).is_none());
    test.evaluate("7");
    test.now += UNEVALUATED_RETRY;
    let (evaluated, pending) = take(&mut test).unwrap();
    assert_eq!((&*evaluated.name, pending.stops.len()), ("7", 1));
    test.queue.written(&evaluated, test.now);
    test.now += UNEVALUATED + SECOND;
    assert!(take(&mut test).is_none());
    assert_eq!((test.queue.entries.len(), test.queue.stops), (0, 0), "given up");
}

#[test]
fn the_last_stops_of_a_workload_that_is_gone_are_not_kept() {
    let mut test = Test::new();
    test.queue.forget(&workload("web"), Some("u"), test.now);
    for _ in 0..1000 {
        test.stop("web", Outcome::Killed);
    }
    assert_eq!((test.queue.stops, test.take().is_none(), test.queue.take_lost()), (0, true, Lost::default()));
    // Another one with its name.
    test.evaluate("web");
    assert_eq!(test.write().unwrap().0, "web");
    test.stop("web", Outcome::Killed);
    let killed = test.now.duration_since(test.start).as_secs();
    assert_eq!(test.write(), Some(("web".to_owned(), killed)));
    // Its entry is removed in the end.
    test.queue.forget(&workload("db"), Some("u"), test.now);
    assert_eq!(test.writes(), []);
    assert_eq!(test.queue.entries.len(), 0);
}

#[test]
fn stops_that_are_lost_are_counted() {
    let mut test = Test::new();
    for _ in 0..300 {
        test.stop("web", Outcome::Clean);
    }
    assert_eq!(test.queue.take_lost(), Lost { backlog: 300 - 256, ..Lost::default() });
    let (web, pending) = test.take().unwrap();
    for _ in 0..10 {
        test.stop("web", Outcome::Clean);
    }
    test.queue.failed(&web, pending, Failure::Refused, test.now);
    assert_eq!(test.queue.take_lost(), Lost { backlog: 10, ..Lost::default() });
    test.now += UNEVALUATED + SECOND;
    assert!(test.queue.take(test.now, |_| false, |_| true).is_none());
    assert_eq!(test.queue.take_lost(), Lost { without_budget: 256, ..Lost::default() });
    assert_eq!(test.queue.take_lost(), Lost::default());
}
