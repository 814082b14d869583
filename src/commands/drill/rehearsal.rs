//! One pod: from its eviction to its end.

use std::time::Duration;

use kube::runtime::watcher::Event as WatchEvent;
use tokio::time::{Instant, sleep_until, timeout};

use super::Transcript;
use super::container::{Container, NotStarted, deleted};
use super::eviction::Evictions;
use super::left_behind::{Joined, Stopping};
use super::recording::Recording;
use super::report::{self, PodReport, Recorded};
use super::watches::{Seen, Watches, permitted};
use crate::cluster::{Cluster, Error};
use winddown_core::drill::{Candidate, Mark, Progress};
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
    candidate: &'a Candidate,
    watches: Watches,
    observed: Observed,
    recording: Option<Recording>,
    pub(super) unmeasured: Option<String>,
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
    /// Watches the pod. If the watch does not show it, why.
    pub(super) async fn prepare(cluster: &Cluster, namespace: &str, candidate: &'a Candidate) -> Result<Self, String> {
        permitted(cluster, namespace, candidate).await?;
        let mut watches = Watches::start(cluster, namespace, candidate);
        let mut observed = Observed::new(candidate);
        observed.first_look(&mut watches).await?;
        Ok(Self { candidate, watches, observed, recording: None, unmeasured: None })
    }

    /// Whether the pod is being deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.observed.progress.is_deleted()
    }

    /// Evicts the pod and follows it until it is removed. If it is not evicted, why not. `stopping` is set from the request on.
    pub(super) async fn run(
        mut self,
        evictions: &Evictions<'_>,
        screen: &mut Transcript,
        stopping: &mut Option<Stopping>,
    ) -> Result<Result<PodReport, String>, Error> {
        screen.line(report::HEADINGS)?;
        let requested = Instant::now();
        let evicted = stopping.insert(Stopping { pod: self.candidate.name.clone(), answered: false });
        match evictions.evict(self.candidate).await {
            Ok(Ok(())) => evicted.answered = true,
            Ok(Err(refused)) => {
                *stopping = None;
                return Ok(Err(refused.reason));
            }
            Err(error) => {
                // Without an answer, or after an internal error, it may be stopping.
                if error.is_refusal() {
                    *stopping = None;
                }
                return Err(error);
            }
        }
        let grace = u64::try_from(self.candidate.promised.grace_period.as_i64()).unwrap_or_default();
        let limit = requested + Duration::from_secs(grace) + SLACK;
        let Self { watches, observed, recording, .. } = &mut self;
        while !observed.removed {
            tokio::select! {
                seen = watches.next() => {
                    let Some(seen) = seen else { break };
                    for mark in observed.see(&seen, requested.into_std()) {
                        screen.line(&mark.to_string())?;
                    }
                }
                // A recording that has ended yields nothing more.
                Some(()) = next(recording) => {}
                () = sleep_until(limit) => break,
            }
        }
        if recording.is_some() {
            // A log that does not end is read no further.
            let _ended = timeout(LOG_END, async { while next(recording).await.is_some() {} }).await;
        }
        Ok(Ok(self.report(requested)))
    }

    /// Adds the measuring container, and records for a while. If it is not allowed, says so: the rest can be observed. If it does
    /// not work, the reason. `joined` is set as soon as the container is requested.
    pub(super) async fn measure(
        &mut self,
        container: &Container<'_>,
        screen: &mut Transcript,
        joined: &mut Option<Joined>,
    ) -> Result<Result<(), String>, Error> {
        let Self { watches, observed, .. } = self;
        let recording = match Recording::start(container, joined).await? {
            Ok(recording) => self.recording.insert(recording),
            Err(NotStarted::NotAllowed(reason)) => {
                screen.line(&report::not_measured(&reason))?;
                self.unmeasured = Some(reason);
                return Ok(Ok(()));
            }
            Err(NotStarted::Failed(reason)) => return Ok(Err(reason)),
        };
        screen.line(&report::recording(BEFORE))?;
        let begun = Instant::now();
        let until = begun + BEFORE;
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                line = recording.next() => if line.is_none() { break },
                seen = watches.next() => {
                    if let Some(seen) = seen {
                        observed.see(&seen, begun.into_std());
                    }
                }
            }
        }
        if observed.removed || observed.progress.is_deleted() {
            return Ok(Err(deleted(&self.candidate.name)));
        }
        if recording.received.is_empty() {
            return Ok(Err(
                "the measuring container logs nothing; is the image that of this version of Winddown?".to_owned()
            ));
        }
        if recording.has_ended() {
            return Ok(Err("the measuring container has ended before the eviction".to_owned()));
        }
        Ok(Ok(()))
    }

    fn report(self, requested: Instant) -> PodReport {
        let Self { candidate, observed, recording, unmeasured, .. } = self;
        let recorded = recording.as_ref().map(|recording| Recorded {
            lines: &recording.received,
            start_after: recording.signalled.map(|signalled| signalled.saturating_duration_since(requested)),
        });
        PodReport::of(candidate, observed.stop, observed.removed, observed.marks, recorded, unmeasured)
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

    /// Waits until the watch has shown the pod. If it does not, why.
    async fn first_look(&mut self, watches: &mut Watches) -> Result<(), String> {
        let since = std::time::Instant::now();
        let look = async {
            while let Some(seen) = watches.next().await {
                if let Seen::Denied(message) = &seen {
                    return Err(format!("cannot watch the pod: {message}"));
                }
                self.see(&seen, since);
                if self.observer.is_complete() {
                    return Ok(());
                }
            }
            Ok(())
        };
        timeout(FIRST_LOOK, look).await.unwrap_or_else(|_| Err("the watch of the pod does not answer".to_owned()))
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
                    marks.push(Progress::removed(at));
                }
                self.observer.see(Event::Delete(pod), now)
            }
            Seen::Slice { listed, slice } => {
                marks.extend(self.progress.see_slice(slice, at));
                let event = if *listed { Event::ListedSlice(slice) } else { Event::Slice(slice) };
                self.observer.see(event, now)
            }
            Seen::Denied(_) => Vec::new(),
            Seen::Event { name, count, reason, message } => {
                marks.extend(self.progress.see_event(name, *count, reason, message, at));
                Vec::new()
            }
        };
        // A list without the pod: its removal was not reported.
        if matches!(seen, Seen::Pod(WatchEvent::InitDone))
            && stops.iter().any(|stop| stop.uid == self.uid)
            && !self.removed
        {
            self.removed = true;
            marks.push(Progress::removed(at));
        }
        self.stop = self.stop.take().or(stops.into_iter().find(|stop| stop.uid == self.uid));
        self.marks.extend(marks.iter().cloned());
        marks
    }

    fn is_own(&self, pod: &PodView) -> bool {
        pod.metadata.uid.as_deref() == Some(&self.uid)
    }
}
