//! What a rollout costs.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::objects::REPLICAS;
use crate::rollout::App;

/// The cost of one rollout.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Cost {
    /// From the restart until the last old pod is removed.
    pub(super) seconds: f64,
    /// The lifetimes of all pods in this time, also of those that start or terminate.
    pub(super) pod_seconds: f64,
}

/// Between two counts of the pods.
const INTERVAL: Duration = Duration::from_millis(200);

/// Restarts the app and returns what that cost.
pub(super) async fn of_restart(app: &App) -> Result<Cost> {
    let mut restart = pin!(app.restart());
    let mut pods = f64::from(REPLICAS);
    let (mut pod_seconds, mut counted) = (0.0, Instant::now());
    loop {
        let done = tokio::select! {
            done = &mut restart => Some(done?),
            () = sleep(INTERVAL) => None,
        };
        pod_seconds += pods * counted.elapsed().as_secs_f64();
        counted = Instant::now();
        if let Some(duration) = done {
            return Ok(Cost { seconds: duration.as_secs_f64(), pod_seconds });
        }
        pods = f64::from(u32::try_from(app.all_pods().await?.len())?);
    }
}

impl Cost {
    /// The pod seconds beyond those of the replicas.
    pub(super) fn extra_pod_seconds(self) -> f64 {
        self.pod_seconds - f64::from(REPLICAS) * self.seconds
    }
}
