//! The result: of each pod, and of all.

use std::time::Duration;

use serde_json::{Value, json};

use super::container::shown;
use super::traffic;
use crate::cluster::workloads::WorkloadName;
use crate::exit::Exit;
use crate::render::text::pluralize;
use winddown_core::drill::{Candidate, Mark, Promised, Verdict};
use winddown_core::measurement::{Advice, Line, Measurement, TooShort};
use winddown_core::observation::Stop;
use winddown_core::sanitize::escaped;

/// The API server's answer to the dry run.
pub(super) const WOULD_EVICT: &str = "dry run:  the API server would evict it";
/// Above the timeline of a pod.
pub(super) const HEADINGS: &str = "\n  seconds  promised  seen";

/// What a measurement adds to the pod.
pub(super) fn measuring(image: &str) -> String {
    let image = escaped(image);
    format!("measure:  a container with the image {image} joins the pod; its entry stays until the pod is gone")
}

/// The recording has begun, and the pod is evicted after this time.
pub(super) fn recording(before: Duration) -> String {
    format!("recording the traffic for {} s before the eviction", before.as_secs())
}

/// The image of the operator is not known: the answer of the API server to the request that would find it.
pub(super) fn published_image(answer: &str) -> String {
    format!("image:    the published one; that of the operator is not known: {}", shown(answer))
}

/// What the timeline does not have: the answer of the API server to its list or watch.
pub(super) fn not_shown(answer: &str) -> String {
    format!("not shown: {}", shown(answer))
}

/// The measuring container is not allowed; the rest is observed.
pub(super) fn not_measured(reason: &str) -> String {
    format!("the traffic is not measured: {reason}")
}

/// The result of all pods.
pub(super) struct Report {
    target: String,
    namespace: String,
    /// The flags that choose the cluster, each with a space before it.
    cluster: String,
    pub(super) pods: Vec<PodReport>,
    /// Why the next pod was not evicted.
    pub(super) not_rehearsed: Option<String>,
}

/// What was promised and observed of one pod.
pub(super) struct PodReport {
    pub(super) pod: String,
    pub(super) promised: Promised,
    pub(super) verdict: Verdict,
    /// Whether its removal was seen. If not, it may still be stopping.
    pub(super) removed: bool,
    pub(super) marks: Vec<Mark>,
    /// From the eviction request to the start of the termination, as far as the log of the container is in time.
    pub(super) start_after: Option<Duration>,
    pub(super) measurement: Option<Measurement>,
    /// Why there is no measurement, if there was to be one.
    pub(super) unmeasured: Option<String>,
}

/// The log of the measuring container.
pub(super) struct Recorded<'a> {
    pub(super) lines: &'a [Line],
    /// From the eviction request to the line about SIGTERM.
    pub(super) start_after: Option<Duration>,
}

impl Report {
    pub(super) fn new(target: &WorkloadName, namespace: &str, cluster: String) -> Self {
        Self {
            target: target.to_string(),
            namespace: namespace.to_owned(),
            cluster,
            pods: Vec::new(),
            not_rehearsed: None,
        }
    }

    pub(super) fn exit(&self) -> Exit {
        let found = self.pods.iter().any(|pod| matches!(pod.verdict, Verdict::Broken(_)) || pod.too_short().is_some());
        let clear = self.pods.iter().all(|pod| matches!(pod.verdict, Verdict::Honoured(_)) && pod.is_measured());
        match (found, clear) {
            (true, _) => Exit::Findings,
            (false, true) if !self.pods.is_empty() && self.not_rehearsed.is_none() => Exit::Success,
            _ => Exit::Unusable,
        }
    }

    /// What follows from all pods.
    pub(super) fn summary(&self) -> Vec<String> {
        if self.pods.is_empty() {
            return Vec::new();
        }
        let honoured = self.pods.iter().filter(|pod| matches!(pod.verdict, Verdict::Honoured(_))).count();
        let mut lines = vec![
            String::new(),
            format!(
                "result: {honoured} of {} honoured the promise{}",
                pluralize(self.pods.len(), "pod"),
                self.short_drain().unwrap_or_default()
            ),
        ];
        let (Some(advice), Some(pod)) = (self.advice(), self.pods.first()) else { return lines };
        lines.push(String::new());
        lines.extend(traffic::beside_the_declared(&advice, &pod.promised));
        if advice.drain.is_none() {
            lines.push("no new connection was seen, so there is no drain to recommend; measure under load".to_owned());
        }
        if advice.drain_is_a_guess {
            lines.push(
                "traffic may have gone on for longer, so the drain is a guess: apply it and measure again".to_owned(),
            );
        }
        let annotations = advice.to_string();
        if !annotations.is_empty() {
            let Self { target, namespace, cluster, .. } = self;
            lines
                .push(format!("to write: kubectl annotate {target} -n {namespace}{cluster} --overwrite {annotations}"));
        }
        lines
    }

