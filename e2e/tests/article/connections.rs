//! S3: answers of a server that shuts down carry `Connection: close`, so that clients with kept connections let go.

use anyhow::{Result, ensure};
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::Arm;
use crate::observed::Observed;
use crate::record::{self, RIGHT};

pub(crate) fn tests() -> Vec<Test> {
    tests![kept_connections_are_told_to_close]
}

async fn kept_connections_are_told_to_close(environment: Environment) -> Result<()> {
    let told = Arm::service("s3").roll_out(&environment, rollouts()?);
    let not_told = Arm::mistake("s3-no-close", "no-connection-close").roll_out(&environment, 1);
    let (told, not_told) = tokio::try_join!(told, not_told)?;

    told.ensure_clean_in_phases()?;
    ensure!(said_close(&told) > 0, "no answer said Connection: close: {told}");
    ensure!(said_close(&not_told) == 0, "{} answers said Connection: close: {not_told}", said_close(&not_told));
    // Its connections are never idle at the right moment: they hold the process, or break.
    ensure!(not_told.dropped() > 0 || !not_told.all_exited_with(0), "the mistake shows nothing: {not_told}");
    record::right("S3", RIGHT, facts(&told))?;
    record::mistake("S3", "no `Connection: close`", facts(&not_told))
}

/// Answers over kept connections with `Connection: close`.
fn said_close(observed: &Observed) -> u64 {
    observed.load.as_ref().map_or(0, |load| load.kept.said_close)
}

fn facts(observed: &Observed) -> Facts {
    let mut facts = observed.facts();
    facts.clients = format!("{}; {} answers with `Connection: close`", facts.clients, said_close(observed));
    facts
}
