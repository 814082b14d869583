//! One rollout at a time: whose turn it is.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;

use super::workloads::{Reference, Workloads};
use crate::kubernetes::Error;
use crate::rollout::{Progress, progress};
use crate::settlement::budget_annotation;
use crate::workload::Kind;

/// How long a rollout may stand still before nobody waits for it any more: as long as a Deployment may by default
/// (`progressDeadlineSeconds`). The other kinds wait for ever for a pod that does not come up.
const PATIENCE: Duration = Duration::from_mins(10);

/// The workload that this controller last set rolling. A new leader knows of none and looks for one first.
#[derive(Default)]
pub(super) struct Turn(Mutex<Option<Rolling>>);

struct Rolling {
    name: Reference,
    progress: Progress,
    /// Since when it has got no further.
    since: Instant,
}

impl Turn {
    /// Takes the turn for this workload, which is about to be set rolling; `false` where another one's rollout is not over.
    pub(super) async fn claim(&self, name: &Reference, workload: &Value, workloads: &Workloads) -> Result<bool, Error> {
        let mut whose = self.0.lock().await;
        let rolling = match &*whose {
            None => first_rolling(workloads).await?,
            Some(before) => {
                let found = workloads.read(&before.name).await?;
                let now = found.and_then(|found| progress(before.name.kind, &found));
                now.and_then(|now| before.still_rolling(now, Instant::now()))
            }
        };
        let free = rolling.is_none();
        *whose = rolling.or_else(|| {
            // What is seen of it later is further than this.
            let progress = progress(name.kind, workload).unwrap_or_default();
            Some(Rolling { name: name.clone(), progress, since: Instant::now() })
        });
        Ok(free)
    }
}

impl Rolling {
    /// It again, unless it got no further for too long.
    fn still_rolling(&self, now: Progress, time: Instant) -> Option<Self> {
        let since = if now == self.progress { self.since } else { time };
        let waited_for = time.duration_since(since) < PATIENCE;
        waited_for.then(|| Self { name: self.name.clone(), progress: now, since })
    }
}

async fn first_rolling(workloads: &Workloads) -> Result<Option<Rolling>, Error> {
    for kind in Kind::ALL {
        let rolling = |found: &Value| budget_annotation(found).is_some() && progress(kind, found).is_some();
        if let Some(found) = workloads.find(kind, rolling).await? {
            let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = Reference { kind, namespace: text("/metadata/namespace"), name: text("/metadata/name") };
            let progress = progress(kind, &found).unwrap_or_default();
            return Ok(Some(Rolling { name, progress, since: Instant::now() }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolling(since: Instant) -> Rolling {
        let name = Reference { kind: Kind::StatefulSet, namespace: "n".to_owned(), name: "db".to_owned() };
        Rolling { name, progress: Progress::default(), since }
    }

    #[test]
    fn nobody_waits_for_ever_for_a_rollout_that_stands_still() {
        let start = Instant::now();
        let still = |after| rolling(start).still_rolling(Progress::default(), start + after).is_some();
        assert!(still(PATIENCE / 2));
        assert!(!still(PATIENCE));
    }

    #[test]
    fn a_rollout_that_gets_further_is_waited_for_however_long_it_takes() {
        let start = Instant::now();
        let further = Progress { replaced: 1, available: 0 };
        let now = rolling(start).still_rolling(further, start + PATIENCE * 3).unwrap();
        assert!(now.still_rolling(further, start + PATIENCE * 3 + PATIENCE / 2).is_some());
    }
}
