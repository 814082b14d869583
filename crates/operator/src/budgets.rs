//! The `ShutdownBudget`s of the cluster: what the controller and the observation know of each workload is written into its
//! status.
//!
//! Every replica watches them and keeps of each one a few hashes. The leader queues what differs, and writes it. A budget is
//! written before an Event that follows from it is published, so no Event is published twice. If the process ends in between,
//! these Events are lost. Nothing here fails a review or a reconciliation, and without the CRD the operator works without
//! budgets.

mod client;
mod outage;
mod pending;
mod queue;
mod sent;
mod table;
#[cfg(test)]
mod tests;
mod watch;
mod write;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _, future};
use kube::runtime::watcher::Event;
use tokio::sync::{Notify, broadcast, watch as channel};
use tokio_stream::wrappers::{BroadcastStream, WatchStream};

use self::client::{Budget, BudgetClient};
use self::pending::{Evaluated, Pending};
pub(crate) use self::queue::Lost;
use self::queue::{Failure, Queue};
use self::table::{Found, Table};
pub(crate) use self::watch::Watch;
pub(crate) use self::writer::Writer;
use crate::kubernetes::Clients;
use crate::metrics::Metrics;
use crate::observation::{Observation, Sink};
use crate::workloads::Publisher;
use winddown_core::observation::{Stop, Timestamp, WorkloadRef};
use winddown_core::report::Reported;
use winddown_core::shutdown_budget::Computed;

/// Changes by others that the controller has not looked at yet. More of them make it look at every workload.
const MOST_ALTERED: usize = 256;

/// What is known of the budgets. Its functions do not block.
#[derive(Clone)]
pub(crate) struct Budgets(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    installed: channel::Sender<Installed>,
    leading: channel::Receiver<bool>,
    /// The workloads of budgets that somebody else deleted or changed.
    altered: broadcast::Sender<Arc<WorkloadRef>>,
    /// Something is to be written.
    wake: Notify,
}

#[derive(Default)]
struct State {
    queue: Queue,
    table: Table,
}

/// Whether the API server knows the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installed {
    Unknown,
    No,
    Yes,
}

impl Budgets {
    /// The handle, and the two tasks behind it.
    pub(crate) fn new(
        clients: &Clients,
        leading: channel::Receiver<bool>,
        publisher: Arc<Publisher>,
        observation: Observation,
        metrics: Metrics,
    ) -> (Self, Watch, Writer) {
        let budgets = Self(Arc::new(Shared {
            state: Mutex::default(),
            installed: channel::Sender::new(Installed::Unknown),
            leading,
            altered: broadcast::Sender::new(MOST_ALTERED),
            wake: Notify::new(),
        }));
        let watch = Watch { client: clients.watching.clone(), budgets: budgets.clone(), metrics: metrics.clone() };
        let client = BudgetClient::new(clients.short.clone());
        let writer = Writer::new(budgets.clone(), client, publisher, observation, metrics);
        (budgets, watch, writer)
    }

    /// Without the CRD.
    #[cfg(test)]
    pub(crate) fn absent(client: kube::Client, publisher: &Arc<Publisher>) -> Self {
        let clients = Clients { short: client.clone(), watching: client };
        let (leading, observation) = (channel::channel(false).1, Observation::default());
        let budgets = Self::new(&clients, leading, publisher.clone(), observation, Metrics::default()).0;
        budgets.set_installed(Installed::No);
        budgets
    }

    /// Whether there are budgets, as far as is known.
    pub(crate) fn available(&self) -> bool {
        *self.0.installed.borrow() != Installed::No
    }

    /// Waits until the API server has listed the budgets, or answered that there are none.
    pub(crate) async fn listed(&self) {
        // The sender is in this value, so it exists.
        let _ = self.0.installed.subscribe().wait_for(|installed| *installed != Installed::Unknown).await;
    }

    /// An item whenever every workload is to be looked at again, because the CRD was installed or deleted.
    pub(crate) fn all_altered(&self) -> impl Stream<Item = ()> + Send + use<> {
        WatchStream::from_changes(self.0.installed.subscribe()).map(|_| ())
    }

    /// The workloads whose budgets somebody else deleted or changed.
    pub(crate) fn altered(&self) -> impl Stream<Item = Arc<WorkloadRef>> + Send + use<> {
        let shared = self.0.clone();
        BroadcastStream::new(self.0.altered.subscribe()).filter_map(move |altered| {
            if altered.is_err() {
                // More than can wait: every workload is looked at.
                shared.installed.send_modify(|_| ());
            }
            future::ready(altered.ok())
        })
    }

    /// Whether a workload has a budget, or may have one soon.
    pub(crate) fn has(&self, workload: &WorkloadRef) -> bool {
        let state = self.state();
        state.table.has(workload) || state.queue.is_evaluated(workload)
    }

