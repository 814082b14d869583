//! What an evaluation means for a budget.

use std::cmp::Reverse;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conditions::{FITS, INJECTED, Verdict};
#[cfg(feature = "schema")]
use super::schema;
use super::{LONGEST_NAME, LONGEST_TEXT, MAX_FINDINGS, ShutdownBudgetStatus};
use crate::annotations;
use crate::budget::{Budget, LongestHelper};
use crate::evaluation::Evaluation;
use crate::finding::{Finding, Severity};
use crate::fingerprint::in_process;
use crate::kind::Kind;
use crate::object::Object;
use crate::observation::{Timestamp, carried_hash};
use crate::report::{self, Current, Event, Reported};
use crate::sanitize::{escaped, truncated};

/// What follows from the evaluation of a workload, apart from its pods and their stops.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    pub(super) shown: Shown,
    reportable: Reportable,
    is_declared: bool,
    carried: Option<u64>,
    created: Option<Timestamp>,
}

/// The fields of the status that follow from an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shown {
    pub(super) workload: Option<String>,
    pub(super) generation: Option<i64>,
    pub(super) budget: Option<String>,
    pub(super) phases: Option<Phases>,
    pub(super) policy: Option<String>,
    pub(super) findings: Vec<String>,
    pub(super) fits: Verdict,
    pub(super) injected: Verdict,
}

/// What the Events report.
#[derive(Clone, Debug, PartialEq)]
enum Reportable {
    State(Current),
    NotEvaluated(String),
}

/// The durations of a budget, and where each one is from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = schema::with_short_texts))]
#[serde(rename_all = "camelCase", default)]
pub struct Phases {
    /// From SIGTERM to the app's own exit.
    pub deadline: String,
    /// annotation, setting, preset, policy or built in.
    pub deadline_from: String,
    /// From the deletion request until no new traffic arrives.
    pub drain: String,
    /// annotation, preset, policy, preStop or built in.
    pub drain_from: String,
    /// From the deletion request to SIGKILL.
    pub grace_period: String,
    /// The helper or sidecar that needs the longest, if it needs longer than the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_helper: Option<String>,
    /// Between the deadline and SIGKILL.
    pub margin: String,
    /// annotation, policy or built in.
    pub margin_from: String,
}

impl Computed {
    /// From the evaluation of a workload, and the name of the `ShutdownPolicy` that counts for it.
    #[must_use]
    pub fn of(workload: &Value, evaluation: &Evaluation, policy: Option<&str>) -> Self {
        let shown = Shown {
            budget: evaluation.budget.as_ref().map(|budget| text(&budget.to_string())),
            phases: evaluation.budget.as_ref().map(Phases::from),
            policy: policy.map(name),
            findings: findings(&evaluation.findings),
            fits: Verdict::fits(evaluation),
            injected: Verdict::injected(evaluation),
            ..Shown::of(workload)
        };
        let template = Object::new(workload).template().ok();
        Self {
            shown,
            reportable: Reportable::State(Current::new(workload, evaluation)),
            is_declared: evaluation.declared,
            carried: template.and_then(|template| template.annotation(annotations::INJECTED)).map(carried_hash),
            created: created(workload),
        }
    }

    /// For a workload that is over a limit or cannot be read. Of the workload, only metadata and kind are needed.
    #[must_use]
    pub fn not_evaluated(workload: &Value, problem: &str) -> Self {
        let verdict = || Verdict::unknown("NotEvaluated", problem);
        let shown = Shown { fits: verdict(), injected: verdict(), ..Shown::of(workload) };
        let reportable = Reportable::NotEvaluated(text(problem));
        Self { shown, reportable, is_declared: true, carried: None, created: created(workload) }
    }

    /// Whether the workload has a `ShutdownBudget`: something opts it in or out, or there is an error or a warning about it. If
    /// not, the status only serves to get the Events about it, and the object is deleted.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.is_declared
    }

    /// The budget that the pod template carries: see [`carried_hash`].
    #[must_use]
    pub fn carried(&self) -> Option<u64> {
        self.carried
    }

    /// When the workload was created, if that is known.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// Equals [`ShutdownBudgetStatus::fingerprint`] of a status that shows this, in this process.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.shown, Some(&self.report(None, false).1))
    }

    /// The same without the generation, which every change of `replicas` raises.
    #[must_use]
    pub fn content_fingerprint(&self) -> u64 {
        fingerprint(&self.shown.without_generation(), Some(&self.report(None, false).1))
    }

    /// The Events, and the state to remember.
    pub(super) fn report(&self, before: Option<&Reported>, is_new: bool) -> (Vec<Event>, Reported) {
        match &self.reportable {
            Reportable::State(current) => {
                let current = current.clone().after(before);
                (report::events(before, &current, is_new), current.reported())
            }
            Reportable::NotEvaluated(problem) => {
                let (event, reported) = report::not_evaluated(before, problem);
                (event.into_iter().collect(), reported)
            }
        }
    }
}

