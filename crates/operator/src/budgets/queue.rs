//! Which budgets are to be written, and when. Without clock and requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outage::Outage;
use super::pending::{Class, Pending};
use winddown_core::observation::{Stop, WorkloadRef};
use winddown_core::pacing::{Rate, TokenBucket};

/// Between two writes of one budget, unless its workload was evaluated again or its app was killed.
const QUIET: Duration = Duration::from_secs(30);
/// All writes: less than 20 a second over any ten seconds, also after a pause and with those that a conflict repeats at once.
const WRITES: Rate = Rate { burst: 5, interval: Duration::from_millis(56) };
/// Every so many writes, the oldest one comes first, whatever its class.
const OLDEST: u64 = 4;
/// After a failure: doubled with each further one, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// More stops of all workloads together are lost.
const MOST_STOPS: usize = 30_000;
/// Stops that reach a new leader within this time are written without a delay: the previous leader may have ended before it
/// wrote them.
const TAKEOVER: Duration = Duration::from_secs(10);

/// How long stops of a workload without a budget wait for its evaluation.
const UNEVALUATED: Duration = Duration::from_mins(10);
/// How often they are looked at.
pub(super) const UNEVALUATED_RETRY: Duration = Duration::from_secs(5);

/// What waits, by workload.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: HashMap<Arc<WorkloadRef>, Entry>,
    /// The entries of each class by time.
    waiting: [Waiting; Class::ALL.len()],
    number: u64,
    /// How many were taken.
    taken: u64,
    writes: TokenBucket,
    outage: Outage,
    leads_since: Option<Instant>,
    /// The number of stops in all entries.
    stops: usize,
    lost: Lost,
}

/// Stops that are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Too many waited.
    pub(crate) backlog: u64,
    /// Their workload had no budget for too long.
    pub(crate) without_budget: u64,
    /// They ended in the future.
    pub(crate) clock: u64,
}

/// The number keeps entries apart that are due at the same time.
type Waiting = BTreeMap<(Instant, u64), Arc<WorkloadRef>>;

#[derive(Debug, Default)]
struct Entry {
    pending: Pending,
    position: Option<(Class, (Instant, u64))>,
    write: Write,
    /// Whether the workload does not exist, so that its last stops need not be kept. Until the end of the quiet time.
    is_gone: bool,
    /// Whether the last evaluation that was taken had no declaration. One that returns meanwhile is new, although the
    /// reconciliation may have begun before the removal was reported. Until the end of the quiet time.
    is_removed: bool,
    failures: u32,
    retry: Option<Instant>,
    quiet_until: Option<Instant>,
}

/// Whether what was taken is being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Write {
    #[default]
    None,
    Running,
    /// It runs, and the workload was forgotten meanwhile.
    Forgotten,
}

impl Write {
    fn forgotten(self) -> Self {
        if self == Self::None { Self::None } else { Self::Forgotten }
    }
}

impl Entry {
    fn is_written(&self) -> bool {
        self.write != Write::None
    }
}

/// Why something was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The API server cannot be reached. That is the same for every workload.
    Unreachable,
    /// It has an internal error, is overloaded, or does not answer in time.
    Unavailable,
    /// The API server refuses it.
    Refused,
    /// Not before this delay.
    NotYet(Duration),
}

impl Queue {
    /// Changes what waits for a workload.
    pub(super) fn change(&mut self, workload: &Arc<WorkloadRef>, now: Instant, change: impl FnOnce(&mut Pending)) {
        let entry = self.entries.entry(workload.clone()).or_default();
        self.stops -= entry.pending.stops.len();
        change(&mut entry.pending);
        if entry.is_gone && entry.pending.evaluated.is_some() {
            (entry.is_gone, entry.quiet_until) = (false, None);
        }
        if entry.is_removed {
            entry.pending.declared_again();
        }
        self.stops += entry.pending.stops.len();
        self.place(workload, now);
    }

    /// False if the stop is lost, because too many wait.
    pub(super) fn stopped(&mut self, stop: Stop, now: Instant) -> bool {
        if self.entries.get(&stop.workload).is_some_and(|entry| entry.is_gone) {
            return true;
        }
        let mut is_kept = self.stops < MOST_STOPS;
        if is_kept {
            let hurries = self.leads_since.is_some_and(|since| now.saturating_duration_since(since) < TAKEOVER);
            let workload = stop.workload.clone();
            self.change(&workload, now, |pending| {
                is_kept = pending.stop(stop, now);
                if hurries {
                    pending.hurry(now);
                }
            });
        }
        self.lost.backlog += u64::from(!is_kept);
        is_kept
    }

    /// So many stops were refused, because they ended in the future.
    pub(super) fn refused(&mut self, stops: usize) {
        self.lost.clock += stops as u64;
    }

