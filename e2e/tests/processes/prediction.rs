//! What the findings about a command line say that happens to the app, and whether that is what happened.

use anyhow::{Result, bail, ensure};
use serde_json::json;
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::finding::Code;
use winddown_core::policy::Policy;
use winddown_e2e::processes::Outcome;

/// What happens to the app after SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prediction {
    /// It receives the signal, and everything ends after it has finished.
    Finishes,
    /// It is killed before it has finished.
    IsKilled,
    /// That depends on programs in the image.
    Unclear,
}

impl Prediction {
    /// From the findings for a Deployment with this command.
    pub(crate) fn of(command: &[&str]) -> Result<Self> {
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "app", "annotations": {"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app", "command": command}]}}},
        });
        let evaluation = evaluate(&deployment, Existing::None, &Policy::default(), Origin::File)?;
        let predictions = evaluation.findings.iter().filter_map(|finding| match finding.code {
            Code::SignalLost => Some(Self::IsKilled),
            Code::SignalMayBeLost => Some(Self::Unclear),
            _ => None,
        });
        Ok(predictions.last().unwrap_or(Self::Finishes))
    }

    /// An error if something else happened.
    pub(crate) fn check(self, outcome: &Outcome) -> Result<()> {
        match (self, outcome.finished, outcome.end) {
            (Self::Finishes, None, _) => bail!("no finding, but the app did not finish: {outcome:?}"),
            (Self::Finishes, Some(_), None) => bail!("no finding, but the container did not end: {outcome:?}"),
            (Self::Finishes, Some(_), Some(_)) => {
                let received = outcome.signals.iter().any(|(signal, _)| signal == "SIGTERM");
                ensure!(received, "no finding, but the app received no SIGTERM: {outcome:?}");
                Ok(())
            }
            (Self::IsKilled, Some(_), _) => bail!("a finding, but the app finished: {outcome:?}"),
            (Self::IsKilled, None, _) | (Self::Unclear, _, _) => Ok(()),
        }
    }
}
