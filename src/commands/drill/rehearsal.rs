//! One pod: from its eviction to its end.

use std::time::Duration;

use kube::runtime::watcher::Event as WatchEvent;
use tokio::time::{Instant, sleep_until, timeout};

use super::Screen;
use super::eviction::Evictions;
use super::recording::Recording;
use super::report::PodReport;
use super::watches::{Seen, Watches};
use crate::cluster::{Cluster, Error};
use winddown_core::drill::{Candidate, Mark, Progress, Verdict};
use winddown_core::measurement::Measurement;
use winddown_core::observation::{Event, Observer, PodView, Stop};

/// How long traffic is recorded before the eviction.
const BEFORE: Duration = Duration::from_secs(5);
/// How long the watch may take to show the pod.
const FIRST_LOOK: Duration = Duration::from_secs(30);
/// After the grace period: the time of the kubelet, and of the API.
const SLACK: Duration = Duration::from_mins(1);
/// How long the end of the log may take after the pod is removed.
const LOG_END: Duration = Duration::from_secs(3);

/// The rehearsal with one pod.
pub(super) struct Rehearsal<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    candidate: &'a Candidate,
    recording: Option<Recording>,
    unmeasured: Option<String>,
}

/// How it ended.
pub(super) enum Ended {
    Seen(Box<PodReport>),
    Refused(String),
    Interrupted,
}

/// What was seen of the pod.
struct Observed {
    observer: Observer,
    progress: Progress,
    marks: Vec<Mark>,
    stop: Option<Stop>,
    removed: bool,
    uid: String,
}

impl<'a> Rehearsal<'a> {
    pub(super) fn new(cluster: &'a Cluster, namespace: &'a str, candidate: &'a Candidate) -> Self {
        Self { cluster, namespace, candidate, recording: None, unmeasured: None }
    }

    /// Adds the measuring container, and records for a while. If that is not possible, says why: the rehearsal goes on
    /// without it.
    pub(super) async fn measure(&mut self, image: &str, screen: &mut Screen) -> Result<(), Error> {
        if let Some(reason) = self.candidate.unmeasurable {
            self.unmeasured = Some(reason.to_owned());
        } else {
            screen.line(&format!("adding a measuring container to the pod, with the image {image}"))?;
            match Recording::start(self.cluster, self.namespace, self.candidate, image).await? {
                Ok(recording) => self.recording = Some(recording),
                Err(reason) => self.unmeasured = Some(reason),
            }
        }
        let Some(recording) = &mut self.recording else {
            let reason = self.unmeasured.as_deref().unwrap_or_default();
            return screen.line(&format!("the traffic is not measured: {reason}"));
        };
        screen.line(&format!("recording the traffic for {} s before the eviction", BEFORE.as_secs()))?;
        let until = Instant::now() + BEFORE;
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                line = recording.next() => if line.is_none() { break },
            }
        }
        screen.line("its entry stays in the pod until the pod is gone")
    }

    /// Evicts the pod and follows it until it is removed.
    pub(super) async fn run(mut self, evictions: &Evictions<'_>, screen: &mut Screen) -> Result<Ended, Error> {
        let mut watches = Watches::start(self.cluster, self.namespace, self.candidate);
        let mut observed = Observed::new(self.candidate);
        let started = std::time::Instant::now();
        let first_look = async {
            while let Some(seen) = watches.next().await {
                observed.see(&seen, started);
                if observed.observer.is_complete() {
                    return;
                }
            }
        };
        if timeout(FIRST_LOOK, first_look).await.is_err() {
            return Ok(Ended::Refused("the watch of the pod does not answer".to_owned()));
        }
        screen.line("\n  seconds  promised   seen")?;
        let requested = Instant::now();
        if let Err(refused) = evictions.evict(self.candidate).await? {
            return Ok(Ended::Refused(refused));
        }
        let grace = u64::try_from(self.candidate.promised.grace_period.as_i64()).unwrap_or_default();
        let limit = requested + Duration::from_secs(grace) + SLACK;
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        while !observed.removed {
            tokio::select! {
                seen = watches.next() => {
                    let Some(seen) = seen else { break };
                    for mark in observed.see(&seen, requested.into_std()) {
                        screen.line(&mark.to_string())?;
                    }
                }
                // A recording that has ended yields nothing more.
                Some(()) = next(&mut self.recording) => {}
                () = sleep_until(limit) => break,
                _ = &mut interrupted => return Ok(Ended::Interrupted),
            }
        }
        if self.recording.is_some() {
            // A log that does not end is read no further.
            let _ended = timeout(LOG_END, async { while next(&mut self.recording).await.is_some() {} }).await;
        }
        let lines = self.recording.as_ref().map(|recording| recording.received.as_slice()).unwrap_or_default();
        let measured = Measurement::of(lines, &self.candidate.subject);
        let measurement = measured.map(|measured| match &observed.stop {
            Some(stop) => measured.with_stop(stop),
            None => measured,
        });
        let unmeasured = self.unmeasured.or_else(|| {
            (self.recording.is_some() && measurement.is_none())
                .then(|| "the log of the container has no SIGTERM".to_owned())
        });
        let signalled = self.recording.and_then(|recording| recording.signalled);
        Ok(Ended::Seen(Box::new(PodReport {
            pod: self.candidate.name.clone(),
            promised: self.candidate.promised,
            verdict: Verdict::of(observed.stop),
            marks: observed.marks,
            start_after: signalled.map(|signalled| signalled.saturating_duration_since(requested)),
            measurement,
            unmeasured,
        })))
    }
}

