//! The API server's audit log: what admission noted about each request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use serde_json::json;

/// Where an API server keeps its audit log, and what it keeps there: who changed a workload, and the notes on it.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog {
    policy: PathBuf,
    log: PathBuf,
}

/// What admission noted about a request, by `webhook/key`.
pub type Annotations = BTreeMap<String, String>;

/// A line of the log, as far as anybody asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(default)]
    annotations: Annotations,
}

impl AuditLog {
    /// Writes down in this folder what is to be logged.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
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
        fs::write(&policy, text.to_string())?;
        Ok(Self { policy, log })
    }

    /// What tells an API server.
    pub(crate) fn flags(&self) -> [String; 2] {
        [format!("--audit-policy-file={}", self.policy.display()), format!("--audit-log-path={}", self.log.display())]
    }

    /// By the id of each request that is logged so far. A request is logged once it is answered, not before.
    pub(crate) fn annotations(&self) -> io::Result<BTreeMap<String, Annotations>> {
        let text = match fs::read_to_string(&self.log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            text => text?,
        };
        // The last line may still be in the writing.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let events = whole.lines().map(|line| {
            let event: Event = serde_json::from_str(line)?;
            Ok((event.audit_id, event.annotations))
        });
        events.collect()
    }
}
