//! `winddown.dev/injected`: the changes of Winddown in a template, and the previous values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::annotations::{Declaration, INJECTED, MAX_CONTAINERS, OPTING_IN, PREFIX};
use crate::duration::Seconds;
use crate::fingerprint::in_process;
use crate::object::Template;
use crate::policy::{Numbers, OTHERS, Resolved};
use crate::variables::Variables;
use crate::workload::DEFAULT_GRACE_PERIOD;

/// The maximum size of a record in bytes: it is user input, and every review reads it.
pub(crate) const MAX_SIZE: usize = 64 * 1024;

/// The version of the format.
const VERSION: u8 = 1;

/// The version with `explicit`, which readers of the first one do not know: they leave such a record alone.
const VERSION_WITH_RAISE: u8 = 2;

/// The version with `env`, which readers of the first two do not know: they leave such a record alone, too.
const VERSION_WITH_VARIABLES: u8 = 3;

/// All changes, short enough for an annotation.
///
/// Only these fields can be undone, because a record is user input too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    v: u8,
    /// The fingerprint of the bare template.
    template: String,
    /// The declaration in its canonical form.
    declared: String,
    /// The numbers that it resolved to: another declaration may result in the same budget.
    resolved: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grace_period: Option<GracePeriodChange>,
    /// Container name to seconds of sleep.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) pre_stop: BTreeMap<String, i64>,
    /// Containers that had no `lifecycle` before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lifecycle: Vec<String>,
    /// Container name to the injected fields of its probe.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) readiness: BTreeMap<String, Value>,
    /// Container name to the injected variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, Variables>,
    /// Containers that had no `env` before.
    #[serde(rename = "madeEnv", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) created_env: Vec<String>,
    /// The parts of the metadata that were created for label and record.
    #[serde(rename = "made", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) created: Vec<Created>,
}

/// The field that all versions of the record have.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// The grace period, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GracePeriodChange {
    /// Absent if there was none (in a file; the API server always fills in 30).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<i64>,
    pub(crate) set: i64,
    /// Whether the owner wrote the one before, which was too small.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) explicit: bool,
}

impl GracePeriodChange {
    /// Winddown raises the default and, if a policy says so, an explicit value. Any other change is not from Winddown, and
    /// undoing it could lower a value that the user set.
    fn is_raise(self) -> bool {
        let default = DEFAULT_GRACE_PERIOD.as_i64();
        match self {
            Self { was, set, explicit: false } => was.is_none_or(|was| was == default) && set > default,
            Self { was, set, explicit: true } => was.is_some_and(|was| (0..set).contains(&was)),
        }
    }
}

/// Parts of the template's metadata that did not exist before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Created {
    Metadata,
    Labels,
    Annotations,
    Label,
}

/// The reason why a record cannot be undone.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableRecord {
    /// Not a string, not JSON, or with other fields.
    #[error("is not a record written by Winddown; treating current values as user-defined")]
    Malformed,
    /// Longer than any record that Winddown writes.
    #[error("has {0} bytes, more than the limit of {MAX_SIZE} for a record; treating current values as user-defined")]
    TooLarge(usize),
    /// Written by another version of Winddown, which can undo it.
    #[error(
        "is a record of version {0}, but this Winddown supports versions {VERSION} to {VERSION_WITH_VARIABLES}; \
        template left unchanged"
    )]
    Version(u64),
}

impl Record {
    pub(crate) fn new(fingerprint: &str, resolved: &Resolved<'_>) -> Self {
        Self {
            v: VERSION,
            template: fingerprint.to_owned(),
            declared: resolved.declaration.to_string(),
            resolved: resolved.canonical(),
            grace_period: None,
            pre_stop: BTreeMap::new(),
            lifecycle: Vec::new(),
            readiness: BTreeMap::new(),
            env: BTreeMap::new(),
            created_env: Vec::new(),
            created: Vec::new(),
        }
    }

    /// The text of the annotation, in the earliest version that has all fields of the record.
    pub(crate) fn into_text(mut self) -> String {
        self.v = self.least_version();
        self.to_string()
    }

    fn least_version(&self) -> u8 {
        if !self.env.is_empty() {
            VERSION_WITH_VARIABLES
        } else if self.grace_period.is_some_and(|change| change.explicit) {
            VERSION_WITH_RAISE
        } else {
            VERSION
        }
    }

    /// The record of a template, if it has one.
    pub fn of(template: Template<'_>) -> Result<Option<Self>, UnreadableRecord> {
        template.annotation(INJECTED).map(Self::parse).transpose()
    }

