//! Kills at the end of the grace period: what they say about the deadline, and when to publish an Event.

use serde::{Deserialize, Serialize};

use crate::duration::Seconds;
use crate::observation::{Outcome, Recommendation, Stop, Timestamp};
use crate::report::{Event, EventKind};
use crate::sanitize::{escaped, truncated};

/// Between two Events about one workload.
const INTERVAL: i64 = 300;

/// How long a kill counts for the recommendation, in stops in which the app exited by itself.
const WEIGHT: u32 = 512;

/// What a stop in which the app exited by itself takes from the weight if its grace period was longer than that of the kill.
/// Then the kill is forgotten as soon as there are enough stops for a recommendation.
const LONGER: u32 = 26;

/// The kills of one workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Kills {
    /// The longest time from SIGTERM to SIGKILL that was not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Seconds>,
    /// The longest grace period that was not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    grace: Option<Seconds>,
    /// What is left of it.
    #[serde(skip_serializing_if = "is_zero")]
    weight: u32,
    /// When the last Event was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<Timestamp>,
    /// The kills since.
    #[serde(skip_serializing_if = "is_zero")]
    unpublished: u32,
    /// The first stop of a series: without a kill, it ends after the interval between two Events.
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Timestamp>,
    /// The stops of the series.
    #[serde(skip_serializing_if = "is_zero")]
    stops: u32,
    /// The last kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Kill>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kill {
    pod: String,
    container: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grace: Option<Seconds>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    out_of_memory: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde requires")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Kills {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn count(&mut self, stop: &Stop) {
        let is_another = |first: Timestamp| self.unpublished == 0 && stop.at.since(first) > INTERVAL;
        if self.series.is_none_or(is_another) {
            (self.series, self.stops) = (Some(stop.at), 0);
        }
        self.stops = self.stops.saturating_add(1);
        if stop.outcome == Outcome::Killed {
            let killed = stop.decisive();
            self.after = self.after.max(killed.and_then(|killed| killed.after_signal));
            self.grace = self.grace.max(stop.grace_period);
            self.weight = WEIGHT;
            self.unpublished = self.unpublished.saturating_add(1);
            self.last = killed.map(|killed| Kill {
                pod: shortened(&stop.pod),
                container: shortened(&killed.name),
                duration: killed.duration,
                grace: stop.grace_period,
                out_of_memory: killed.out_of_memory,
            });
        } else if stop.outcome == Outcome::Clean && stop.duration.is_some() {
            let weight = if stop.grace_period > self.grace { LONGER } else { 1 };
            self.weight = self.weight.saturating_sub(weight);
            if self.weight == 0 {
                (self.after, self.grace) = (None, None);
            }
        }
    }

    /// The time from SIGTERM that was not enough, unless it is forgotten.
    pub(super) fn not_enough(&self) -> Option<Seconds> {
        self.after
    }

    /// The Event, if one is due.
    pub(super) fn due_event(&mut self, now: Timestamp, recommendation: Recommendation) -> Option<Event> {
        // The clock of another leader may be behind.
        let is_due = self.published.is_none_or(|published| now.since(published).abs() >= INTERVAL);
        let last = self.last.as_ref().filter(|_| is_due && self.unpublished > 0)?;
        let note = note(last, self.unpublished, self.stops, recommendation);
        (self.published, self.unpublished) = (Some(now), 0);
        (self.series, self.stops) = (None, 0);
        Some(Event { kind: EventKind::Warning, reason: "ShutdownKilled", note })
    }

    /// How long the kills since the last Event wait for the next one, if there are any.
    pub(super) fn due_in(&self, now: Timestamp) -> Option<Seconds> {
        let waited = now.since(self.published.filter(|_| self.unpublished > 0 && self.last.is_some())?).abs();
        Some(Seconds::from_api(INTERVAL.saturating_sub(waited)))
    }

    /// With names of a length that Winddown writes.
    pub(super) fn within_bounds(mut self) -> Self {
        self.weight = self.weight.min(WEIGHT);
        if let Some(last) = &mut self.last {
            (last.pod, last.container) = (shortened(&last.pod), shortened(&last.container));
        }
        self
    }
}

/// At most 63 characters, which is the limit of the name of a container.
fn shortened(name: &str) -> String {
    truncated(&escaped(name), 63).into_owned()
}

/// At most 1,024 bytes, which is the limit of the API: both names have at most 63 characters.
fn note(last: &Kill, kills: u32, stops: u32, recommendation: Recommendation) -> String {
    let Kill { pod, container, duration, grace, out_of_memory } = last;
    let number = if stops == 1 { "A pod was".to_owned() } else { format!("{kills} of {stops} pods that stopped were") };
    let after = match (duration, grace) {
        (Some(duration), Some(grace)) => format!(" after {duration} of {grace}"),
        _ => String::new(),
    };
    let memory = if *out_of_memory { "; it may also have been out of memory" } else { "" };
    let change = match recommendation {
        Recommendation::MoreThan { deadline, .. } => format!("try winddown.dev/deadline: {deadline}"),
        _ => "raise winddown.dev/deadline".to_owned(),
    };
    format!(
        "{number} killed at the end of the grace period: container {container} of {pod} still ran{after}{memory}. Make the \
         app exit sooner after SIGTERM, or {change}"
    )
}
