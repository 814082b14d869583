//! What a rollout costs.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use super::objects::REPLICAS;
use crate::rollout::App;

/// The cost of one rollout.
#[derive(Clone, Copy, Debug)]
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

/// The mean for each rollout, with one decimal place.
pub(super) fn mean(costs: &[Cost], value: impl Fn(Cost) -> f64) -> f64 {
    let count = u32::try_from(costs.len()).unwrap_or(u32::MAX);
    let mean = costs.iter().map(|cost| value(*cost)).sum::<f64>() / f64::from(count.max(1));
    (mean * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::{Cost, mean};

    #[test]
    fn costs_are_means() {
        let costs = [10.0, 13.1].map(|seconds| Cost { seconds, pod_seconds: 4.0 * seconds });
        assert_eq!(format!("{:?}", mean(&costs, |cost| cost.seconds)), "11.6");
        assert_eq!(format!("{:?}", mean(&costs, Cost::extra_pod_seconds)), "11.6");
    }
}