impl ShutdownBudgetStatus {
    /// A hash of everything that follows from the evaluation of the workload. If it equals [`Computed::fingerprint`], there is
    /// nothing to write about it.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.shown(), self.reported.as_deref().and_then(Reported::parse).as_ref())
    }

    /// Equals [`Computed::content_fingerprint`] of what this shows.
    #[must_use]
    pub fn content_fingerprint(&self) -> u64 {
        let shown = self.shown().without_generation();
        fingerprint(&shown, self.reported.as_deref().and_then(Reported::parse).as_ref())
    }

    /// What an earlier evaluation wrote, within the limits of what Winddown writes.
    pub(super) fn shown(&self) -> Shown {
        let findings = self.findings.iter().take(MAX_FINDINGS + 1);
        Shown {
            workload: self.workload.as_deref().map(name),
            generation: self.workload_generation,
            budget: self.budget.as_deref().map(text),
            phases: self.phases.as_ref().map(Phases::bounded),
            policy: self.policy.as_deref().map(name),
            findings: findings.map(|finding| text(finding)).collect(),
            fits: Verdict::stored(self.condition(FITS)),
            injected: Verdict::stored(self.condition(INJECTED)),
        }
    }

    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, name: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == name)
    }
}

fn created(workload: &Value) -> Option<Timestamp> {
    workload.pointer("/metadata/creationTimestamp")?.as_str()?.parse().ok()
}

fn fingerprint(shown: &Shown, reported: Option<&Reported>) -> u64 {
    in_process(&(shown, reported.map(Reported::findings)))
}

impl Shown {
    /// Whether the pods carry the same budget as under the other one.
    pub(super) fn carries_like(&self, other: &Self) -> bool {
        (&self.phases, &self.injected) == (&other.phases, &other.injected)
    }

    fn without_generation(&self) -> Self {
        Self { generation: None, ..self.clone() }
    }

    fn of(workload: &Value) -> Self {
        let object = Object::new(workload);
        let kind = object.kind().map_or("", Kind::as_str);
        Self {
            workload: Some(name(&format!("{kind}/{}", object.name().unwrap_or_default()))),
            generation: workload.pointer("/metadata/generation").and_then(Value::as_i64),
            budget: None,
            phases: None,
            policy: None,
            findings: Vec::new(),
            fits: Verdict::unknown("", ""),
            injected: Verdict::unknown("", ""),
        }
    }
}

impl From<&Budget> for Phases {
    fn from(budget: &Budget) -> Self {
        let longest_helper = budget.longest_helper.as_ref().map(|LongestHelper { container, needs, at_least }| {
            let least = if *at_least { "at least " } else { "" };
            format!("{container} needs {least}{needs}")
        });
        let phases = Self {
            deadline: budget.deadline.to_string(),
            deadline_from: budget.deadline_from.in_words(),
            drain: budget.drain.to_string(),
            drain_from: budget.drain_from.in_words(),
            grace_period: budget.grace_period.to_string(),
            longest_helper,
            margin: budget.margin.to_string(),
            margin_from: budget.margin_from.in_words(),
        };
        phases.bounded()
    }
}

impl Phases {
    fn bounded(&self) -> Self {
        Self {
            deadline: name(&self.deadline),
            deadline_from: name(&self.deadline_from),
            drain: name(&self.drain),
            drain_from: name(&self.drain_from),
            grace_period: name(&self.grace_period),
            longest_helper: self.longest_helper.as_deref().map(name),
            margin: name(&self.margin),
            margin_from: name(&self.margin_from),
        }
    }
}

/// One line each, the most severe first, and how many more there are.
fn findings(findings: &[Finding]) -> Vec<String> {
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(|finding| Reverse(finding.severity));
    let mut lines: Vec<_> = sorted.iter().take(MAX_FINDINGS).map(|finding| line(finding)).collect();
    if let Some(more @ 1..) = sorted.len().checked_sub(MAX_FINDINGS) {
        lines.push(format!("{more} more; `winddown plan` lists all"));
    }
    lines
}

fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Info => "Info",
        Severity::Warning => "Warning",
        Severity::Error => "Error",
    };
    text(&format!("{severity} {}: {}: {}", finding.code.as_str(), finding.field, finding.message()))
}

/// One line of at most [`LONGEST_TEXT`] characters.
pub(super) fn text(text: &str) -> String {
    truncated(&escaped(text), LONGEST_TEXT).into_owned()
}

fn name(name: &str) -> String {
    truncated(&escaped(name), LONGEST_NAME).into_owned()
}
