//! How often the controller acts on one workload: back-off after failures, a stop after reverts, a limit for Events.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::annotations::{PREFIX, SETTLED};
use crate::fingerprint;
use crate::object::Object;

/// After a failure: doubled with each further one, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(15);
/// After a revert: doubled with each further one.
const FIRST_REPEAT: Duration = Duration::from_secs(2);
/// How often the same patch is sent before Winddown gives up on the workload.
const MAX_REPEATS: u32 = 3;
/// Until it is sent once more: doubled each time, up to the longest. A patch that stood this long was not reverted but lost.
const FIRST_PAUSE: Duration = Duration::from_hours(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(24);
/// Patches of one workload, whatever they contain.
const PATCHES: Rate = Rate { burst: 6, interval: Duration::from_mins(1) };
/// Events about one workload.
const EVENTS: Rate = Rate { burst: 16, interval: Duration::from_mins(1) };

/// The recent actions on one workload.
#[derive(Clone, Debug, Default)]
pub struct Pacing {
    failures: u32,
    /// Whether these failures were reported to the owner of the workload.
    reported_failures: bool,
    patches: TokenBucket,
    last: Option<Patched>,
    events: TokenBucket,
}

/// The patch that was sent last.
#[derive(Clone, Debug)]
struct Patched {
    desired: String,
    times: u32,
    at: Instant,
    reported: bool,
}

/// Whether a workload may be patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// After this delay.
    After(Duration),
    /// Not until it changes for another reason, or this delay has passed: the patch was reverted several times.
    Reverted {
        /// How often it was sent.
        times: u32,
        /// The delay.
        pause: Duration,
        /// Whether that is yet to be reported.
        report: bool,
    },
}

impl Pacing {
    /// Counts a failed reconciliation, and returns the delay before the next one.
    pub fn failed(&mut self, uid: &str) -> Duration {
        self.failures = self.failures.saturating_add(1);
        jittered(exponential(FIRST_RETRY, self.failures, LONGEST_RETRY), uid, self.failures)
    }

    /// Whether to report that the API server rejects a patch: once, and not the first time, because the next attempt may
    /// succeed.
    #[must_use]
    pub fn reports_rejection(&self) -> bool {
        self.failures > 0 && !self.reported_failures
    }

    /// Records that the rejection was reported.
    pub fn reported_rejection(&mut self) {
        self.reported_failures = true;
    }

    /// Forgets the failures.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.reported_failures = false;
    }

    /// Whether a patch to this state (see [`desired_state`]) may be sent.
    #[must_use]
    pub fn turn(&self, uid: &str, desired: &str, now: Instant) -> Turn {
        if let Some(last) = self.last.as_ref().filter(|last| last.desired == desired) {
            let given_up = last.times >= MAX_REPEATS;
            let pause = if given_up {
                exponential(FIRST_PAUSE, last.times - MAX_REPEATS + 1, LONGEST_PAUSE)
            } else {
                exponential(FIRST_REPEAT, last.times, FIRST_PAUSE)
            };
            let pause = jittered(pause, uid, last.times);
            let left = pause.saturating_sub(now.saturating_duration_since(last.at));
            if !left.is_zero() {
                let (times, report) = (last.times, !last.reported);
                return if given_up { Turn::Reverted { times, pause: left, report } } else { Turn::After(left) };
            }
        }
        self.patches.delay(PATCHES, now).map_or(Turn::Now, Turn::After)
    }

    /// Counts a patch to this state that was accepted.
    pub fn sent(&mut self, desired: &str, now: Instant) {
        // A limit that was asked for before the patch may be exceeded after it.
        let _ = self.patches.take(PATCHES, now);
        let same = self.last.take().filter(|last| last.desired == desired);
        let repeated =
            same.filter(|last| last.times >= MAX_REPEATS || now.saturating_duration_since(last.at) < FIRST_PAUSE);
        let (times, reported) = repeated.map_or((0, false), |last| (last.times, last.reported));
        self.last = Some(Patched { desired: desired.to_owned(), times: times.saturating_add(1), at: now, reported });
    }

    /// Records that the reverts were reported.
    pub fn reported_reverts(&mut self) {
        if let Some(last) = &mut self.last {
            last.reported = true;
        }
    }

    /// How many of this number of Events may be published, and how many are withheld; or after which delay the next one may
    /// be.
    pub fn publish(&mut self, wanted: usize, now: Instant) -> Result<(usize, usize), Duration> {
        let mut allowed = 0;
        while allowed < wanted {
            match self.events.take(EVENTS, now) {
                Ok(()) => allowed += 1,
                Err(_) if allowed > 0 => break,
                Err(delay) => return Err(delay),
            }
        }
        Ok((allowed, wanted - allowed))
    }

    /// The delay until an Event may be published; `None` if one may be now.
    #[must_use]
    pub fn publish_delay(&self, now: Instant) -> Option<Duration> {
        self.events.delay(EVENTS, now)
    }

    /// Whether nothing in it has an effect any more.
    #[must_use]
    pub fn is_idle(&self, now: Instant) -> bool {
        let quiet = |last: &Patched| {
            now.saturating_duration_since(last.at) >= if last.times < MAX_REPEATS { FIRST_PAUSE } else { LONGEST_PAUSE }
        };
        self.failures == 0
            && self.last.as_ref().is_none_or(quiet)
            && self.patches.is_full(now)
            && self.events.is_full(now)
    }
}

