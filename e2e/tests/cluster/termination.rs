//! The effect of the injected fields on a terminating pod.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, LogParams};
use winddown_e2e::rollout::App;
use winddown_e2e::wait::within;

use crate::example::{DRAIN, Example};
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![sigterm_is_sent_after_the_drain]
}

/// With a margin for a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// The app logs this when it receives SIGTERM.
const SHUTDOWN_LOG: &str = r#""event":"begun""#;

async fn sigterm_is_sent_after_the_drain(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let drain = Duration::from_secs(DRAIN.unsigned_abs());

    let control = time_to_sigterm(&environment, &Example::new("control").start(&environment).await?).await?;
    let drained = Example::new("drained").annotated().start(&environment).await?;
    let drained = time_to_sigterm(&environment, &drained).await?;
    eprintln!("  SIGTERM after {:.1} s without and {:.1} s with a drain", control.as_secs_f32(), drained.as_secs_f32());
    assert!(control < drain, "SIGTERM without a drain after {control:?}");
    assert!((drain..drain + drain).contains(&drained), "SIGTERM after {drained:?}");
    environment.clean_up().await
}

/// Deletes the app's pod and returns the time until its process logs that it received SIGTERM.
async fn time_to_sigterm(environment: &Environment, app: &App) -> Result<Duration> {
    let pods: Api<Pod> = Api::namespaced(environment.client.clone(), &environment.namespace);
    let pod = app.all_pods().await?.pop().context("the Deployment has no pod")?.name_any();
    let parameters = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(&pod, &parameters).await?.lines();
    let start = Instant::now();
    pods.delete(&pod, &DeleteParams::default()).await?;
    within(&format!("Pod {pod} to log {SHUTDOWN_LOG:?}"), LIMIT, async {
        while let Some(line) = lines.try_next().await? {
            if line.contains(SHUTDOWN_LOG) {
                return Ok(start.elapsed());
            }
        }
        bail!("the log of Pod {pod} ended without {SHUTDOWN_LOG:?}")
    })
    .await
}
