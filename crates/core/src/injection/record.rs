//! `winddown.dev/injected`: what Winddown changed in a template, and what stood there before.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::annotations::{Declaration, INJECTED};
use crate::plan::DEFAULT_GRACE_PERIOD;
use crate::policy::Policy;

/// The form of record that this version writes and reads.
const VERSION: u8 = 1;

/// Exactly what was changed, compact enough for an annotation.
///
/// Only these fields can ever be undone, whatever the annotation's text says: a record is user input too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    v: u8,
    /// A hash of the bare template: whether it changed since.
    template: String,
    /// The declaration in its canonical form: whether it changed since.
    declared: String,
    /// What it came to under the policy of that time: whether only its spelling changed since.
    resolved: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grace_period: Option<GracePeriodChange>,
    /// Container name to seconds of sleep.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) pre_stop: BTreeMap<String, i64>,
    /// Containers that had no `lifecycle` before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lifecycle: Vec<String>,
    /// Container name to probe.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) readiness: BTreeMap<String, Value>,
    /// What was made to hold label and record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) made: Vec<Made>,
}

/// What all versions of a record have in common.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// The grace period, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GracePeriodChange {
    /// Absent where there was none (in a file; the API server always fills in 30).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<i64>,
    pub(crate) set: i64,
}

/// Parts of the template's metadata that were not there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Made {
    Metadata,
    Labels,
    Annotations,
    Label,
}

/// The annotation is there, but is no record of ours.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableRecord {
    /// Not a string, not JSON, or not of our form.
    #[error("is not a record that Winddown wrote; what stands in the template counts as its owner's")]
    Malformed,
    /// Written by another version of Winddown, which knows what to undo.
    #[error("is a record of version {0}, and this Winddown knows version {VERSION}; the template is left as it stands")]
    Version(u64),
}

impl Record {
    pub(crate) fn new(bare: &Value, declaration: &Declaration, policy: &Policy) -> Self {
        Self {
            v: VERSION,
            template: fingerprint(bare),
            declared: declaration.to_string(),
            resolved: declaration.resolved(policy).to_string(),
            grace_period: None,
            pre_stop: BTreeMap::new(),
            lifecycle: Vec::new(),
            readiness: BTreeMap::new(),
            made: Vec::new(),
        }
    }

    /// The record that a template carries, if it carries one.
    pub fn of(template: &Value) -> Result<Option<Self>, UnreadableRecord> {
        let annotation = template.pointer("/metadata/annotations").and_then(|annotations| annotations.get(INJECTED));
        let Some(text) = annotation.and_then(Value::as_str) else { return Ok(None) };
        let versioned: Versioned = serde_json::from_str(text).map_err(|_| UnreadableRecord::Malformed)?;
        if versioned.v != u64::from(VERSION) {
            return Err(UnreadableRecord::Version(versioned.v));
        }
        let record: Self = serde_json::from_str(text).map_err(|_| UnreadableRecord::Malformed)?;
        // Only a default is ever raised. Anything else was made up, and could lower what somebody wrote.
        let default = DEFAULT_GRACE_PERIOD.as_i64();
        let raised = |change: GracePeriodChange| change.was.is_none_or(|was| was == default) && change.set > default;
        if record.grace_period.is_none_or(raised) { Ok(Some(record)) } else { Err(UnreadableRecord::Malformed) }
    }

    /// Whether it was written for just this template and declaration, or for another spelling of it. A policy that
    /// changed since changes nothing: what was declared is the same.
    #[must_use]
    pub fn was_made_for(&self, bare: &Value, declaration: &Declaration, policy: &Policy) -> bool {
        let declared = self.declared == declaration.to_string();
        let respelt = || self.resolved == declaration.resolved(policy).to_string();
        (declared || respelt()) && self.template == fingerprint(bare)
    }

    /// What was done, in words; empty where the template already was as it should be.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = Vec::new();
        for (container, seconds) in &self.pre_stop {
            words.push(format!("preStop sleep {seconds}s into {container}"));
        }
        for container in self.readiness.keys() {
            words.push(format!("readiness probe into {container}"));
        }
        if let Some(GracePeriodChange { was, set }) = self.grace_period {
            words.push(format!("grace period {}s → {set}s", was.unwrap_or(30)));
        }
        words.join(", ")
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// A short hash of a template, the same whatever the order of its keys and whether absent fields are written as null.
fn fingerprint(template: &Value) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash, template);
    hash.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Every value is preceded by its kind and length, so that no two templates feed the same bytes.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            hash.update([b'{']);
            hash.update(fields.len().to_le_bytes());
            for (key, value) in fields {
                hash.update(key.len().to_le_bytes());
                hash.update(key);
                feed(hash, value);
            }
        }
        Value::Array(items) => {
            hash.update([b'[']);
            hash.update(items.len().to_le_bytes());
            for item in items {
                feed(hash, item);
            }
        }
        Value::String(text) => {
            hash.update([b'"']);
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        scalar => {
            let text = scalar.to_string();
            hash.update([b'=']);
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
    }
}
