//! What was measured, as docs/matrix.json keeps it between runs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::setting::Setting;
use crate::load::{Connections, Counts};

/// The settings that were measured, in the order of the document.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Results(pub(super) Vec<Measurement>);

/// The result for one setting.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measurement {
    #[serde(flatten)]
    pub(super) setting: Setting,
    /// Such as `2026-11-26`.
    pub(super) date: String,
    /// Such as `Kubernetes v1.37.2`.
    pub(super) versions: Vec<String>,
    /// Requests per second of each kind.
    pub(super) rate: u32,
    pub(super) rollouts: u32,
    /// The mean duration of a rollout.
    pub(super) seconds: f64,
    /// The mean of the pod-seconds of a rollout beyond those of the replicas.
    pub(super) extra_pod_seconds: f64,
    pub(super) requests: Vec<Requests>,
}

/// The requests of one kind.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Requests {
    pub(super) connections: Connections,
    pub(super) sent: u64,
    /// Those that failed, by kind.
    pub(super) failures: BTreeMap<String, u64>,
    /// `WebSockets` that the server closed with code 1001. Absent for other kinds, and where it was not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) orderly_closes: Option<u64>,
}

impl Results {
    /// Empty if there is no file.
    pub(super) fn read(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("parse {}", file.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
        }
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, text).with_context(|| format!("write {}", file.display()))
    }

    /// Replaces the result of an earlier run for the same setting, and keeps the others.
    pub(super) fn replace(&mut self, measurement: Measurement) {
        self.0.retain(|old| old.setting != measurement.setting);
        self.0.push(measurement);
        self.0.sort_by_key(|one| one.setting);
    }
}

impl Requests {
    pub(super) fn new(connections: Connections, counts: Counts) -> Self {
        let Counts { sent, failures, orderly_closes, .. } = counts;
        let orderly_closes = (connections == Connections::WebSocket).then_some(orderly_closes);
        Self { connections, sent, failures, orderly_closes }
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}
