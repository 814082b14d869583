//! S2: a hard deadline ends the process before SIGKILL does.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::Arm;
use crate::client::{Client, SILENT};
use crate::observed::Observed;
use crate::record::{self, RIGHT};
use crate::stops::Stops;

pub(crate) fn tests() -> Vec<Test> {
    tests![a_hard_deadline_ends_the_process_before_sigkill]
}

/// What is open when the app stops.
#[derive(Clone, Copy)]
enum Holder {
    /// A client that stops in the middle of its request.
    Client,
    /// A job that takes ten minutes.
    Job,
}

const TEN_MINUTES: &str = "600000";

/// Seconds after the deletion: the drain and the deadline of the arms, and the end of the grace period.
const DRAIN: i64 = 5;
const DEADLINE: i64 = DRAIN + 5;
const GRACE_PERIOD: i64 = 30;

async fn a_hard_deadline_ends_the_process_before_sigkill(environment: Environment) -> Result<()> {
    let arms = tokio::try_join!(
        stop(&environment, Arm::service("s2-client"), Holder::Client),
        stop(&environment, Arm::service("s2-job"), Holder::Job),
        stop(&environment, Arm::mistake("s2-client-endless", "no-deadline"), Holder::Client),
        stop(&environment, Arm::mistake("s2-job-endless", "no-deadline"), Holder::Job),
    );
    let (client, job, endless_client, endless_job) = arms?;
    // The library closes the connection of a client that stopped in the middle of its request.
    client.observed.ensure_clean_in_phases()?;
    let Stuck { observed, .. } = &job;
    let [stop] = &observed.stops[..] else { return Err(anyhow::anyhow!("{observed}")) };
    ensure!(stop.exit_code == 1 && observed.all_reported("failed"), "{observed}");
    ensure!((DEADLINE - 1..GRACE_PERIOD).contains(&stop.seconds()), "{observed}");
    let passed = stop.line("deadline-passed").with_context(|| format!("no deadline: {observed}"))?;
    let waited_for = passed.fields["pending"].as_array().cloned().unwrap_or_default();
    ensure!(waited_for.iter().any(|name| name == "jobs"), "no job in {waited_for:?}");
    for Stuck { observed, .. } in [&endless_client, &endless_job] {
        ensure!(observed.all_exited_with(137) && observed.all_reported("killed"), "{observed}");
        ensure!(observed.stops.iter().all(|stop| stop.seconds() >= GRACE_PERIOD - 1), "{observed}");
    }
    // The connection was open before the deletion.
    let closed = [&client, &endless_client].map(|stuck| stuck.closed_after.unwrap_or_default().as_secs());
    let [in_time, late] = closed.map(u64::cast_signed);
    ensure!((DRAIN..GRACE_PERIOD - 5).contains(&in_time) && late >= GRACE_PERIOD - 1, "{closed:?}");
    record::right("S2", RIGHT, job.facts())?;
    record::right("S2", "as it should be, a silent client", client.facts())?;
    record::mistake("S2", "no deadline, a silent client", endless_client.facts())?;
    record::mistake("S2", "no deadline, a job that never ends", endless_job.facts())
}

/// A pod that was stopped while it waited.
struct Stuck {
    observed: Observed,
    /// From the start of the client that never ends its request until its connection was closed.
    closed_after: Option<Duration>,
}

async fn stop(environment: &Environment, arm: Arm, holder: Holder) -> Result<Stuck> {
    let arm = arm.annotated("deadline", "5s");
    let arm = match holder {
        Holder::Client => arm,
        Holder::Job => arm.env("JOB_MS", TEN_MINUTES),
    };
    let running = arm.alone().start(environment).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    let pod = running.pod().await?;
    let client = match holder {
        Holder::Client => {
            let target = running.pod_targets().await?.pop().context("no pod")?;
            Some(Client::start(&running.environment, SILENT, &[("TARGET", &target)]).await?)
        }
        Holder::Job => {
            running.exec(&pod, &["node", "--input-type=module", "-e", ORDER]).await?;
            None
        }
    };
    running.app.kubectl("delete pod").word(&pod).run().await?;
    let closed_after = match client {
        Some(mut client) => client.wait_for("closedAfterMs").await?["closedAfterMs"].as_u64(),
        None => None,
    };
    let observed = running.observe(stops).await?;
    running.clean_up().await?;
    Ok(Stuck { observed, closed_after: closed_after.map(Duration::from_millis) })
}

impl Stuck {
    fn facts(&self) -> Facts {
        let clients = match self.closed_after {
            Some(time) => format!("connection closed {:.0} s after its request began", time.as_secs_f32()),
            None => "the order was acknowledged before the deletion".to_owned(),
        };
        Facts { clients, ..self.observed.facts() }
    }
}

/// Sends orders until one is acknowledged; its job then runs. The first orders may take longer.
const ORDER: &str = r"
  const headers = {'content-type': 'application/json'};
  for (let i = 0, status; status !== 201; i += 1) {
    const body = JSON.stringify({id: `stuck-${i}`});
    ({status} = await fetch('http://127.0.0.1:3000/orders', {method: 'POST', headers, body}));
  }
  process.exit();";
