//! Stops are counted once, and all of them, while the leader changes.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use tokio::time::sleep;
use winddown_e2e::release;
use winddown_e2e::rollout::App;
use winddown_e2e::wait::until;

use super::scripted::{EXITS, Scripted};
use winddown_e2e::budgets::Budgets;
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![each_of_200_stops_is_counted_once_while_the_leader_is_deleted]
}

/// They fit on the two workers, which take 110 pods each.
const PODS: u32 = 200;

/// Pods are stopped in steps, so that all of them stop within a minute and leaders change meanwhile.
const STEP: usize = 20;
const PAUSE: Duration = Duration::from_secs(6);

/// How long a leader leads.
const TERM: Duration = Duration::from_secs(10);

/// For the start of all pods.
const START_LIMIT: Duration = Duration::from_mins(4);

/// From the first deletion to the last count.
const LIMIT: Duration = Duration::from_mins(3);

/// Between two reads of the count.
const INTERVAL: Duration = Duration::from_millis(500);

async fn each_of_200_stops_is_counted_once_while_the_leader_is_deleted(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let start = Instant::now();
    Scripted::deployment("app", EXITS).replicas(PODS).create(&environment).await?;
    let app = App::new(&environment.client, &environment.namespace, "app");
    let available = |app: &Deployment| app.status.as_ref().and_then(|status| status.available_replicas);
    app.wait_until("all pods to be available", START_LIMIT, |app| available(app) == i32::try_from(PODS).ok()).await?;
    eprintln!("  {PODS} pods run after {:.0} s", start.elapsed().as_secs_f32());

    let start = Instant::now();
    tokio::select! {
        counted = async { tokio::try_join!(stop(&app), count(&environment)) } => drop(counted?),
        deleted = delete_leaders(&environment) => match deleted? {},
    }
    eprintln!("  {PODS} stops were counted after {:.0} s", start.elapsed().as_secs_f32());
    // The next leader has seen the same stops, and does not count them again.
    let leader = delete_leader(&environment).await?;
    eprintln!("  {leader} was deleted after the last count");
    environment.wait_for_leader().await?;
    sleep(TERM).await;
    ensure!(counted(&environment).await? == u64::from(PODS), "counted again: {}", counted(&environment).await?);
    environment.operator().wait_until_available().await?;
    environment.clean_up().await
}

/// Stops all pods, in steps.
async fn stop(app: &App) -> Result<()> {
    for left in (0..PODS).step_by(STEP).rev() {
        app.kubectl("scale deployment app --replicas").word(left.to_string()).run().await?;
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Waits until all stops are counted. Their number only grows, and is never more than there are.
async fn count(environment: &Environment) -> Result<()> {
    let mut before = 0;
    let mut written = 0;
    let all = until("all stops to be counted", LIMIT, async || {
        sleep(INTERVAL).await;
        let count = counted(environment).await?;
        ensure!((before..=u64::from(PODS)).contains(&count), "{count} stops of {PODS} pods are counted after {before}");
        written += u32::from(count > before);
        before = count;
        Ok((count == u64::from(PODS)).then_some(()))
    });
    let all = all.await;
    eprintln!("  {before} stops in {written} steps");
    all
}

async fn counted(environment: &Environment) -> Result<u64> {
    let statuses = Budgets::new(&environment.client, &environment.namespace).all().await?;
    Ok(statuses.get("deployment-app").context("no ShutdownBudget deployment-app")?.count("count"))
}

/// Deletes each leader some time after it took over. Returns only an error.
async fn delete_leaders(environment: &Environment) -> Result<Infallible> {
    loop {
        environment.wait_for_leader().await?;
        sleep(TERM).await;
        delete_leader(environment).await?;
    }
}

/// Removes the leader's pod from the API by force, as soon as the other replica has seen all pods, and returns its name.
async fn delete_leader(environment: &Environment) -> Result<String> {
    let leader = environment.wait_for_leader().await?;
    environment.wait_for_standby(&leader).await?;
    let pods: Api<Pod> = Api::namespaced(environment.client.clone(), release::NAME);
    pods.delete(&leader, &DeleteParams::default().grace_period(0)).await.with_context(|| format!("delete {leader}"))?;
    Ok(leader)
}
