//! How the pods of the workloads really stop, and which budget they carry.
//!
//! Every replica watches pods and endpoint slices and feeds an [`Observer`]. The leader hands what it finds to a [`Sink`];
//! the others keep it for a while and hand it on if they become the leader. So what a leader that ended abruptly had not
//! stored is not lost, and the ledger of each workload counts each stop at most once.

mod recent;
#[cfg(test)]
mod tests;
mod watch;
mod watched;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use kube::runtime::watcher;
use tokio::sync::watch::Receiver;

use self::recent::Recent;
use self::watched::Watched;
use crate::metrics::{Metrics, Seen};
use winddown_core::observation::{EndpointSliceView, Event, Observer, PodView, Stop, WorkloadRef};

/// How long a replica keeps what the leader should have stored: a new leader takes over within half a minute, and a backlog
/// can take some minutes.
const KEPT: Duration = Duration::from_mins(10);

/// How many stops it keeps at most, of about 600 bytes each.
const MAX_STOPS: usize = 20_000;

/// How many changes of pods it keeps at most.
const MAX_CHANGES: usize = 20_000;

/// What is done with the observations of the leader. None of its functions blocks.
pub(crate) trait Sink: Send + 'static {
    /// Waits until there is a place for them.
    fn installed(&self) -> impl Future<Output = ()> + Send;

    /// A pod stopped. The same stop can be reported again.
    fn stopped(&self, stop: Stop);

    /// The pods of a workload may have changed.
    fn pods_changed(&self, workload: &WorkloadRef);
}

/// The pods that run, as this replica sees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observation(Arc<Mutex<Observer>>);

impl Observation {
    /// As [`Observer::pods`].
    pub(crate) fn pods(&self, workload: &WorkloadRef, current: u64) -> Option<(u32, u32)> {
        self.observer().pods(workload, current)
    }

    /// As [`Observer::stopping`].
    pub(crate) fn stopping(&self, workload: &WorkloadRef) -> u32 {
        self.observer().stopping(workload)
    }

    /// Watches until the process ends.
    pub(crate) async fn run(self, client: Client, mut leading: Receiver<bool>, sink: impl Sink, metrics: Metrics) {
        sink.installed().await;
        let (mut pods, mut slices) = (pin!(watch::pods(&client)), pin!(watch::slices(&client)));
        let leads = *leading.borrow_and_update();
        let (stops, changes) = (Recent::new(KEPT, MAX_STOPS), Recent::new(KEPT, MAX_CHANGES));
        let mut task = Task { observation: self, sink, metrics, leads, slices_listed: false, stops, changes };
        loop {
            tokio::select! {
                Ok(()) = leading.changed() => task.lead(*leading.borrow_and_update(), Instant::now()),
                Some(event) = pods.next() => task.pod(&event, Instant::now()),
                Some(event) = slices.next() => task.slice(&event, Instant::now()),
                // The watches never end, and the election ends only at shutdown.
                else => std::future::pending().await,
            }
        }
    }

    /// Completes a list without pods.
    #[cfg(test)]
    pub(crate) fn list_no_pods(&self) {
        for event in [Event::Init, Event::InitDone] {
            self.observer().see(event, Instant::now());
        }
    }

    fn observer(&self) -> MutexGuard<'_, Observer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Task<S> {
    observation: Observation,
    sink: S,
    metrics: Metrics,
    leads: bool,
    /// Whether the last list of slices is complete.
    slices_listed: bool,
    /// Also those of the leader: it can lose the Lease before they are stored, and get it back.
    stops: Recent<Stop>,
    changes: Recent<Arc<WorkloadRef>>,
}

impl<S: Sink> Task<S> {
    fn pod(&mut self, event: &watcher::Event<Watched<PodView>>, now: Instant) {
        self.see(
            match event {
                watcher::Event::Init => Event::Init,
                watcher::Event::InitApply(pod) => Event::InitApply(&pod.0),
                watcher::Event::InitDone => Event::InitDone,
                watcher::Event::Apply(pod) => Event::Apply(&pod.0),
                watcher::Event::Delete(pod) => Event::Delete(&pod.0),
            },
            now,
        );
        self.report();
    }

    fn report(&self) {
        let observer = self.observation.observer();
        let (pods, counts) = (observer.tracked(), observer.counts());
        let synced = observer.is_complete() && self.slices_listed;
        self.metrics.observed.set(Seen { pods, synced, counts });
    }

    fn slice(&mut self, event: &watcher::Event<Watched<EndpointSliceView>>, now: Instant) {
        match event {
            watcher::Event::InitApply(slice) => self.see(Event::ListedSlice(&slice.0), now),
            watcher::Event::Apply(slice) => self.see(Event::Slice(&slice.0), now),
            watcher::Event::Init => self.slices_listed = false,
            watcher::Event::InitDone => self.slices_listed = true,
            // A slice that is gone says nothing about its pods.
            watcher::Event::Delete(_) => {}
        }
        self.report();
    }

    fn see(&mut self, event: Event<'_>, now: Instant) {
        let (stops, changes, drains) = {
            let mut observer = self.observation.observer();
            (observer.see(event, now), observer.take_changed(), observer.take_drains())
        };
        for (node, longest) in drains {
            self.metrics.observed.set_drain(node, longest);
        }
        self.stops.forget(now);
        for stop in stops {
            if self.leads {
                self.sink.stopped(stop.clone());
            }
            self.stops.push(stop, now);
        }
        for workload in changes {
            if self.leads {
                self.sink.pods_changed(&workload);
            } else {
                self.changes.push(workload, now);
            }
        }
    }

    fn lead(&mut self, leads: bool, now: Instant) {
        match (std::mem::replace(&mut self.leads, leads), leads) {
            (false, true) => {
                // The newest first: the oldest ones are the first to be refused, and may have been stored already.
                for stop in self.stops.iter(now).rev() {
                    self.sink.stopped(stop.clone());
                }
                let changed: HashSet<_> = self.changes.take(now).collect();
                for workload in changed {
                    self.sink.pods_changed(&workload);
                }
            }
            (true, false) => self.metrics.shutdowns.clear(),
            (true, true) | (false, false) => {}
        }
    }
}
