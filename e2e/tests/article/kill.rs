//! S13: `kill -15` and `kubectl winddown drill`, with open requests.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use winddown_e2e::article::Facts;
use winddown_e2e::drill::plugin;
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::Arm;
use crate::observed::Observed;
use crate::record::{self, RIGHT};
use crate::robust::{REQUESTS, ends, ensure_open_at_signal, facts_after_restart, open_requests, wait_for_restart};
use crate::stops::{BEGUN, Stops};

pub(crate) fn tests() -> Vec<Test> {
    tests![open_requests_complete_after_kill_15_and_in_a_drill]
}

/// A request is open for longer than it takes to send the signal. There is no drain, so the deletion sends it at once.
const WORK_MS: &str = "12000";
const DEADLINE: &str = "20s";

/// The image has no shell command `kill`.
const KILL_15: &str = "process.kill(1, 15)";

async fn open_requests_complete_after_kill_15_and_in_a_drill(environment: Environment) -> Result<()> {
    let right = kill_and_drill(&environment, Arm::service("s13"));
    let at_once = kill_and_drill(&environment, Arm::mistake("s13-exit-at-once", "exit-at-once"));
    let (right, at_once) = tokio::try_join!(right, at_once)?;

    let all_answered = format!("{REQUESTS} × 201");
    for ends in [&right.killed, &right.drilled] {
        ensure!(*ends == all_answered, "after kill -15: {}, in the drill: {}", right.killed, right.drilled);
    }
    ensure_open_at_signal(&right.observed)?;
    let begun = |line: &Value| line["event"] == BEGUN && line["openRequests"] == REQUESTS;
    ensure!(right.log.iter().any(begun), "not {REQUESTS} open requests at kill -15: {:?}", right.log);
    ensure!(right.restarted == 0 && right.observed.all_exited_with(0), "{}, {}", right.restarted, right.observed);
    ensure!(right.code == Some(0), "the drill ended with the exit code {:?}: {}", right.code, right.report);
    for report in [&right.report, &at_once.report] {
        // An app that drops its requests also exits in time.
        ensure!(report["verdict"] == "honoured", "{report}");
    }
    for ends in [&at_once.killed, &at_once.drilled] {
        ensure!(!ends.contains("201"), "after kill -15: {}, in the drill: {}", at_once.killed, at_once.drilled);
    }
    record::right("S13", RIGHT, right.facts()?)?;
    record::mistake("S13", "exits at once", at_once.facts()?)
}

/// How open requests ended after `kill -15` and in a drill.
struct Ends {
    killed: String,
    drilled: String,
    /// What the drill says of the pod.
    report: Value,
    /// The exit code of the drill.
    code: Option<i32>,
    /// The exit code after `kill -15`.
    restarted: i32,
    /// What that process logged.
    log: Vec<Value>,
    observed: Observed,
}

async fn kill_and_drill(environment: &Environment, arm: Arm) -> Result<Ends> {
    let arm = arm.alone().annotated("drain", "0s").annotated("deadline", DEADLINE).env("WORK_MS", WORK_MS);
    let running = arm.start(environment).await?;
    let pod = running.pod().await?;
    let mut client = open_requests(&running).await?;
    running.signal(&pod, KILL_15).await;
    let killed = ends(&mut client).await?;
    let restarted = wait_for_restart(&running, &pod).await?;
    let log = running.app.kubectl("logs --previous").word(&pod).run().await?;
    let log = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    client.remove().await?;

    running.app.wait_until_serving(3000, "/health").await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    let mut client = open_requests(&running).await?;
    let drill = plugin("drill --measure --allow-single --yes --output json --namespace")
        .word(running.app.namespace())
        .word(format!("deploy/{}", running.app.name()));
    let output = drill.output().await?;
    let report: Value = serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))?;
    let drilled = ends(&mut client).await?;
    let observed = running.observe(stops).await?;
    running.clean_up().await?;
    Ok(Ends { killed, drilled, report: report["pods"][0].clone(), code: output.code, restarted, log, observed })
}

impl Ends {
    fn facts(&self) -> Result<Facts> {
        let Self { killed, drilled, report, restarted, observed, .. } = self;
        let facts = facts_after_restart(observed)?;
        let measured = &report["measurement"];
        let number = |field: &str| measured[field].as_u64().with_context(|| format!("no {field} in {report}"));
        let (open, app_time) = (number("openAtSignal")?, number("finished")?.saturating_sub(number("appSignal")?));
        let verdict = report["verdict"].as_str().unwrap_or_default();
        Ok(Facts {
            clients: format!("{REQUESTS} open requests; `kill -15`: {killed}; `kubectl winddown drill`: {drilled}"),
            process: format!(
                "exit code {restarted} after `kill -15`, then {}; drill: {verdict}, {open} open connections at SIGTERM, \
                 finished {}.{} s later",
                facts.process,
                app_time / 1_000,
                app_time % 1_000 / 100
            ),
            ..facts
        })
    }
}
