//! Writes what waits, while this replica leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use futures::{FutureExt as _, stream};
use tokio::sync::watch::Receiver;
use tokio::time::{interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::client::BudgetClient;
use super::pending::{Evaluated, Pending};
use super::write::{Error, Outcome};
use super::{Budgets, Failure, Installed, Lost, now};
use crate::metrics::Metrics;
use crate::observation::Observation;
use crate::telemetry::LogLimit;
use crate::workloads::Publisher;
use winddown_core::error_chain::ErrorChain;
use winddown_core::observation::WorkloadRef;

/// How many budgets are written at the same time. Each takes up to three requests, and the limit is 20 budgets in a second.
const AT_ONCE: usize = 8;
/// The same at shutdown.
const AT_SHUTDOWN: usize = 16;
/// So many failures in a row are logged.
const LASTING: u32 = 3;
/// How often what waits is counted.
const BACKLOG_INTERVAL: Duration = Duration::from_secs(1);

/// The writer of budgets.
pub(crate) struct Writer {
    pub(super) budgets: Budgets,
    pub(super) client: BudgetClient,
    pub(super) publisher: Arc<Publisher>,
    pub(super) observation: Observation,
    pub(super) metrics: Metrics,
    /// Whether an outage of the API server was logged.
    outage: AtomicBool,
    failed: LogLimit,
    lost: LogLimit,
}

impl Writer {
    pub(super) fn new(
        budgets: Budgets,
        client: BudgetClient,
        publisher: Arc<Publisher>,
        observation: Observation,
        metrics: Metrics,
    ) -> Self {
        let (outage, failed, lost) = Default::default();
        Self { budgets, client, publisher, observation, metrics, outage, failed, lost }
    }

    /// Runs until shutdown, and then writes what still waits, for at most this time.
    pub(crate) async fn run(self, stop: CancellationToken, limit: Duration) {
        let mut leading = self.budgets.0.leading.clone();
        let mut running = FuturesUnordered::new();
        self.lead(&mut leading);
        let mut counted = interval(BACKLOG_INTERVAL);
        while !stop.is_cancelled() {
            let leads = *leading.borrow() && *self.budgets.0.installed.borrow() == Installed::Yes;
            while let Some((workload, pending)) = self.take(leads && running.len() < AT_ONCE) {
                running.push(self.process(workload, pending));
            }
            let next = self.budgets.state().queue.next(now()).filter(|_| leads && running.len() < AT_ONCE);
            let due = next.map_or_else(|| std::future::pending().boxed(), |next| sleep_until(next.into()).boxed());
            tokio::select! {
                () = stop.cancelled() => {}
                Some(()) = running.next() => {}
                Ok(()) = leading.changed() => self.lead(&mut leading),
                () = self.budgets.0.wake.notified() => {}
                () = due => {}
                _ = counted.tick() => {
                    let backlog = if leads { self.budgets.state().queue.backlog(now()) } else { 0 };
                    self.metrics.statuses.backlog(backlog);
                    self.report_lost();
                }
            }
        }
        let flush = async {
            while running.next().await.is_some() {}
            let leads = *leading.borrow();
            self.flush(leads).await;
        };
        if timeout(limit, flush).await.is_err() {
            tracing::warn!("not every ShutdownBudget was written before the shutdown");
        }
    }

    fn report_lost(&self) {
        let lost = self.budgets.state().queue.take_lost();
        if lost == Lost::default() {
            return;
        }
        self.metrics.shutdowns.lost(lost);
        let Lost { backlog, without_budget, clock } = lost;
        if let Some(unlogged) = self.lost.next() {
            tracing::warn!(backlog, without_budget, clock, unlogged, "observed shutdowns are not counted");
        }
    }

    fn lead(&self, leading: &mut Receiver<bool>) {
        let leads = *leading.borrow_and_update();
        let mut state = self.budgets.state();
        if leads {
            state.queue.lead(now());
        } else {
            state.queue.follow(now());
            state.table.expect_nothing();
        }
    }

    fn take(&self, may_write: bool) -> Option<(Arc<WorkloadRef>, Pending)> {
        if !may_write {
            return None;
        }
        let mut state = self.budgets.state();
        let super::State { queue, table } = &mut *state;
        queue.take(now(), |workload| table.has(workload), |workload| self.pods_differ(table, workload))
    }

    async fn process(&self, workload: Arc<WorkloadRef>, mut pending: Pending) {
        let result = self.write(&workload, &mut pending).await;
        let failure = result.as_ref().err().map(Error::failure);
        let mut state = self.budgets.state();
        match (result, failure) {
            (Ok(Outcome { again, is_gone }), _) => {
                let exists = state.queue.written(&workload, now()) && !is_gone && self.budgets.leads();
                let evaluated = pending.evaluated.as_ref().map(|evaluated| evaluated.uid.clone());
                if let Some(Evaluated { uid, state: Some(reported), .. }) = pending.evaluated
                    && exists
                {
                    self.publisher.reported(&uid, reported);
                }
                if self.outage.swap(false, Ordering::Relaxed) {
                    tracing::info!("ShutdownBudgets are written again");
                }
                if let Some((delay, events)) = again.filter(|_| exists) {
                    let now = now();
                    state.queue.change(&workload, now, |pending| pending.look_again(now + delay, events));
                }
                if is_gone {
                    state.queue.forget(&workload, evaluated.as_deref(), now());
                } else if !state.table.is_right(&workload) && !state.queue.is_evaluated(&workload) {
                    // Somebody else changed it during the write.
                    self.budgets.alter(workload);
                }
            }
            (Err(error), Some(failure)) => {
                let failures = state.queue.failed(&workload, pending, failure, now());
                let error = ErrorChain(&error);
                // One that the API server does not refuse can succeed soon.
                let is_told = failures == if failure == Failure::Refused { 1 } else { LASTING };
                if state.queue.is_outage() {
                    if !self.outage.swap(true, Ordering::Relaxed) {
                        tracing::warn!(%error, "ShutdownBudgets were not written");
                    }
                } else if is_told && let Some(unlogged) = self.failed.next() {
                    tracing::warn!(%workload, %error, unlogged, "the ShutdownBudget was not written");
                }
            }
            (Err(_), None) => {}
        }
    }

    /// Once each, whenever it is due. What cannot be written now is left to the next leader.
    async fn flush(&self, leads: bool) {
        if !leads {
            return;
        }
        let all = self.budgets.state().queue.take_all();
        let writes = stream::iter(all).map(|(workload, pending)| async {
            // What fails takes five seconds each.
            if !self.budgets.state().queue.is_paused(now()) {
                self.process(workload, pending).await;
            }
        });
        writes.buffer_unordered(AT_SHUTDOWN).collect::<()>().await;
    }
}
