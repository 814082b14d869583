//! S9: a second signal is ignored, and an uncaught exception exits with 1.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use serde_json::Value;
use tokio::time::sleep;
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;
use winddown_e2e::wait::until;

use crate::arm::{Arm, PORT, Running};
use crate::balancer::{self, Balanced};
use crate::client::{Client, OPEN_REQUESTS};
use crate::observed::Observed;
use crate::record::{self, RIGHT};
use crate::stops::{BEGUN, Stop, Stops};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_second_signal_is_ignored, an_uncaught_exception_exits_with_1]
}

/// A request takes longer than it takes to send both signals.
const WORK_MS: &str = "12000";
const DEADLINE: &str = "20s";
const BETWEEN: Duration = Duration::from_secs(1);

pub(crate) const REQUESTS: u64 = 20;

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
    ignored.ensure_clean_in_phases()?;
    ensure!(finished == all_answered, "{finished}: {ignored}");
    ensure_open_at_signal(&ignored)?;
    ensure!(ignored.stops.iter().all(|stop| stop.line("signal-ignored").is_some()), "{ignored}");
    let failed = aborted.all_exited_with(1) && aborted.all_reported("failed");
    ensure!(failed && reset != all_answered, "{reset}: {aborted}");
    let facts = |observed: &Observed, answers: &str| Facts {
        clients: format!("{REQUESTS} open requests, two signals: {answers}"),
        ..observed.facts()
    };
    record::right("S9", RIGHT, facts(&ignored, &finished))?;
    record::mistake("S9", "a second signal aborts", facts(&aborted, &reset))
}

/// Deletes the pod with open requests, which sends the first signal at once, and sends another one.
async fn signal_twice(environment: &Environment, arm: Arm) -> Result<(Observed, String)> {
    let arm = arm.alone().annotated("drain", "0s").annotated("deadline", DEADLINE).env("WORK_MS", WORK_MS);
    let running = arm.start(environment).await?;
    let pod = running.pod().await?;
    let mut client = open_requests(&running).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    running.app.kubectl("delete pod --wait=false").word(&pod).run().await?;
    sleep(BETWEEN).await;
    running.signal(&pod, SIGTERM).await;
    let answers = ends(&mut client).await?;
    running.wait_until_removed(&pod).await?;
    let observed = running.observe(stops).await?;
    running.clean_up().await?;
    Ok((observed, answers))
}

pub(crate) async fn open_requests(running: &Running) -> Result<Client> {
    let target = running.pod_targets().await?.pop().context("no pod")?;
    let requests = REQUESTS.to_string();
    Client::start(&running.environment, OPEN_REQUESTS, &[("TARGET", &target), ("REQUESTS", &requests)]).await
}

/// All requests were open when the shutdown began.
pub(crate) fn ensure_open_at_signal(observed: &Observed) -> Result<()> {
    let open = |stop: &Stop| stop.line(BEGUN)?.fields["openRequests"].as_u64();
    ensure!(observed.stops.iter().all(|stop| open(stop) == Some(REQUESTS)), "not {REQUESTS} open requests: {observed}");
    Ok(())
}

/// How the open requests ended, as `20 × 201`.
pub(crate) async fn ends(client: &mut Client) -> Result<String> {
    let line = client.wait_for("ends").await?;
    let ends = line["ends"].as_object().context("no object")?;
    Ok(ends.iter().map(|(end, count)| format!("{count} × {end}")).collect::<Vec<_>>().join(", "))
}

async fn an_uncaught_exception_exits_with_1(environment: Environment) -> Result<()> {
    let exits = throw(&environment, Arm::service("s9-exception"), "server.ts", Expected::Restart);
    let goes_on = Arm::service("s9-exception-goes-on");
    let goes_on = throw(&environment, goes_on, "mistakes/uncaught-exception.ts", Expected::Nothing);
    let (exits, goes_on) = tokio::try_join!(exits, goes_on)?;

    let Some((1, log)) = &exits.restart else { bail!("an uncaught exception ended in {:?}", exits.restart) };
    // Without a handler, Node.js exits with 1, too, but it logs no such line.
    let logged = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    ensure!(logged.into_iter().any(|line| line["event"] == UNCAUGHT), "no {UNCAUGHT:?}: {log}");
    ensure!(goes_on.restart.is_none(), "the handler that goes on ended with {:?}", goes_on.restart);
    let is_up = |thrown: &Thrown| thrown.balanced.checks.keys().eq(["200"]);
    ensure!(!is_up(&exits) && is_up(&goes_on), "{:?}, {:?}", exits.balanced, goes_on.balanced);
    record::right("S9", "an uncaught exception", exits.facts(&format!("exit code 1, logs {UNCAUGHT}, is restarted"))?)?;
    record::mistake("S9", "a handler that goes on after an uncaught exception", goes_on.facts("runs on")?)
}

/// What the library logs.
const UNCAUGHT: &str = "uncaught-exception";

/// What an exception without a handler does to the container.
#[derive(Clone, Copy)]
enum Expected {
    Restart,
    Nothing,
}

/// An app after an exception without a handler.
struct Thrown {
    /// Exit code and log of the container that ended; none if the app goes on.
    restart: Option<(i32, String)>,
    /// After the exception.
    balanced: Balanced,
    /// The deletion of the pod at the end.
    observed: Observed,
}

/// Causes an exception without a handler, and deletes the pod later.
async fn throw(environment: &Environment, arm: Arm, entry: &str, expected: Expected) -> Result<Thrown> {
    let arm = arm.alone().annotated("drain", "0s");
    let arm = arm.command(&["node", "--import", "./testing/throw-on-sigusr2.ts", entry]);
    let running = arm.start(environment).await?;
    let pod = running.pod().await?;
    let client = balancer::poll_pods(&running).await?;
    running.signal(&pod, THROW).await;
    let code = match expected {
        Expected::Restart => Some(wait_for_restart(&running, &pod).await?),
        Expected::Nothing => {
            sleep(QUIET).await;
            exit_code_of_restart(&running, &pod).await?
        }
    };
    let restart = match code {
        Some(code) => Some((code, running.app.kubectl("logs --previous").word(&pod).run().await?)),
        None => None,
    };
    let balanced = client.stop().await?;
    running.app.wait_until_serving(PORT, "/health").await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    running.app.kubectl("delete pod").word(&pod).run().await?;
    let observed = running.observe(stops).await?;
    running.clean_up().await?;
    Ok(Thrown { restart, balanced, observed })
}

impl Thrown {
    fn facts(&self, process: &str) -> Result<Facts> {
        let facts = facts_after_restart(&self.observed)?;
        let process = format!("{process}; after the deletion: {}", facts.process);
        Ok(Facts { clients: self.balanced.health(), process, ..facts })
    }
}

/// Facts of a pod that was deleted after a signal or an exception, which the operator must not count.
pub(crate) fn facts_after_restart(observed: &Observed) -> Result<Facts> {
    let counted = observed.budget.count("count");
    ensure!(counted == 1 && observed.all_reported("clean"), "{counted} stops were counted: {observed}");
    let facts = observed.facts();
    Ok(Facts { operator: format!("1 stop, the deletion: {}", facts.operator), ..facts })
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
