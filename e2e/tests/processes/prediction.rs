//! What the findings about a command line say that happens to the app, and whether that is what happened.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::finding::Code;
use winddown_core::policy::Policy;
use winddown_e2e::processes::Outcome;

/// What happens to the app after SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prediction {
    /// It receives the signal, and everything ends after it has finished.
    Finishes,
    /// It is killed before it has finished.
    IsKilled,
    /// It is killed by a program in front of it, after about that time.
    IsKilledAfter(Duration),
    /// It is started again, and the container does not end.
    IsRestarted,
    /// That depends on programs in the image.
    Unclear,
}

impl Prediction {
    /// From the findings for a Deployment with this command, environment and deadline.
    pub(crate) fn of(command: &[&str], environment: &[(&str, &str)], deadline: Duration) -> Result<Self> {
        let variable = |(name, value): &(&str, &str)| json!({"name": name, "value": value});
        let environment: Vec<_> = environment.iter().map(variable).collect();
        let annotations =
            json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": format!("{}s", deadline.as_secs())});
        let container = json!({"name": "app", "image": "app", "command": command, "env": environment});
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "app", "annotations": annotations},
            "spec": {"template": {"spec": {"containers": [container]}}},
        });
        let evaluation = evaluate(&deployment, Existing::None, &Policy::default(), Origin::File)?;
        let finding = |code| evaluation.findings.iter().find(|finding| finding.code == code);
        // The program in front kills what is behind it, whether or not that has received the signal.
        if let Some(finding) = finding(Code::WrapperKillsEarly) {
            return Ok(Self::IsKilledAfter(limit(&finding.problem)?));
        }
        Ok(if finding(Code::RestartsOnSigterm).is_some() {
            Self::IsRestarted
        } else if finding(Code::SignalLost).is_some() {
            Self::IsKilled
        } else if finding(Code::SignalMayBeLost).is_some() {
            Self::Unclear
        } else {
            Self::Finishes
        })
    }

    /// An error if something else happened.
    pub(crate) fn check(&self, outcome: &Outcome) -> Result<()> {
        match self {
            Self::Finishes => {
                ensure!(outcome.finished.is_some(), "no finding, but the app did not finish: {outcome:?}");
                ensure!(outcome.end.is_some(), "no finding, but the container did not end: {outcome:?}");
                // pm2 sends another signal; the page of its finding says so.
                let received = outcome.signals.iter().any(|(signal, _)| STOP.contains(&signal.as_str()));
                ensure!(received, "no finding, but the app received no signal: {outcome:?}");
            }
            Self::IsKilled => ensure!(outcome.finished.is_none(), "a finding, but the app finished: {outcome:?}"),
            Self::IsKilledAfter(limit) => {
                ensure!(outcome.finished.is_none(), "a limit, but the app finished: {outcome:?}");
                let difference = outcome.alive.abs_diff(*limit);
                ensure!(difference < TOLERANCE, "a limit of {limit:?}, but the app was killed after {outcome:?}");
            }
            Self::IsRestarted => {
                ensure!(outcome.starts > 1, "a restart, but the app was started once: {outcome:?}");
                ensure!(outcome.end.is_none(), "a restart, but the container ended: {outcome:?}");
            }
            Self::Unclear => {}
        }
        Ok(())
    }
}

const STOP: [&str; 3] = ["SIGTERM", "SIGINT", "SIGQUIT"];

/// A busy machine is slower, and supervisord looks at its processes only every second.
const TOLERANCE: Duration = Duration::from_millis(1500);

/// The number in a message like `su kills the app 2s after the stop signal`.
fn limit(problem: &str) -> Result<Duration> {
    let seconds = problem.split_once(" kills the app ").and_then(|(_, rest)| rest.split_once("s after"));
    let seconds = seconds.and_then(|(seconds, _)| seconds.parse().ok());
    seconds.map(Duration::from_secs_f64).with_context(|| format!("no number in {problem}"))
}
