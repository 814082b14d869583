//! Writes the budget of one workload.

use std::sync::Arc;
use std::time::Duration;

use winddown_core::duration::Seconds;
use winddown_core::kind::Kind;
use winddown_core::observation::{Stop, WorkloadRef};
use winddown_core::report::Event;
use winddown_core::shutdown_budget::{Computed, Pods, Update};

use super::client::Budget;
use super::pending::{Evaluated, Pending};
use super::queue::{Failure, UNEVALUATED_RETRY};
use super::sent::Sent;
use super::table::{Table, carried};
use super::writer::Writer;
use super::{clock, now};
use crate::kubernetes;
use crate::metrics::Written;

/// How often a write that meets one of somebody else is repeated at once.
const ATTEMPTS: usize = 4;
/// After Events that the API server could not store.
const EVENTS_RETRY: Duration = Duration::from_mins(1);
/// More Events about one workload are not published.
const MOST_EVENTS: usize = 20;

/// Why a budget was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Call(#[from] kubernetes::Error),
    #[error("cannot write a ShutdownBudget: others write it at the same time")]
    Contended,
    /// Nothing went wrong.
    #[error("not before {} s have passed", .0.as_secs())]
    NotYet(Duration),
}

/// What follows from a write.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// When to look at the budget again, and the Events to publish then.
    pub(super) again: Option<(Duration, Vec<Event>)>,
    /// Whether the workload does not exist.
    pub(super) is_gone: bool,
}

impl Outcome {
    fn gone() -> Self {
        Self { is_gone: true, ..Self::default() }
    }
}

impl Error {
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Call(error) if error.is_unreachable() => Failure::Unreachable,
            Self::Call(error) if error.is_transient() => Failure::Unavailable,
            Self::Call(_) | Self::Contended => Failure::Refused,
            Self::NotYet(delay) => Failure::NotYet(*delay),
        }
    }
}

/// How far a write came.
enum Step {
    Done(Outcome),
    /// What is stored now.
    Next(Option<Box<Budget>>),
}

/// The pods of a workload.
enum Counted {
    Pods(Pods),
    /// They are as they were, or not known.
    Unchanged,
    /// The workload does not exist.
    Gone,
}

impl Writer {
    /// Writes what waits for a workload.
    pub(super) async fn write(&self, workload: &Arc<WorkloadRef>, pending: &mut Pending) -> Result<Outcome, Error> {
        pending.stops.sort_by_key(|stop| stop.end.latest);
        let is_known = self.budgets.state().table.has(workload);
        let mut stored = if is_known { self.client.read(workload).await? } else { None };
        for attempt in 0..ATTEMPTS {
            if attempt > 0 && !self.budgets.leads() {
                // Another replica leads, and its evaluation is newer.
                return Ok(Outcome::default());
            }
            self.confirm(workload, stored.as_ref(), pending).await;
            stored = match self.attempt(workload, stored.as_ref(), pending).await {
                Ok(Step::Done(outcome)) => return Ok(outcome),
                Ok(Step::Next(stored)) => stored.map(|stored| *stored),
                Err(Error::Call(error)) if error.is_conflict() => self.client.read(workload).await?,
                // Somebody deleted it.
                Err(Error::Call(error)) if error.is_not_found() && stored.is_some() => None,
                Err(Error::Call(error)) if error.is_of_terminating_namespace() => return Ok(Outcome::gone()),
                Err(error) => return Err(error),
            };
        }
        Err(Error::Contended)
    }

    /// Reports and counts what an earlier attempt has stored.
    async fn confirm(&self, workload: &WorkloadRef, stored: Option<&Budget>, pending: &mut Pending) {
        let (events, counted) = pending.sent.carried_out(stored.map(|budget| &budget.status));
        pending.stops.iter().filter(|stop| counted.contains(&stop.uid)).for_each(|stop| self.count(stop));
        if stored.is_some() {
            pending.events.extend(events);
        } else if let Some(evaluated) = &pending.evaluated {
            // As after a deletion that was answered.
            self.publish(workload, &evaluated.uid, events).await;
        }
    }

    fn count(&self, stop: &Stop) {
        self.metrics.shutdowns.count(stop);
    }

    async fn attempt(
        &self,
        workload: &Arc<WorkloadRef>,
        stored: Option<&Budget>,
        pending: &mut Pending,
    ) -> Result<Step, Error> {
        match (stored, &pending.evaluated) {
            (Some(budget), Some(evaluated)) if !evaluated.is_declared() => {
                self.remove(workload, budget, evaluated, &mut pending.sent).await
            }
            // That of an earlier workload with this name, or one that somebody gave another owner.
            (Some(budget), Some(evaluated)) if budget.owner.as_deref() != Some(&evaluated.uid) => {
                self.client.delete(workload, budget).await?;
                Ok(Step::Next(None))
            }
            (Some(budget), _) => self.update(workload, budget, pending).await,
            (None, Some(evaluated)) if evaluated.is_declared() => {
                Ok(Step::Next(Some(Box::new(self.client.create(workload, &evaluated.uid).await?))))
            }
            (None, Some(_)) => Ok(Step::Done(Outcome::default())),
            (None, None) => {
                self.budgets.alter(workload.clone());
                Err(Error::NotYet(UNEVALUATED_RETRY))
            }
        }
    }

    /// Deletes the budget of a workload without a declaration.
    async fn remove(
        &self,
        workload: &WorkloadRef,
        budget: &Budget,
        evaluated: &Evaluated,
        sent: &mut Sent,
    ) -> Result<Step, Error> {
        let update = Update { computed: evaluated.computed.as_ref(), ..Update::default() };
        let events = if update.computed.is_some() { budget.status.next(&update, clock()).events } else { Vec::new() };
        self.await_turn(&evaluated.uid, &events)?;
        if let Err(error) = self.client.delete(workload, budget).await {
            if error.is_transient() {
                sent.deletion(events);
            }
            return Err(error.into());
        }
        self.budgets.state().table.deleted(workload);
        // Where they would be stored is gone, so they are not published later.
        self.publish(workload, &evaluated.uid, events).await;
        Ok(Step::Done(Outcome::default()))
    }