    /// The record in the text of the annotation.
    pub(crate) fn parse(text: &str) -> Result<Self, UnreadableRecord> {
        if text.len() > MAX_SIZE {
            return Err(UnreadableRecord::TooLarge(text.len()));
        }
        let versioned: Versioned = serde_json::from_str(text).map_err(|_| UnreadableRecord::Malformed)?;
        if !(u64::from(VERSION)..=u64::from(VERSION_WITH_VARIABLES)).contains(&versioned.v) {
            return Err(UnreadableRecord::Version(versioned.v));
        }
        let record: Self = serde_json::from_str(text).map_err(|_| UnreadableRecord::Malformed)?;
        let containers = [record.pre_stop.len(), record.readiness.len(), record.lifecycle.len(), record.env.len()];
        if containers.into_iter().chain([record.created_env.len()]).any(|number| number > MAX_CONTAINERS) {
            return Err(UnreadableRecord::Malformed);
        }
        let raised = record.grace_period.is_none_or(GracePeriodChange::is_raise);
        if raised && record.v >= record.least_version() { Ok(record) } else { Err(UnreadableRecord::Malformed) }
    }

    /// Whether it was written for this template and this declaration, or for another declaration with the same numbers. A
    /// later change of the policy has no effect, because the declaration is the same.
    #[must_use]
    pub fn was_written_for(&self, fingerprint: &str, resolved: &Resolved<'_>) -> bool {
        let declared = self.declares(resolved.declaration);
        let same_numbers = || self.resolved == resolved.canonical();
        (declared || same_numbers()) && self.template == fingerprint
    }

    /// Whether it was written for this template.
    pub(crate) fn was_written_for_template(&self, fingerprint: &str) -> bool {
        self.template == fingerprint
    }

    /// Whether it contains an injected field of that container.
    pub(crate) fn names(&self, container: &str) -> bool {
        self.pre_stop.contains_key(container)
            || self.readiness.contains_key(container)
            || self.env.contains_key(container)
    }

    /// Whether no annotation opted in when it was written: the namespace did.
    pub(crate) fn is_for_namespace(&self) -> bool {
        let opts_in = |term: &str| {
            let key = term.split_once('=').map(|(key, _)| key);
            OPTING_IN.iter().any(|opting| opting.strip_prefix(PREFIX) == key)
        };
        !self.declared.split(' ').any(opts_in)
    }

    /// Whether it was written for this declaration, not just for the same numbers.
    pub(crate) fn declares(&self, declaration: &Declaration) -> bool {
        self.declared == declaration.to_string()
    }

    /// The numbers that it was written for.
    pub(crate) fn numbers(&self) -> Option<Numbers> {
        let mut numbers = BTreeMap::new();
        for (key, text) in self.resolved.split(' ').filter_map(|term| term.split_once('=')) {
            // The deadlines of containers follow, and a container can have the name of a number.
            numbers.entry(key).or_insert_with(|| Seconds::from_printed(text));
        }
        let term = |key: &str| numbers.get(key).copied().flatten();
        let (drain, deadline, margin) = (term("drain")?, term("deadline")?, term("margin")?);
        Some(Numbers { drain, deadline, others: term(OTHERS), margin })
    }

    /// A hash of what it injects, which is the same in this process only. Two templates that differ elsewhere have the same.
    pub(crate) fn budget_hash(&self) -> u64 {
        let probes: Vec<_> = self.readiness.iter().map(|(container, probe)| (container, probe.to_string())).collect();
        in_process(&(&self.resolved, self.grace_period.map(|change| change.set), &self.pre_stop, probes, &self.env))
    }

    /// The containers that the declaration names, if it names any. They are the last term of its canonical form.
    pub(crate) fn named_containers(&self) -> Option<Vec<String>> {
        let names = self.declared.rsplit(' ').next()?.strip_prefix("containers=")?;
        Some(names.split(',').map(str::to_owned).collect())
    }

    /// Whether the other record contains all injected fields of this one, with any values.
    pub(crate) fn injects_no_more_than(&self, other: Option<&Self>) -> bool {
        let Some(other) = other else {
            return self.grace_period.is_none()
                && self.pre_stop.is_empty()
                && self.readiness.is_empty()
                && self.env.is_empty();
        };
        let recorded = |(container, probe): (&String, &Value)| has_fields(other.readiness.get(container), probe);
        let exposed = |(container, variables): (&String, &Variables)| {
            let other = other.env.get(container).copied().unwrap_or_default();
            variables.entries().all(|(name, _)| other.entries().any(|(other, _)| other == name))
        };
        let created: BTreeSet<_> = other.lifecycle.iter().collect();
        self.pre_stop.keys().all(|container| other.pre_stop.contains_key(container))
            && self.lifecycle.iter().all(|container| created.contains(container))
            && self.readiness.iter().all(recorded)
            && self.env.iter().all(exposed)
            && (self.grace_period.is_none() || other.grace_period.is_some())
    }
}

/// Whether a value has all fields of another one, with any values.
fn has_fields(value: Option<&Value>, fields: &Value) -> bool {
    let Some(fields) = fields.as_object() else { return value.is_some() };
    value.is_some_and(|value| fields.iter().all(|(name, inner)| has_fields(value.get(name), inner)))
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
