//! The API server's audit log, for the audit annotations that webhooks add to requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;

/// The files of an audit log that contains only changes of workloads.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog {
    policy: PathBuf,
    log: PathBuf,
}

/// The audit annotations of one request: `webhook/key` to value.
pub(crate) type Annotations = BTreeMap<String, String>;

/// The part of an `audit.k8s.io/v1` Event that is used here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(default)]
    annotations: Annotations,
}

impl AuditLog {
    /// Writes the audit policy to this folder.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let (policy, log) = (folder.join("audit-policy.json"), folder.join("audit.log"));
        let workloads = json!({"group": "apps", "resources": ["deployments", "statefulsets", "daemonsets"]});
        let rules = json!([
            {"level": "Metadata", "verbs": ["create", "update", "patch"], "resources": [workloads]},
            {"level": "None"},
        ]);
        let text = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": rules,
        });
        fs::write(&policy, text.to_string()).with_context(|| format!("write {}", policy.display()))?;
        Ok(Self { policy, log })
    }

    /// The flags of kube-apiserver that enable this log.
    pub(crate) fn flags(&self) -> [String; 2] {
        [format!("--audit-policy-file={}", self.policy.display()), format!("--audit-log-path={}", self.log.display())]
    }

    /// The annotations of all logged requests, by audit ID. A request is logged after its response was sent.
    pub(crate) fn annotations(&self) -> Result<BTreeMap<String, Annotations>> {
        let text = match fs::read_to_string(&self.log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            text => text.with_context(|| format!("read {}", self.log.display()))?,
        };
        // The last line may be incomplete.
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        let events = complete.lines().map(|line| {
            let event: Event = serde_json::from_str(line).with_context(|| format!("parse the audit event {line}"))?;
            Ok((event.audit_id, event.annotations))
        });
        events.collect()
    }
}