    async fn update(&self, workload: &Arc<WorkloadRef>, budget: &Budget, pending: &mut Pending) -> Result<Step, Error> {
        let uid = pending.evaluated.as_ref().map(|evaluated| &*evaluated.uid).or(budget.owner.as_deref());
        let uid = uid.unwrap_or_default().to_owned();
        let pods = match self.count_pods(workload, budget, pending).await? {
            Counted::Pods(pods) => Some(pods),
            Counted::Unchanged => None,
            Counted::Gone => return Ok(Step::Done(Outcome::gone())),
        };
        let evaluated = pending.evaluated.as_ref();
        let computed = evaluated.and_then(|evaluated| evaluated.computed.as_ref());
        let is_new = evaluated.is_some_and(|evaluated| evaluated.is_new);
        let created = computed.and_then(Computed::created).or_else(|| self.budgets.state().table.created(workload));
        let waited = pending.waited(now()).map(|waited| u32::try_from(waited.as_secs()).unwrap_or(u32::MAX));
        let evaluated = waited.map(|waited| clock().minus(Seconds::new(waited)));
        let update = Update { computed, pods, created, evaluated, stops: &pending.stops, is_new };
        let next = budget.status.next(&update, clock());
        if next.status == budget.status {
            self.budgets.state().table.stored(workload, budget, budget, computed);
        } else {
            if pending.stops.is_empty() {
                self.await_turn(&uid, &next.events)?;
            }
            let stored = self.client.write(workload, budget, &next.status).await;
            self.metrics.statuses.written(match &stored {
                Ok(_) => Written::Stored,
                Err(error) if error.is_conflict() => Written::Conflict,
                Err(_) => Written::Failed,
            });
            let stored = match stored {
                Ok(stored) => stored,
                Err(error) => {
                    if error.is_transient() {
                        pending.sent.status(next, &pending.stops);
                    }
                    return Err(error.into());
                }
            };
            self.budgets.state().table.stored(workload, budget, &stored, computed);
            let admitted = next.admitted.iter().filter_map(|position| pending.stops.get(*position));
            admitted.for_each(|stop| self.count(stop));
            pending.events.extend(next.events);
        }
        self.budgets.state().queue.refused(pending.stops.iter().filter(|stop| stop.end.is_ahead(clock())).count());
        let due = next.again.map(|seconds| Duration::from_secs(seconds.as_i64().unsigned_abs()));
        let (events, delay) = self.publish(workload, &uid, std::mem::take(&mut pending.events)).await;
        let retry = Some(delay).filter(|_| !events.is_empty());
        let again = retry.into_iter().chain(due).min().map(|delay| (delay, events));
        Ok(Step::Done(Outcome { again, is_gone: false }))
    }

    /// A status waits until its Events may be published: frequent changes of a workload delay only its own budget.
    fn await_turn(&self, uid: &str, events: &[Event]) -> Result<(), Error> {
        let delay = self.publisher.delay(uid).filter(|_| !events.is_empty());
        delay.map_or(Ok(()), |delay| Err(Error::NotYet(delay)))
    }

    /// Returns the Events to publish later, and when.
    async fn publish(&self, workload: &WorkloadRef, uid: &str, mut events: Vec<Event>) -> (Vec<Event>, Duration) {
        // The limits cut the last ones.
        events.sort_by_key(|event| event.reason != "ShutdownKilled");
        events.truncate(MOST_EVENTS);
        match self.publisher.allowed(uid, events.clone()) {
            Ok(allowed) => (self.publisher.send(workload, uid, allowed).await, EVENTS_RETRY),
            Err(delay) => (events, delay),
        }
    }

    async fn count_pods(&self, workload: &WorkloadRef, budget: &Budget, pending: &Pending) -> Result<Counted, Error> {
        let computed = pending.evaluated.as_ref().and_then(|evaluated| evaluated.computed.as_ref());
        let carried = computed.map(carried).or_else(|| self.budgets.state().table.carried(workload));
        let counted = carried.and_then(|carried| self.observation.pods(workload, carried));
        let Some((current, old)) = counted else { return Ok(Counted::Unchanged) };
        let is_same = |pods: Pods| (pods.current, pods.old) == (current, old);
        // A count for another budget is none for this one.
        if !pending.pods && computed.is_none() && budget.status.pods.is_some_and(is_same) {
            return Ok(Counted::Unchanged);
        }
        let Some(all) = self.client.count_pods(workload).await? else { return Ok(Counted::Gone) };
        // The replicas of a Deployment are without those that are stopping (`FilterActivePods` of its ReplicaSets).
        let stopping = if workload.kind == Kind::Deployment { 0 } else { self.observation.stopping(workload) };
        let counted = current.saturating_add(old).saturating_add(stopping);
        Ok(Counted::Pods(Pods { current, old, none: all.saturating_sub(counted) }))
    }

    /// Whether other pods run than a budget says.
    pub(super) fn pods_differ(&self, table: &Table, workload: &WorkloadRef) -> bool {
        let counted = table.carried(workload).and_then(|carried| self.observation.pods(workload, carried));
        // Those without a budget are not followed: they can be others now.
        let differs = |counted, pods: Pods| (pods.current, pods.old) != counted || pods.none > 0;
        counted.is_some_and(|counted| table.pods(workload).is_none_or(|pods| differs(counted, pods)))
    }
}
