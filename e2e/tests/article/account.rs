//! S6 under load: no document, message or job of an acknowledged order is lost, and no job runs twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::time::sleep;
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::{Arm, Running};
use crate::observed::Observed;
use crate::record;

pub(crate) fn tests() -> Vec<Test> {
    tests![no_job_of_an_acknowledged_order_is_lost_or_runs_twice]
}

/// How often each server has something of one order.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Counts {
    documents: u64,
    messages: u64,
    started: u64,
    completed: u64,
}

/// Of all acknowledged orders.
#[derive(Debug, Default)]
struct Account {
    orders: usize,
    without_document: usize,
    without_message: usize,
    /// Jobs that did not end.
    lost: usize,
    /// Jobs that ran more than once, to their end or not.
    repeated: usize,
}

/// What a job takes: longer than the wait of the app and the open orders, so that every pod has some running when its
/// connections are closed.
const JOB_MS: &str = "5000";

/// Longer than the wait and such a job.
const DEADLINE: &str = "15s";

/// For the last jobs. A job of a worker that vanished goes to another one after at most 60 s.
const LIMIT: Duration = Duration::from_mins(3);

/// Between two counts.
const INTERVAL: Duration = Duration::from_secs(2);

async fn no_job_of_an_acknowledged_order_is_lost_or_runs_twice(environment: Environment) -> Result<()> {
    let right = account(&environment, Arm::service("account"), rollouts()?);
    let at_once = account(&environment, Arm::mistake("account-exit-at-once", "exit-at-once"), 1);
    let ((observed, right), (wrong, at_once)) = tokio::try_join!(right, at_once)?;

    observed.ensure_clean_in_phases()?;
    let Account { without_document, without_message, lost, repeated, .. } = right;
    ensure!((without_document, without_message, lost, repeated) == (0, 0, 0, 0), "{right:?}");
    // A job that stops in the middle is not lost: BullMQ runs it again.
    ensure!(at_once.repeated > 0, "{at_once:?}");
    record::right("S6", "as it should be, every order counted", right.facts(&observed))?;
    record::mistake("S6", "exits at once, every order counted", at_once.facts(&wrong))
}

async fn account(environment: &Environment, arm: Arm, rollouts: u32) -> Result<(Observed, Account)> {
    let running = arm.annotated("deadline", DEADLINE).env("JOB_MS", JOB_MS).start(environment).await?;
    let loaded = running.load().await?;
    loaded.roll_out(rollouts).await?;
    let observed = loaded.end(rollouts).await?;
    let load = observed.load.as_ref().context("no load")?;
    let ids = ["new", "kept"].into_iter().zip([load.new.sent, load.kept.sent]);
    let ids = ids.flat_map(|(kind, sent)| (0..sent).map(move |number| format!("{kind}-{number}")));
    let acknowledged: Vec<_> = ids.filter(|id| !load.unacknowledged.contains(id)).collect();
    let start = Instant::now();
    let account = loop {
        let account = Account::of(&acknowledged, &count(&running).await.context("count the orders")?);
        if account.lost == 0 || start.elapsed() >= LIMIT {
            break account;
        }
    };
    eprintln!("  {}: {account:?}", observed.name);
    running.clean_up().await?;
    Ok((observed, account))
}

/// Reads all three servers from a pod of the app.
async fn count(running: &Running) -> Result<BTreeMap<String, Counts>> {
    sleep(INTERVAL).await;
    let counts = running.exec(&running.pod().await?, &["node", "testing/counts.ts"]).await?;
    serde_json::from_str(&counts).context("parse the counts")
}

impl Account {
    fn of(acknowledged: &[String], counts: &BTreeMap<String, Counts>) -> Self {
        let mut account = Self { orders: acknowledged.len(), ..Self::default() };
        for id in acknowledged {
            let Counts { documents, messages, started, completed } = counts.get(id).copied().unwrap_or_default();
            account.without_document += usize::from(documents != 1);
            account.without_message += usize::from(messages == 0);
            account.lost += usize::from(completed == 0);
            account.repeated += usize::from(started > 1 || completed > 1);
        }
        account
    }

    fn facts(&self, observed: &Observed) -> Facts {
        let Self { orders, without_document, without_message, lost, repeated } = self;
        let clients = format!(
            "{orders} acknowledged orders: {without_document} without a document, {without_message} without a message, \
             {lost} jobs lost, {repeated} jobs that ran twice"
        );
        let facts = observed.facts();
        Facts { clients: format!("{clients}; {}", facts.clients), ..facts }
    }
}