/// A hash of what Winddown wants a workload to be. If that is unchanged and was patched before, somebody changed the workload
/// back. Changes of other fields, such as replicas, do not count.
#[must_use]
pub fn desired_state(desired: &Value) -> String {
    let object = Object::new(desired);
    let annotations = object.annotations().unwrap_or_default().into_iter();
    let own =
        annotations.filter(|(key, _)| key.starts_with(PREFIX) || *key == SETTLED).flat_map(|(key, text)| [key, text]);
    let template = object.template().map(|template| fingerprint::of_json(template.value())).unwrap_or_default();
    fingerprint::of_texts(&own.chain([template.as_str()]).collect::<Vec<_>>())
}

/// The first delay, doubled with each attempt after the first.
fn exponential(first: Duration, attempt: u32, longest: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_sub(1).min(30));
    first.saturating_mul(factor).min(longest)
}

/// Between three quarters of the delay and all of it, by workload and attempt, so that many workloads do not retry together.
fn jittered(delay: Duration, uid: &str, attempt: u32) -> Duration {
    let hash = fingerprint::of_texts(&[uid, &attempt.to_string()]);
    let share = u32::from_str_radix(&hash[..4], 16).unwrap_or_default();
    delay.saturating_sub(delay / 4 * share / 0xffff)
}

/// A number of actions that are allowed immediately, and the time after which another one is.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How many.
    pub burst: u32,
    /// The time.
    pub interval: Duration,
}

/// Limits actions to a [`Rate`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    /// When the bucket is full again.
    full: Option<Instant>,
}

