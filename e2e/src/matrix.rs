//! `make matrix`: each form of the shutdown, behind each kind of network, under all kinds of load.
//!
//! The numbers are measured and not asserted. What a run guarantees is that nothing else failed: no request fails before the
//! first rollout, each generator keeps its rate, and the sleep is injected exactly where it is measured.

mod cost;
mod measurement;
mod objects;
mod setting;
mod table;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::iter::zip;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, ListParams};
use tempfile::NamedTempFile;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use self::cost::Cost;
use self::measurement::{Measurement, Requests, Results};
use self::objects::{APP, PROXY};
pub use self::setting::Selection;
use self::setting::Setting;
use crate::cluster::{delete_namespace, recreate_namespace};
use crate::command::CommandLine;
use crate::kube_proxy;
use crate::load::{Connections, Generator, Load, delete_generators};
use crate::progress::Progress;
use crate::release::{self, Helm};
use crate::rollout::App;

/// What was measured.
pub const RESULTS: &str = "docs/matrix.json";

/// Has the results as tables.
pub const DOCUMENT: &str = "docs/matrix.md";

const NAMESPACE: &str = "matrix";

const KINDS: [Connections; 5] =
    [Connections::New, Connections::Kept, Connections::Http2, Connections::Grpc, Connections::WebSocket];

/// Load without a rollout, before the first one, after each, and after the last.
const IDLE: Duration = Duration::from_secs(2);

/// Attempts to start the load generators: `HAProxy` and kube-proxy need a moment to learn of the pods.
const ATTEMPTS: u32 = 4;

/// The upper bound for one rollout; it limits the duration of the load.
const MAX_ROLLOUT: Duration = Duration::from_mins(2);

/// What to measure, and where the results go.
#[derive(Debug)]
pub struct Matrix {
    /// Rollouts for each setting.
    pub rollouts: u32,
    /// Requests per second of each kind.
    pub rate: u32,
    /// The settings to measure.
    pub only: Selection,
    /// The JSON file with the results, also those of earlier runs.
    pub results: PathBuf,
    /// The document with the tables.
    pub document: PathBuf,
}

/// Measures all selected settings and writes the document. A setting that cannot be measured does not stop the others.
/// Also after an error or a signal it restores the mode of kube-proxy: other tests measure in that mode.
pub async fn run(client: &Client, matrix: &Matrix, progress: Progress) -> Result<()> {
    let measured = tokio::select! {
        measured = Box::pin(measure_all(client, matrix, progress)) => measured,
        interrupted = interrupted() => interrupted,
    };
    progress.report(format_args!("kube-proxy to {} mode, removing the app and Winddown", kube_proxy::DEFAULT));
    let switched = kube_proxy::switch(client, kube_proxy::DEFAULT).await;
    let deleted = delete_namespace(client, NAMESPACE).await;
    let uninstalled = release::remove().await;
    switched.context("restore the mode of kube-proxy")?;
    measured.and(deleted).and(uninstalled)
}

/// Ctrl+C or SIGTERM.
async fn interrupted() -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = ctrl_c() => pressed?,
        _ = terminated.recv() => {}
    }
    bail!("interrupted")
}