async fn next(recording: &mut Option<Recording>) -> Option<()> {
    recording.as_mut()?.next().await.map(|_| ())
}

impl Observed {
    fn new(candidate: &Candidate) -> Self {
        Self {
            observer: Observer::default(),
            progress: Progress::new(&candidate.uid, candidate.promised),
            marks: Vec::new(),
            stop: None,
            removed: false,
            uid: candidate.uid.clone(),
        }
    }

    /// Adds what a watch reports, and returns the new lines, with times since this one.
    fn see(&mut self, seen: &Seen, since: std::time::Instant) -> Vec<Mark> {
        let now = std::time::Instant::now();
        let at = now.saturating_duration_since(since);
        let mut marks = Vec::new();
        let stops = match seen {
            Seen::Pod(WatchEvent::Init) => self.observer.see(Event::Init, now),
            Seen::Pod(WatchEvent::InitDone) => self.observer.see(Event::InitDone, now),
            Seen::Pod(WatchEvent::InitApply(pod)) => {
                marks.extend(self.progress.see(pod, at));
                self.observer.see(Event::InitApply(pod), now)
            }
            Seen::Pod(WatchEvent::Apply(pod)) => {
                marks.extend(self.progress.see(pod, at));
                self.observer.see(Event::Apply(pod), now)
            }
            Seen::Pod(WatchEvent::Delete(pod)) => {
                marks.extend(self.progress.see(pod, at));
                if self.is_own(pod) {
                    self.removed = true;
                    marks.push(self.progress.removed(at));
                }
                self.observer.see(Event::Delete(pod), now)
            }
            Seen::Slice { listed, slice } => {
                marks.extend(self.progress.see_slice(slice, at));
                let event = if *listed { Event::ListedSlice(slice) } else { Event::Slice(slice) };
                self.observer.see(event, now)
            }
            Seen::Event { name, count, reason, message } => {
                marks.extend(self.progress.see_event(name, *count, reason, message, at));
                Vec::new()
            }
        };
        self.stop = self.stop.take().or(stops.into_iter().find(|stop| stop.uid == self.uid));
        self.marks.extend(marks.iter().cloned());
        marks
    }

    fn is_own(&self, pod: &PodView) -> bool {
        pod.metadata.uid.as_deref() == Some(&self.uid)
    }
}
