//! Writes the status of the policies: only the leader, only what changed, and at most once in a few seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::governed::Count;
use super::table::{Entries, Entry};
use super::{CurrentPolicies, Governed, Watch, resource};
use crate::kubernetes::{Error, within};
use crate::namespaces::Namespaces;
use crate::telemetry::FailureLog;
use winddown_core::policy::{Policies, Reach, ShutdownPolicyStatus};

/// Changes within this time are written together.
const INTERVAL: Duration = Duration::from_secs(5);
/// After a failed write.
const RETRY: Duration = Duration::from_secs(30);

/// What was last written for each policy, and the version that it then had.
type Written = BTreeMap<String, (Option<String>, ShutdownPolicyStatus)>;

/// What the status of the policies depends on.
pub(crate) struct Reporter {
    client: Client,
    policies: CurrentPolicies,
    entries: Receiver<Arc<Entries>>,
    namespaces: Arc<Namespaces>,
    governed: Arc<Governed>,
    leading: Receiver<bool>,
}

impl Reporter {
    /// `client` has short timeouts.
    pub(crate) fn new(
        client: Client,
        watch: &Watch,
        namespaces: Arc<Namespaces>,
        governed: Arc<Governed>,
        leading: Receiver<bool>,
    ) -> Self {
        Self { client, policies: watch.policies(), entries: watch.entries(), namespaces, governed, leading }
    }

    /// Never ends.
    pub(crate) async fn run(self) {
        let mut failures = FailureLog::new("the status of a ShutdownPolicy was not written");
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut not_before = Instant::now();
        let mut written = Written::new();
        let mut reached: Option<(Arc<Policies>, u64, BTreeMap<String, Reach>)> = None;
        loop {
            ticks.tick().await;
            let entries = self.entries.borrow().clone();
            if entries.is_empty() || !*self.leading.borrow() || Instant::now() < not_before {
                continue;
            }
            let (policies, namespaces) = (self.policies.get(), self.namespaces.clone());
            // Until the namespaces are known, a policy would seem to count for none.
            let Some(revision) = namespaces.revision() else { continue };
            if reached.as_ref().is_none_or(|known| !Arc::ptr_eq(&known.0, &policies) || known.1 != revision) {
                let of = policies.clone();
                // Many policies and namespaces can take longer than a review may wait.
                let Ok(reach) = tokio::task::spawn_blocking(move || namespaces.reach(&of)).await else { continue };
                reached = Some((policies, revision, reach));
            }
            let Some((_, _, reach)) = &reached else { continue };
            let mut result = None;
            written
                .retain(|name, (version, _)| entries.get(name).is_some_and(|entry| entry.resource_version == *version));
            for (name, status) in self.outdated(&entries, &written, reach) {
                let Some(entry) = entries.get(&name) else { continue };
                match self.write(&name, entry, &status).await {
                    Ok(version) => {
                        written.insert(name, (version, status));
                        result.get_or_insert(Ok(()));
                    }
                    // The watch reports the newer version, or the deletion.
                    Err(error) if error.is_conflict() || error.is_not_found() => {}
                    Err(error) => {
                        not_before = Instant::now() + RETRY;
                        // One that is refused does not hide the others.
                        let transient = error.is_transient();
                        result = Some(Err(error));
                        if transient {
                            break;
                        }
                    }
                }
            }
            if let Some(result) = result {
                failures.record(result.err().as_ref());
            }
        }
    }

    /// The statuses that differ from the stored ones, or from those that were written.
    fn outdated(
        &self,
        entries: &Entries,
        written: &Written,
        reach: &BTreeMap<String, Reach>,
    ) -> Vec<(String, ShutdownPolicyStatus)> {
        let counts = self.governed.counts();
        let now = Time(Timestamp::now());
        let outdated = entries.iter().filter_map(|(name, entry)| {
            let mut reach = reach.get(name).cloned().unwrap_or_default();
            // A CRD of an older version drops fields that it does not have.
            let stored = written.get(name).map_or(&entry.status, |(_, status)| status);
            if let Some(counts) = &counts {
                let Count { workloads, waiting } = counts.get(name).copied().unwrap_or_default();
                (reach.workloads, reach.waiting) = (Some(workloads), Some(waiting));
            } else {
                (reach.workloads, reach.waiting) = (stored.workloads, stored.waiting);
            }
            let policy = entry.policy.as_ref().map(drop);
            let status = stored.next(entry.generation, policy, &reach, &now);
            (status != *stored).then(|| (name.clone(), status))
        });
        outdated.collect()
    }

    /// Returns the version of the policy that is stored then. Fails with a conflict if the policy changed since it was read.
    async fn write(&self, name: &str, entry: &Entry, status: &ShutdownPolicyStatus) -> Result<Option<String>, Error> {
        let patch = json!({"metadata": {"resourceVersion": entry.resource_version}, "status": status});
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource());
        let call = format!("write the status of ShutdownPolicy {name}");
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let stored = within(call, api.patch_status(name, &parameters, &patch)).await?;
        Ok(stored.metadata.resource_version)
    }
}