    /// The promise is about the end of the pod, so this is beside it.
    fn short_drain(&self) -> Option<String> {
        let short: Vec<_> = self.pods.iter().filter_map(PodReport::too_short).collect();
        let refused = short.iter().filter(|(reason, _)| *reason == TooShort::Refused);
        let refused = refused.fold(0_u64, |sum, (_, measured)| sum.saturating_add(measured.refused));
        let last = short.iter().filter_map(|(_, measured)| measured.last_opened).max();
        let reason = match (refused, last) {
            (0, None) => return None,
            (0, Some(last)) => {
                format!("new connections came after the app's SIGTERM, until {}", traffic::seconds(last))
            }
            _ => format!("{} after the app stopped listening", traffic::number(refused, "reset")),
        };
        Some(format!("; the drain seems to be too short: {reason}"))
    }

    /// One object with everything.
    pub(super) fn json(&self) -> Value {
        json!({
            "workload": self.target,
            "namespace": self.namespace,
            "notRehearsed": self.not_rehearsed,
            "pods": self.pods.iter().map(PodReport::json).collect::<Vec<_>>(),
            "advice": self.advice(),
        })
    }

    /// `None` without a measurement.
    fn advice(&self) -> Option<Advice> {
        let measured: Vec<_> = self.pods.iter().filter_map(|pod| pod.measurement.clone()).collect();
        (!measured.is_empty()).then(|| Advice::of(&measured))
    }
}

impl PodReport {
    /// From the stop and the log. `unmeasured` is why there is no log, if there was to be one.
    pub(super) fn of(
        candidate: &Candidate,
        stop: Option<Stop>,
        removed: bool,
        marks: Vec<Mark>,
        recorded: Option<Recorded<'_>>,
        unmeasured: Option<String>,
    ) -> Self {
        let lines = recorded.as_ref().map(|recorded| recorded.lines).unwrap_or_default();
        let measurement = Measurement::of(lines, &candidate.subject);
        let measurement = match &stop {
            Some(stop) => measurement.map(|measurement| measurement.with_stop(stop)),
            None => measurement,
        };
        let is_lost = recorded.is_some() && measurement.is_none();
        let lost = || is_lost.then(|| "the log of the container has no SIGTERM".to_owned());
        Self {
            pod: candidate.name.clone(),
            promised: candidate.promised,
            verdict: Verdict::of(stop),
            removed,
            marks,
            start_after: recorded.and_then(|recorded| recorded.start_after),
            measurement,
            unmeasured: unmeasured.or_else(lost),
        }
    }

    /// Whether all that was to be measured was.
    fn is_measured(&self) -> bool {
        self.unmeasured.is_none() && self.measurement.as_ref().is_none_or(|measured| measured.complete)
    }

    fn too_short(&self) -> Option<(TooShort, &Measurement)> {
        let measured = self.measurement.as_ref()?;
        Some((measured.too_short?, measured))
    }

    /// The lines below the timeline.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("promise {}", self.verdict)];
        if let Some(reason) = &self.unmeasured {
            lines.push(format!("the traffic was not measured: {reason}"));
        }
        if let Some(measured) = &self.measurement {
            lines.push(String::new());
            lines.extend(traffic::lines(measured, &self.promised, self.start_after));
        }
        lines
    }

    fn json(&self) -> Value {
        let marks = self.marks.iter().map(|mark| {
            json!({
                "at": mark.at.as_secs_f64(),
                "promised": mark.promised,
                "late": mark.is_late(),
                "what": mark.moment.to_string(),
            })
        });
        json!({
            "pod": self.pod,
            "promised": {
                "hook": self.promised.hook,
                "deadline": self.promised.deadline,
                "gracePeriod": self.promised.grace_period,
            },
            "verdict": self.verdict.as_str(),
            "detail": self.verdict.to_string(),
            "timeline": marks.collect::<Vec<_>>(),
            "startAfter": self.start_after.map(|after| after.as_secs_f64()),
            "measurement": self.measurement,
            "unmeasured": self.unmeasured,
        })
    }
}