    /// The leader evaluated a workload. Without a declaration, its budget is deleted. `is_new`: the workload or its declaration
    /// is new, so that everything about it is reported. Returns whether everything is stored already; if not, `reported` is
    /// the state that is reported then.
    pub(crate) fn evaluated(
        &self,
        workload: &WorkloadRef,
        uid: &str,
        computed: Computed,
        (reported, is_new): (Reported, bool),
    ) -> bool {
        let mut state = self.state();
        let was_expected = state.table.carried(workload).is_some();
        let found = if computed.is_declared() {
            state.table.expect(workload, uid, &computed)
        } else if state.table.has(workload) {
            Found::Different
        } else {
            Found::Right
        };
        let evaluated = || Evaluated { uid: uid.into(), computed: Some(computed), is_new, state: Some(reported) };
        if found == Found::Alike {
            let evaluated = evaluated();
            self.change(state, workload, |pending, now| pending.evaluate_alike(evaluated, now));
        } else if found == Found::Different || state.queue.is_evaluated(workload) {
            // An evaluation that waits, or is being written, is older.
            let evaluated = evaluated();
            self.change(state, workload, |pending, now| pending.evaluate(evaluated, now));
        } else {
            self.is_right(state, workload, was_expected);
            return true;
        }
        false
    }

    /// A budget says what it should; `was_expected` if this replica knew before what that is.
    fn is_right(&self, state: MutexGuard<'_, State>, workload: &WorkloadRef, was_expected: bool) {
        if !was_expected && state.table.has(workload) {
            let event_due = state.table.event_due(workload).map(|due| due.since(clock()).max(0).unsigned_abs());
            self.change(state, workload, |pending, now| {
                // Changes of its pods that came before could not be compared.
                pending.count_pods(now);
                if let Some(delay) = event_due {
                    pending.look_again(now + Duration::from_secs(delay), Vec::new());
                }
            });
        }
    }

    /// A workload has this many pods. Those without a budget are not watched, so this tells that there are others.
    pub(crate) fn has_pods(&self, workload: &WorkloadRef, number: u32) {
        if !self.leads() || !self.available() {
            return;
        }
        let mut state = self.state();
        if state.table.count_again(workload, number) {
            self.change(state, workload, Pending::count_pods);
        }
    }

    /// The leader does not look at this workload any more.
    pub(crate) fn ignored(&self, workload: &WorkloadRef, uid: &str) {
        let state = self.state();
        if state.table.has(workload) {
            let evaluated = Evaluated { uid: uid.into(), computed: None, is_new: false, state: None };
            self.change(state, workload, |pending, now| pending.evaluate(evaluated, now));
        }
    }

    /// A workload does not exist any more. The garbage collector deletes its budget.
    pub(crate) fn forget(&self, workload: &WorkloadRef, uid: &str) {
        let mut state = self.state();
        if self.leads() && !state.table.is_of_another(workload, uid) {
            state.queue.forget(&Arc::new(workload.clone()), Some(uid), now());
        }
    }

    fn change(
        &self,
        mut state: MutexGuard<'_, State>,
        workload: &WorkloadRef,
        change: impl FnOnce(&mut Pending, Instant),
    ) {
        let now = now();
        state.queue.change(&Arc::new(workload.clone()), now, |pending| change(pending, now));
        drop(state);
        self.0.wake.notify_one();
    }

    /// Returns the workloads that have no budget any more.
    fn apply(&self, event: &Event<Budget>) -> Vec<Arc<WorkloadRef>> {
        let mut state = self.state();
        let mut altered = state.table.apply(event);
        let gone = altered.iter().filter(|workload| !state.table.has(workload)).cloned().collect();
        // What the writer does itself is reported, too. It compares afterwards. One that is gone is created again.
        altered.retain(|workload| !state.table.has(workload) || !state.queue.is_evaluated(workload));
        drop(state);
        if matches!(event, Event::InitDone) {
            self.set_installed(Installed::Yes);
        }
        if *self.0.leading.borrow() {
            if altered.len() > MOST_ALTERED {
                self.0.installed.send_modify(|_| ());
            } else {
                for workload in altered {
                    self.alter(workload);
                }
            }
        }
        gone
    }

    fn leads(&self) -> bool {
        *self.0.leading.borrow()
    }

    /// The controller evaluates a workload again.
    fn alter(&self, workload: Arc<WorkloadRef>) {
        // Fails without controllers.
        let _ = self.0.altered.send(workload);
    }

    /// Returns the workloads that have no budget any more.
    fn set_installed(&self, installed: Installed) -> Vec<Arc<WorkloadRef>> {
        let changed = self.0.installed.send_if_modified(|before| std::mem::replace(before, installed) != installed);
        let mut gone = Vec::new();
        if !changed {
            return gone;
        }
        if installed == Installed::No {
            tracing::info!("ShutdownBudgets are not installed; budgets and observed shutdowns are not stored");
            let mut state = self.state();
            gone = state.table.clear();
            state.queue.clear(now());
        } else {
            tracing::info!("ShutdownBudgets are installed");
        }
        self.0.wake.notify_one();
        gone
    }

    /// Whether the API server has not told yet whether there are budgets.
    pub(crate) fn installed_is_unknown(&self) -> bool {
        *self.0.installed.borrow() == Installed::Unknown
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Budgets {
    async fn installed(&self) {
        // The sender is in this value, so it exists.
        let _ = self.0.installed.subscribe().wait_for(|installed| *installed == Installed::Yes).await;
    }

    fn stopped(&self, stop: Stop) {
        if !self.available() {
            return;
        }
        self.state().queue.stopped(stop, now());
        self.0.wake.notify_one();
    }

    fn pods_changed(&self, workload: &WorkloadRef) {
        if *self.0.leading.borrow() && self.available() {
            self.change(self.state(), workload, Pending::count_pods);
        }
    }
}

/// The time, on the clock that tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of the API.
fn clock() -> Timestamp {
    Timestamp::from_second(jiff::Timestamp::now().as_second())
}