    /// The stops that were lost since the last call.
    pub(super) fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// This replica leads from now on.
    pub(super) fn lead(&mut self, now: Instant) {
        self.leads_since = Some(now);
        self.change_all(now, |pending| {
            if !pending.stops.is_empty() {
                pending.hurry(now);
            }
        });
    }

    /// Another replica leads. It evaluates the workloads itself, and its own observation has recorded the stops.
    pub(super) fn follow(&mut self, now: Instant) {
        self.leads_since = None;
        self.clear(now);
    }

    /// Nothing is to be written any more.
    pub(super) fn clear(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            (entry.is_gone, entry.quiet_until) = (false, None);
        }
        self.change_all(now, |pending| *pending = Pending::default());
        for entry in self.entries.values_mut() {
            entry.write = entry.write.forgotten();
        }
    }

    fn change_all(&mut self, now: Instant, change: impl Fn(&mut Pending)) {
        let all: Vec<_> = self.entries.keys().cloned().collect();
        for workload in all {
            self.change(&workload, now, &change);
        }
    }

    /// The workload does not exist any more; with a UID, only if that is the one that waits.
    pub(super) fn forget(&mut self, workload: &Arc<WorkloadRef>, uid: Option<&str>, now: Instant) {
        let entry = self.entries.entry(workload.clone()).or_default();
        let waits = entry.pending.evaluated.as_ref().map(|evaluated| &*evaluated.uid);
        if uid.is_some() && waits.is_some_and(|waits| Some(waits) != uid) {
            return;
        }
        (entry.write, entry.is_gone) = (entry.write.forgotten(), true);
        entry.quiet_until = Some(now + UNEVALUATED);
        self.change(workload, now, |pending| *pending = Pending::default());
    }

    /// Whether nothing is written for a while, because the API server failed.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.outage.is_paused(now)
    }

    /// Whether it fails for some time now.
    pub(super) fn is_outage(&self) -> bool {
        self.outage.is_lasting()
    }

    /// Whether an evaluation of this workload waits or may be in what is being written.
    pub(super) fn is_evaluated(&self, workload: &WorkloadRef) -> bool {
        self.entries.get(workload).is_some_and(|entry| entry.is_written() || entry.pending.evaluated.is_some())
    }

    /// When there is something to write.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let firsts = self.waiting.iter().filter_map(|waiting| Some(waiting.first_key_value()?.0.0));
        let outage = self.outage.until().unwrap_or(now);
        let free = self.writes.delay(WRITES, now).map_or(now, |delay| now + delay);
        Some(firsts.min()?.max(outage).max(free))
    }

    /// What is to be written next; the caller then calls [`Self::written`] or [`Self::failed`]. Nothing is written about the
    /// pods of a workload where they do not differ, nor about one without a budget before it is evaluated.
    pub(super) fn take(
        &mut self,
        now: Instant,
        has_budget: impl Fn(&WorkloadRef) -> bool,
        pods_differ: impl Fn(&WorkloadRef) -> bool,
    ) -> Option<(Arc<WorkloadRef>, Pending)> {
        if self.is_paused(now) {
            return None;
        }
        while self.writes.delay(WRITES, now).is_none() {
            let workload = self.first(now)?;
            let entry = self.entries.get_mut(&workload)?;
            let waits = entry.pending.evaluated.is_none() && !has_budget(&workload);
            if waits || entry.pending.is_pods_only() && !pods_differ(&workload) {
                // The pods are counted when a budget is created.
                entry.pending.pods_unchanged();
            }
            if waits && entry.pending.is_older_than(UNEVALUATED, now) {
                self.stops -= entry.pending.stops.len();
                self.lost.without_budget += entry.pending.stops.len() as u64;
                entry.pending.lose_stops();
            }
            if waits {
                entry.retry = Some(now + UNEVALUATED_RETRY);
            }
            if waits || entry.pending.is_empty() {
                // Without anything, its quiet time is over, or there is none.
                self.place(&workload, now);
                continue;
            }
            let _ = self.writes.take(WRITES, now);
            self.taken += 1;
            return self.start(workload);
        }
        None
    }

    /// The first one that is due, of the first class that has one. Sometimes the one that has been due longest, so that a class
    /// does not keep the others waiting.
    fn first(&self, now: Instant) -> Option<Arc<WorkloadRef>> {
        let firsts = self.waiting.iter().filter_map(BTreeMap::first_key_value);
        let mut due = firsts.filter(|((at, _), _)| *at <= now);
        let first = if self.taken % OLDEST == OLDEST - 1 { due.min_by_key(|(at, _)| *at) } else { due.next() };
        first.map(|(_, workload)| workload.clone())
    }

    /// Everything that waits, whenever it is due.
    pub(super) fn take_all(&mut self) -> Vec<(Arc<WorkloadRef>, Pending)> {
        let workloads: Vec<_> = self.waiting.iter().flat_map(BTreeMap::values).cloned().collect();
        let taken = workloads.into_iter().filter_map(|workload| self.start(workload));
        taken.filter(|(_, pending)| !pending.is_empty()).collect()
    }

    fn start(&mut self, workload: Arc<WorkloadRef>) -> Option<(Arc<WorkloadRef>, Pending)> {
        let entry = self.entries.get_mut(&workload)?;
        entry.write = Write::Running;
        let pending = std::mem::take(&mut entry.pending);
        if let Some(evaluated) = &pending.evaluated {
            entry.is_removed = !evaluated.is_declared();
        }
        self.stops -= pending.stops.len();
        self.displace(&workload);
        Some((workload, pending))
    }

    /// What was taken is written, or needs no write. Returns whether the workload was not forgotten meanwhile.
    pub(super) fn written(&mut self, workload: &Arc<WorkloadRef>, now: Instant) -> bool {
        self.outage.end();
        let Some(entry) = self.entries.get_mut(workload) else { return false };
        let exists = entry.write != Write::Forgotten;
        let (pending, is_gone, is_removed) = (std::mem::take(&mut entry.pending), entry.is_gone, entry.is_removed);
        let quiet_until = if exists { Some(now + QUIET) } else { entry.quiet_until };
        *entry = Entry { pending, is_gone, is_removed, quiet_until, ..Entry::default() };
        self.place(workload, now);
        exists
    }

    /// What was taken waits again, unless the workload was forgotten meanwhile. Returns how often it failed in a row.
    pub(super) fn failed(
        &mut self,
        workload: &Arc<WorkloadRef>,
        taken: Pending,
        failure: Failure,
        now: Instant,
    ) -> u32 {
        let Some(entry) = self.entries.get_mut(workload) else { return 0 };
        let is_forgotten = std::mem::take(&mut entry.write) == Write::Forgotten;
        if let Failure::NotYet(delay) = failure {
            entry.retry = Some(now + delay);
        } else {
            entry.failures = entry.failures.saturating_add(1);
            entry.retry = Some(now + retry(entry.failures));
        }
        let failures = entry.failures;
        match failure {
            Failure::Unreachable | Failure::Unavailable => {
                self.outage.failed(workload, failure == Failure::Unreachable, now);
            }
            Failure::Refused => self.outage.end(),
            Failure::NotYet(_) => {}
        }
        let mut lost = 0;
        self.change(workload, now, |pending| {
            if !is_forgotten {
                let stops = taken.stops.len() + pending.stops.len();
                *pending = taken.followed_by(std::mem::take(pending));
                lost = stops - pending.stops.len();
            }
        });
        self.lost.backlog += lost as u64;
        failures
    }

    /// How many should have been written by now.
    pub(super) fn backlog(&self, now: Instant) -> usize {
        let is_due = |entry: &Entry| entry.pending.due(entry.quiet_until).is_some_and(|(at, _)| at <= now);
        self.entries.values().filter(|entry| entry.is_written() || is_due(entry)).count()
    }

    fn place(&mut self, workload: &Arc<WorkloadRef>, now: Instant) {
        self.displace(workload);
        let Some(entry) = self.entries.get_mut(workload).filter(|entry| !entry.is_written()) else { return };
        let quiet_until = entry.quiet_until.filter(|until| *until > now);
        let due = entry.pending.due(quiet_until);
        let due = due.map(|(at, class)| (entry.retry.map_or(at, |retry| at.max(retry)), class));
        // Without anything to write, the entry is kept as long as its quiet time.
        let Some((at, class)) = due.or(quiet_until.map(|until| (until, Class::Other))) else {
            self.remove(workload);
            return;
        };
        self.number = self.number.wrapping_add(1);
        let position = (at, self.number);
        entry.position = Some((class, position));
        self.waiting[class as usize].insert(position, workload.clone());
    }

    fn displace(&mut self, workload: &Arc<WorkloadRef>) {
        let position = self.entries.get_mut(workload).and_then(|entry| entry.position.take());
        if let Some((class, position)) = position {
            self.waiting[class as usize].remove(&position);
        }
    }

    fn remove(&mut self, workload: &Arc<WorkloadRef>) {
        self.displace(workload);
        if let Some(entry) = self.entries.remove(workload) {
            self.stops -= entry.pending.stops.len();
        }
    }
}

/// The delay after so many failures in a row.
pub(super) fn retry(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(30))).min(LONGEST_RETRY)
}

#[cfg(test)]
mod tests;