impl TokenBucket {
    /// Takes a token, or returns the delay until there is one.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        if let Some(delay) = self.delay(rate, now) {
            return Err(delay);
        }
        self.full = Some(self.full_after_one_more(rate, now));
        Ok(())
    }

    /// The delay until there is a token; `None` if there is one.
    #[must_use]
    pub fn delay(&self, rate: Rate, now: Instant) -> Option<Duration> {
        let refill = self.full_after_one_more(rate, now).saturating_duration_since(now);
        Some(refill.saturating_sub(rate.interval.saturating_mul(rate.burst))).filter(|delay| !delay.is_zero())
    }

    fn full_after_one_more(&self, rate: Rate, now: Instant) -> Instant {
        self.full.map_or(now, |full| full.max(now)) + rate.interval
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full.is_none_or(|full| full <= now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant; only differences count")]
    fn start() -> Instant {
        Instant::now()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn failures_are_retried_less_and_less_often() {
        let mut pacing = Pacing::default();
        let delays: Vec<_> = (0..20).map(|_| pacing.failed("u")).collect();
        for (index, delay) in delays.iter().enumerate() {
            let full = exponential(FIRST_RETRY, u32::try_from(index).unwrap() + 1, LONGEST_RETRY);
            assert!((full * 3 / 4..=full).contains(delay), "{index}: {delay:?}");
        }
        assert!(delays.iter().sum::<Duration>() > Duration::from_hours(2));
        let other: Vec<_> = (0..50).map(|uid| Pacing::default().failed(&format!("u{uid}"))).collect();
        assert!(other.iter().any(|delay| *delay != other[0]), "many workloads do not retry at the same time");
        pacing.succeeded();
        assert!(pacing.failed("u") <= FIRST_RETRY && !pacing.is_idle(start()));
        pacing.succeeded();
        assert!(pacing.is_idle(start()));
    }

    #[test]
    fn the_second_rejection_in_a_row_is_reported() {
        let mut pacing = Pacing::default();
        for _ in 0..2 {
            let reports: Vec<_> = (0..4)
                .map(|_| {
                    let report = pacing.reports_rejection();
                    if report {
                        pacing.reported_rejection();
                    }
                    pacing.failed("u");
                    report
                })
                .collect();
            assert_eq!(reports, [false, true, false, false]);
            pacing.succeeded();
        }
    }

    #[test]
    fn a_patch_that_is_reverted_three_times_is_not_sent_again() {
        let (mut pacing, mut now) = (Pacing::default(), start());
        let mut sent = 0;
        let pause = loop {
            match pacing.turn("u", "desired", now) {
                Turn::Now => {
                    pacing.sent("desired", now);
                    sent += 1;
                }
                Turn::After(delay) => now += delay,
                Turn::Reverted { times, pause, report } => {
                    assert_eq!((sent, times, report), (3, 3, true));
                    break pause;
                }
            }
        };
        assert!(now < start() + Duration::from_secs(30));
        pacing.reported_reverts();
        assert_eq!(
            pacing.turn("u", "desired", now + SECOND),
            Turn::Reverted { times: 3, pause: pause.saturating_sub(SECOND), report: false }
        );
        now += pause;
        assert_eq!(pacing.turn("u", "desired", now), Turn::Now, "once more after the pause");
        pacing.sent("desired", now);
        let Turn::Reverted { times: 4, pause: longer, report: false } = pacing.turn("u", "desired", now) else {
            panic!("{:?}", pacing.turn("u", "desired", now));
        };
        assert!(longer > FIRST_PAUSE && longer <= 2 * FIRST_PAUSE, "{longer:?}");
        assert_ne!(
            pacing.turn("v", "desired", now),
            pacing.turn("u", "desired", now),
            "workloads do not retry together"
        );
        assert_eq!(pacing.turn("u", "another", now), Turn::Now, "it changed for another reason");
        pacing.sent("another", now);
        assert!(matches!(pacing.turn("u", "another", now), Turn::After(_)));
    }

    #[test]
    fn a_patch_that_stood_for_an_hour_was_not_reverted() {
        let (mut pacing, mut now) = (Pacing::default(), start());
        for _ in 0..10 {
            assert_eq!(pacing.turn("u", "desired", now), Turn::Now);
            pacing.sent("desired", now);
            now += FIRST_PAUSE;
        }
        assert!(pacing.is_idle(now));
    }

    #[test]
    fn patches_of_one_workload_are_limited_whatever_they_contain() {
        let (mut pacing, now) = (Pacing::default(), start());
        let mut sent = 0;
        for second in 0..900 {
            let (desired, now) = (second.to_string(), now + second * SECOND);
            if pacing.turn("u", &desired, now) == Turn::Now {
                pacing.sent(&desired, now);
                sent += 1;
            }
        }
        assert_eq!(sent, 6 + 14);
    }

    #[test]
    fn events_of_one_workload_are_limited_and_the_withheld_ones_are_counted() {
        let (mut pacing, now) = (Pacing::default(), start());
        assert_eq!(pacing.publish(10, now), Ok((10, 0)));
        assert_eq!(pacing.publish(10, now), Ok((6, 4)));
        assert_eq!(pacing.publish(1, now), Err(60 * SECOND));
        assert_eq!(pacing.publish_delay(now), Some(60 * SECOND));
        assert_eq!(pacing.publish(2, now + 30 * SECOND), Err(30 * SECOND));
        assert_eq!(pacing.publish(2, now + 60 * SECOND), Ok((1, 1)));
    }

    #[test]
    fn only_template_and_own_annotations_are_part_of_the_desired_state() {
        let workload = json!({
            "metadata": {"annotations": {"winddown.dev/drain": "5s", "team": "shop"}, "generation": 1},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "app"}]}}},
        });
        for (pointer, value, same) in [
            ("/metadata/generation", json!(2), true),
            ("/metadata/annotations/team", json!("web"), true),
            ("/spec/replicas", json!(4), true),
            ("/metadata/annotations/winddown.dev~1drain", json!("6s"), false),
            ("/spec/template/spec/containers/0/name", json!("web"), false),
        ] {
            let mut changed = workload.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert_eq!(desired_state(&changed) == desired_state(&workload), same, "{pointer}");
        }
    }
}
