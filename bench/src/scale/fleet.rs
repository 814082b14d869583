//! The workloads of a cluster.

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use serde_json::{Value, json};

use super::installation::Installation;
use crate::{fixture, progress};

/// Namespaces of the workloads.
const NAMESPACES: usize = 100;
/// Requests at the same time.
pub(super) const CONNECTIONS: usize = 16;

/// Which workloads a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fleet {
    /// Without annotations of Winddown.
    Plain,
    /// Annotated and injected, each with its stored `ShutdownBudget`.
    Annotated,
}

impl Fleet {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Annotated => "annotated",
        }
    }

    /// The workload with this number. No two have the same selector.
    fn workload(self, number: usize) -> Value {
        let mut workload = fixture::deployment(&name(number), &namespace(number));
        let instance = json!(format!("checkout-production-{number:05}"));
        let labels = ["/metadata/labels", "/spec/template/metadata/labels", "/spec/selector/matchLabels"];
        for labels in labels {
            if let Some(labels) = workload.pointer_mut(labels) {
                labels["app.kubernetes.io/instance"] = instance.clone();
            }
        }
        if let (Self::Plain, Some(annotations)) = (self, workload["metadata"]["annotations"].as_object_mut()) {
            annotations.retain(|key, _| !key.starts_with("winddown.dev/"));
        }
        workload
    }

    /// Creates all namespaces and workloads.
    pub(super) async fn create(self, installation: &Installation, workloads: usize) -> Result<()> {
        for number in 0..NAMESPACES.min(workloads) {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(number)}});
            installation.api.create("/api/v1/namespaces", &object).await?;
        }
        let creates = stream::iter(0..workloads).map(async |number| {
            let collection = format!("/apis/apps/v1/namespaces/{}/deployments", namespace(number));
            let created = installation.api.create(&collection, &self.workload(number)).await?;
            let is_injected = created["metadata"]["annotations"]["winddown.dev/budget"].is_string();
            ensure!(is_injected == (self == Self::Annotated), "the webhook was not called, or should not be called");
            if (number + 1).is_multiple_of(1000) {
                progress(&format!("created {} of {workloads} workloads", number + 1));
            }
            Ok(())
        });
        creates.buffer_unordered(CONNECTIONS).try_collect().await
    }
}

pub(super) fn namespace(number: usize) -> String {
    format!("team-{:02}", number % NAMESPACES)
}

pub(super) fn name(number: usize) -> String {
    format!("checkout-{number:05}")
}