async fn measure_all(client: &Client, matrix: &Matrix, progress: Progress) -> Result<()> {
    let mut results = Results::read(&matrix.results)?;
    progress.report("installing Winddown");
    Helm::V4.install("").run().await?;
    let mut failed = Vec::new();
    for setting in &matrix.only.0 {
        progress.report(format_args!("{setting}"));
        match measure(client, matrix, *setting, progress).await {
            Ok(measurement) => {
                results.replace(measurement);
                results.write(&matrix.results)?;
                table::write(&matrix.document, &results)?;
            }
            Err(error) => {
                progress.report(format_args!("  not measured: {error:#}"));
                failed.push(setting.to_string());
            }
        }
    }
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

async fn measure(client: &Client, matrix: &Matrix, setting: Setting, progress: Progress) -> Result<Measurement> {
    kube_proxy::switch(client, setting.network.kube_proxy_mode()).await?;
    recreate_namespace(client, NAMESPACE, &[]).await?;
    let app = start(client, setting).await?;
    let generators = start_generators(client, matrix, setting).await?;
    let mut costs = Vec::new();
    for rollout in 1..=matrix.rollouts {
        let cost = cost::of_restart(&app).await?;
        sleep(IDLE).await;
        let failed = generators.iter().map(|one| Ok(one.current()?.failed)).collect::<Result<Vec<_>>>()?;
        let (rollouts, seconds, extra) = (matrix.rollouts, cost.seconds, cost.extra_pod_seconds());
        progress.report(format_args!(
            "  rollout {rollout} of {rollouts}  {seconds:5.1} s  {extra:5.1} extra pod-seconds   failed so far: {failed:?}"
        ));
        costs.push(cost);
    }
    let finished = try_join_all(generators.into_iter().map(Generator::stop)).await?;
    Ok(Measurement {
        setting,
        date: CommandLine::new("date --utc +%F").run().await?.trim().to_owned(),
        versions: versions(client, &app, setting).await?,
        rate: matrix.rate,
        rollouts: matrix.rollouts,
        seconds: cost::mean(&costs, |cost| cost.seconds),
        extra_pod_seconds: cost::mean(&costs, Cost::extra_pod_seconds),
        requests: zip(KINDS, finished).map(|(connections, one)| Requests::new(connections, one.counts)).collect(),
    })
}

/// Creates the objects and waits until they are available.
async fn start(client: &Client, setting: Setting) -> Result<App> {
    let mut file = NamedTempFile::new().context("create a temporary file")?;
    write!(file, "{}", objects::list(setting)).context("write a temporary file")?;
    let app = App::new(client, NAMESPACE, APP);
    app.kubectl("apply --filename").word(file.path().to_string_lossy()).run().await?;
    app.wait_until_serving(3000, "/health").await?;
    if setting.network.haproxy().is_some() {
        App::new(client, NAMESPACE, PROXY).wait_until_available().await?;
    }

    let containers = app.deployment().await?.spec.template.spec.unwrap_or_default().containers;
    let is_injected = containers.iter().any(|container| container.lifecycle.is_some());
    ensure!(is_injected == setting.form.is_annotated(), "{setting}: preStop sleep injected: {is_injected}");
    Ok(app)
}

/// Starts a generator for each kind, and checks that no request fails without a rollout.
async fn start_generators(client: &Client, matrix: &Matrix, setting: Setting) -> Result<Vec<Generator>> {
    let loads = KINDS.map(|connections| Load {
        namespace: NAMESPACE.to_owned(),
        service: objects::target(setting, connections),
        rate: matrix.rate,
        connections,
        max_duration: MAX_ROLLOUT * (matrix.rollouts + 1),
    });
    let mut failed = Vec::new();
    for _ in 0..ATTEMPTS {
        let generators = try_join_all(loads.iter().map(|load| Generator::start(client, load))).await?;
        sleep(IDLE).await;
        failed = generators.iter().map(|one| Ok(one.current()?.failures)).collect::<Result<Vec<_>>>()?;
        if failed.iter().all(BTreeMap::is_empty) {
            return Ok(generators);
        }
        delete_generators(client, NAMESPACE).await?;
    }
    bail!("requests failed before the first rollout: {failed:?}")
}

async fn versions(client: &Client, app: &App, setting: Setting) -> Result<Vec<String>> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default().limit(1)).await.context("list the nodes")?;
    let info = nodes.items.into_iter().next().and_then(|node| node.status?.node_info).context("no node")?;
    let mut versions =
        vec![format!("Kubernetes {}", info.kubelet_version), format!("Linux {}", info.kernel_version), info.os_image];
    if setting.network.haproxy().is_some() {
        let output = app.kubectl("exec deployment/haproxy -- haproxy -v").run().await?;
        let version = output.split_whitespace().nth(2).context("no version of HAProxy")?;
        versions.push(format!("HAProxy {version}"));
    }
    Ok(versions)
}
