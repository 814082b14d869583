//! The recent actions on each workload, by UID, and the turns of patches that start no rollout.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use winddown_core::pacing::{Pacing, Turn};

/// Workloads with recent actions. With more, the workload that is forgotten may be acted on sooner.
const MAX_WORKLOADS: usize = 20_000;
/// Between two patches that start no rollout. Every patch also calls the other mutating webhooks of the cluster.
const INTERVAL: Duration = Duration::from_millis(500);
/// After this time, a turn that was not used has expired.
const EXPIRY: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(super) struct PacingByWorkload(Mutex<State>);

#[derive(Default)]
struct State {
    workloads: HashMap<String, Pacing>,
    /// The turns of workloads that wait to be patched without a rollout.
    turns: HashMap<String, Instant>,
    next_turn: Option<Instant>,
}

impl PacingByWorkload {
    /// Counts a failure, and returns the delay before the next attempt.
    pub(super) fn failed(&self, uid: &str, now: Instant) -> Duration {
        self.of(uid, now, |pacing| pacing.failed(uid))
    }

    /// Forgets the failures of a workload.
    pub(super) fn succeeded(&self, uid: &str) {
        if let Some(pacing) = self.state().workloads.get_mut(uid) {
            pacing.succeeded();
        }
    }

    pub(super) fn reports_rejection(&self, uid: &str, now: Instant) -> bool {
        self.of(uid, now, |pacing| pacing.reports_rejection())
    }

    pub(super) fn reported_rejection(&self, uid: &str, now: Instant) {
        self.of(uid, now, Pacing::reported_rejection);
    }

    pub(super) fn turn(&self, uid: &str, desired: &str, now: Instant) -> Turn {
        self.state().workloads.get(uid).map_or(Turn::Now, |pacing| pacing.turn(uid, desired, now))
    }

    pub(super) fn sent(&self, uid: &str, desired: &str, now: Instant) {
        self.of(uid, now, |pacing| pacing.sent(desired, now));
    }

    pub(super) fn reported_reverts(&self, uid: &str, now: Instant) {
        self.of(uid, now, Pacing::reported_reverts);
    }

    pub(super) fn publish(&self, uid: &str, wanted: usize, now: Instant) -> Result<(usize, usize), Duration> {
        self.of(uid, now, |pacing| pacing.publish(wanted, now))
    }

    pub(super) fn publish_delay(&self, uid: &str, now: Instant) -> Option<Duration> {
        self.state().workloads.get(uid)?.publish_delay(now)
    }

    /// The delay before a patch that starts no rollout; none if it is the workload's turn.
    pub(super) fn delay_without_rollout(&self, uid: &str, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        match state.turns.get(uid) {
            Some(turn) if *turn > now => return Some(*turn - now),
            Some(turn) if now.saturating_duration_since(*turn) < EXPIRY => {
                state.turns.remove(uid);
                return None;
            }
            _ => {}
        }
        let turn = state.next_turn.map_or(now, |next| next.max(now));
        state.next_turn = Some(turn + INTERVAL);
        if turn <= now {
            state.turns.remove(uid);
            return None;
        }
        state.turns.insert(uid.to_owned(), turn);
        Some(turn - now)
    }

    pub(super) fn forget(&self, uid: &str) {
        let mut state = self.state();
        state.workloads.remove(uid);
        state.turns.remove(uid);
    }

    #[cfg(test)]
    pub(super) fn knows(&self, uid: &str) -> bool {
        self.state().workloads.contains_key(uid)
    }

    fn of<T>(&self, uid: &str, now: Instant, act: impl FnOnce(&mut Pacing) -> T) -> T {
        let workloads = &mut self.state().workloads;
        if workloads.len() >= MAX_WORKLOADS && !workloads.contains_key(uid) {
            workloads.retain(|_, pacing| !pacing.is_idle(now));
            let excess: Vec<_> =
                workloads.keys().take((workloads.len() + 1).saturating_sub(MAX_WORKLOADS)).cloned().collect();
            for uid in excess {
                workloads.remove(&uid);
            }
        }
        act(workloads.entry(uid.to_owned()).or_default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_without_a_rollout_take_turns() {
        let (pacing, now) = (PacingByWorkload::default(), Instant::now());
        assert_eq!(pacing.delay_without_rollout("a", now), None);
        assert_eq!(pacing.delay_without_rollout("b", now), Some(INTERVAL));
        assert_eq!(pacing.delay_without_rollout("c", now), Some(2 * INTERVAL));
        assert_eq!(pacing.delay_without_rollout("b", now), Some(INTERVAL), "it keeps its turn");
        assert_eq!(pacing.delay_without_rollout("b", now + INTERVAL), None);
        // Turns that expired while another replica led do not all start at the same time.
        let later = now + 2 * EXPIRY;
        assert_eq!(pacing.delay_without_rollout("c", later), None);
        assert_eq!(pacing.delay_without_rollout("b", later), Some(INTERVAL));
    }

    #[test]
    fn the_number_of_workloads_is_bounded() {
        let (pacing, now) = (PacingByWorkload::default(), Instant::now());
        for uid in 0..MAX_WORKLOADS + 50 {
            pacing.failed(&uid.to_string(), now);
        }
        assert_eq!(pacing.state().workloads.len(), MAX_WORKLOADS);
        pacing.forget(&(MAX_WORKLOADS + 49).to_string());
        assert_eq!(pacing.state().workloads.len(), MAX_WORKLOADS - 1);
    }
}
