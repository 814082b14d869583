//! `-w`: the rows that change.

use std::io::{self, Write as _};
use std::pin::pin;
use std::slice;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::time::{Instant, sleep_until};

use super::Table;
use super::changes::{Changes, Failure};
use super::read::Query;
use super::row::Row;
use crate::cluster::budgets::StoredBudget;
use crate::cluster::lists::Scope;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use crate::message::message;
use crate::render::age::now;
use crate::render::grid::Grid;
use crate::render::sanitize::sanitize;
use winddown_core::error_chain::ErrorChain;
use winddown_core::shutdown_budget::{GROUP, KIND, PLURAL, VERSION};

/// Budgets in one answer.
const PAGE: u32 = 250;
/// How many workloads are looked up at the same time.
const LOOKUPS: usize = 4;

/// Prints the rows that change, until the process is interrupted. A watch that breaks starts again. `known` are the rows of
/// the table, and those that the query leaves out.
pub(super) async fn follow(
    cluster: &Cluster,
    query: &Query,
    mut table: Table,
    mut grid: Grid,
    known: impl Iterator<Item = Row>,
) -> Result<Exit, Error> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, KIND), PLURAL);
    let client = cluster.client.clone();
    let api: Api<DynamicObject> = match &query.scope {
        Scope::All => Api::all_with(client, &resource),
        Scope::Namespace(namespace) => Api::namespaced_with(client, namespace, &resource),
    };
    let mut changes = Changes::new(table.width, known);
    let mut lookups = FuturesUnordered::new();
    let mut events = pin!(watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff());
    let mut is_broken = false;
    loop {
        while lookups.len() < LOOKUPS
            && let Some(row) = changes.next(Instant::now())
        {
            lookups.push(look_up(cluster, query, row));
        }
        let due = changes.due().filter(|_| lookups.len() < LOOKUPS);
        tokio::select! {
            // What is known is printed before the next event replaces it.
            biased;
            Some((row, answer)) = lookups.next() => match answer {
                Ok(is_selected) => {
                    if let Some(row) = changes.answered(&row).filter(|_| is_selected) {
                        let mut out = io::stdout().lock();
                        grid.print(&table.lines(slice::from_ref(&row), now()), &mut out)?;
                        table.with_headings = false;
                        out.flush()?;
                    }
                }
                Err(error) if error.is_missing_right() => return Err(error),
                Err(error) => {
                    let consequence = match changes.failed(&row, Instant::now()) {
                        Some(Failure::First) => "trying again",
                        Some(Failure::Last) => "the row is shown with its next change",
                        Some(Failure::Another) | None => continue,
                    };
                    message!("winddown: {}; {consequence}", sanitize(&ErrorChain(&error).to_string()));
                }
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            event = events.next() => match event {
                None => return Ok(Exit::Success),
                Some(Ok(event)) => {
                    is_broken = false;
                    match event {
                        watcher::Event::Apply(budget) | watcher::Event::InitApply(budget) => {
                            changes.applied(Row::of_budget(stored(budget)));
                        }
                        watcher::Event::Delete(budget) => changes.deleted(&Row::of_budget(stored(budget))),
                        watcher::Event::Init | watcher::Event::InitDone => {}
                    }
                }
                Some(Err(error)) => {
                    if let Some(error) = permanent(&error) {
                        return Err(error);
                    }
                    if !std::mem::replace(&mut is_broken, true) {
                        message!("winddown: {}; trying again", sanitize(&ErrorChain(&error).to_string()));
                    }
                }
            },
        }
    }
}

/// Whether the query asks for a row.
async fn look_up(cluster: &Cluster, query: &Query, row: Row) -> (Row, Result<bool, Error>) {
    let answer = query.selects(cluster, &row).await;
    (row, answer)
}

fn stored(budget: DynamicObject) -> StoredBudget {
    let DynamicObject { metadata, mut data, .. } = budget;
    let status = data.get_mut("status").map(serde_json::Value::take).unwrap_or_default();
    StoredBudget {
        metadata: ObjectMeta { managed_fields: None, ..metadata },
        status: serde_json::from_value(status).unwrap_or_default(),
    }
}

/// What no repetition changes: a missing right, or a resource that is not installed.
fn permanent(error: &watcher::Error) -> Option<Error> {
    use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
    let (InitialListFailed(kube::Error::Api(status))
    | WatchStartFailed(kube::Error::Api(status))
    | WatchFailed(kube::Error::Api(status))) = error
    else {
        return None;
    };
    let is_permanent = matches!(status.code, 401 | 403 | 404);
    is_permanent.then(|| Error::new("watch ShutdownBudgets", kube::Error::Api(status.clone())))
}
