//! S9: a second signal is ignored, and an uncaught exception exits with 1.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::time::sleep;
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;
use winddown_e2e::wait::until;

use crate::arm::{Arm, Running};
use crate::client::{Client, OPEN_REQUESTS};
use crate::record::{self, RIGHT};
use crate::stops::{Stop, Stops};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_second_signal_is_ignored, an_uncaught_exception_exits_with_1]
}

/// A request takes longer than the time between the two signals.
const WORK_MS: &str = "6000";
const DEADLINE: &str = "12s";
const BETWEEN: Duration = Duration::from_secs(1);

const REQUESTS: &str = "20";

/// For the restart of a container.
const LIMIT: Duration = Duration::from_mins(1);

/// How long a container is watched that should not restart.
const QUIET: Duration = Duration::from_secs(5);

const THROW: &str = "process.kill(1, 'SIGUSR2')";
const SIGTERM: &str = "process.kill(1, 'SIGTERM')";

async fn a_second_signal_is_ignored(environment: Environment) -> Result<()> {
    let ignored = signal_twice(&environment, Arm::service("s9-signal"));
    let aborted = signal_twice(&environment, Arm::mistake("s9-signal-aborts", "second-signal"));
    let ((ignored, finished), (aborted, reset)) = tokio::try_join!(ignored, aborted)?;

    let all_answered = format!("{REQUESTS} × 201");
    ensure!(ignored.exit_code == 0 && finished == all_answered, "{ignored:?}: {finished}");
    ensure!(ignored.line("signal-ignored").is_some(), "{ignored:?}");
    ensure!(aborted.exit_code == 1 && reset != all_answered, "{aborted:?}: {reset}");
    record::right("S9", RIGHT, facts(&ignored, &finished));
    record::mistake("S9", "a second signal aborts", facts(&aborted, &reset));
    Ok(())
}

fn facts(stop: &Stop, answers: &str) -> Facts {
    let clients = format!("{REQUESTS} open requests, two signals: {answers}");
    let process = format!("exit code {}; {}", stop.exit_code, stop.events().join(" → "));
    Facts { clients, process, operator: String::new() }
}

/// Deletes the pod with open requests, which sends the first signal at once, and sends another one.
async fn signal_twice(environment: &Environment, arm: Arm) -> Result<(Stop, String)> {
    let arm = arm.alone().annotated("drain", "0s").annotated("deadline", DEADLINE).env("WORK_MS", WORK_MS);
    let running = arm.start(environment).await?;
    let pod = running.pod().await?;
    let mut client = open_requests(&running).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    running.app.kubectl("delete pod --wait=false").word(&pod).run().await?;
    sleep(BETWEEN).await;
    running.exec(&pod, &["node", "-e", SIGTERM]).await?;
    let answers = ends(&mut client).await?;
    let removed = format!("pod/{pod}");
    running.app.kubectl("wait --for=delete --timeout=60s").word(removed).run().await?;
    let stop = stops.finish().await?.pop().context("no stop")?;
    running.clean_up().await?;
    Ok((stop, answers))
}

pub(crate) async fn open_requests(running: &Running) -> Result<Client> {
    let target = running.pod_targets().await?.pop().context("no pod")?;
    Client::start(&running.environment, OPEN_REQUESTS, &[("TARGET", &target), ("REQUESTS", REQUESTS)]).await
}

/// How the open requests ended, as `20 × 201`.
pub(crate) async fn ends(client: &mut Client) -> Result<String> {
    let line = client.wait_for("ends").await?;
    let ends = line["ends"].as_object().context("no object")?;
    Ok(ends.iter().map(|(end, count)| format!("{count} × {end}")).collect::<Vec<_>>().join(", "))
}

async fn an_uncaught_exception_exits_with_1(environment: Environment) -> Result<()> {
    let exits = throw(&environment, Arm::service("s9-exception"), "server.ts");
    let goes_on = Arm::service("s9-exception-goes-on");
    let goes_on = throw(&environment, goes_on, "mistakes/uncaught-exception.ts");
    let (exits, goes_on) = tokio::try_join!(exits, goes_on)?;

    ensure!(exits == Some(1), "an uncaught exception ended in {exits:?}");
    ensure!(goes_on.is_none(), "the handler that goes on ended with {goes_on:?}");
    let process = |process: &str| Facts { process: process.to_owned(), ..Facts::default() };
    record::right("S9", "an uncaught exception", process("exit code 1, and the container is started again"));
    record::mistake(
        "S9",
        "a handler that goes on after an uncaught exception",
        process("runs on, in an unknown state"),
    );
    Ok(())
}

/// Causes an exception without a handler; returns the exit code, or none if the app goes on.
async fn throw(environment: &Environment, arm: Arm, entry: &str) -> Result<Option<i32>> {
    let arm = arm.alone().command(&["node", "--import", "./testing/throw-on-sigusr2.ts", entry]);
    let running = arm.start(environment).await?;
    let pod = running.pod().await?;
    running.exec(&pod, &["node", "-e", THROW]).await?;
    sleep(QUIET).await;
    let exit_code = exit_code_of_restart(&running, &pod).await?;
    running.clean_up().await?;
    Ok(exit_code)
}

/// The exit code of the last container of a pod that runs; none if it is the first one.
async fn exit_code_of_restart(running: &Running, pod: &str) -> Result<Option<i32>> {
    let pods: Api<Pod> = Api::namespaced(running.environment.client.clone(), &running.environment.namespace);
    until(&format!("a container of Pod {pod} to run"), LIMIT, async || {
        let status = pods.get(pod).await?.status.unwrap_or_default();
        let container = status.container_statuses.unwrap_or_default().into_iter().next().context("no container")?;
        let last = container.last_state.and_then(|state| state.terminated).map(|terminated| terminated.exit_code);
        let runs = container.state.is_some_and(|state| state.running.is_some());
        Ok(runs.then_some(last))
    })
    .await
}

/// Waits for the restart of the container and returns the exit code of the last one.
pub(crate) async fn wait_for_restart(running: &Running, pod: &str) -> Result<i32> {
    until(&format!("Pod {pod} to restart its container"), LIMIT, async || {
        sleep(Duration::from_millis(200)).await;
        exit_code_of_restart(running, pod).await
    })
    .await
}
