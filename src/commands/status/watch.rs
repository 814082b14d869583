//! `-w`: the rows that change.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::pin::pin;

use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};

use super::Table;
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

/// Prints the rows that change, until the process is interrupted. A watch that breaks starts again. `known` are the rows of
/// the table, and those that the query leaves out.
pub(super) async fn follow(
    cluster: &Cluster,
    query: &Query,
    table: Table,
    mut grid: Grid,
    known: impl Iterator<Item = Row>,
) -> Result<Exit, Error> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, KIND), PLURAL);
    let client = cluster.client.clone();
    let api: Api<DynamicObject> = match &query.scope {
        Scope::All => Api::all_with(client, &resource),
        Scope::Namespace(namespace) => Api::namespaced_with(client, namespace, &resource),
    };
    let mut shown: HashMap<_, _> = known.map(|row| (key(&row), row)).collect();
    let mut events = pin!(watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff());
    let mut is_broken = false;
    while let Some(event) = events.next().await {
        let changed = match event {
            Ok(watcher::Event::Apply(budget) | watcher::Event::InitApply(budget)) => Row::of_budget(stored(budget)),
            Ok(watcher::Event::Delete(budget)) => {
                shown.remove(&key(&Row::of_budget(stored(budget))));
                continue;
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(error) => {
                if let Some(error) = permanent(&error) {
                    return Err(error);
                }
                if !std::mem::replace(&mut is_broken, true) {
                    message!("winddown: {}; trying again", sanitize(&ErrorChain(&error).to_string()));
                }
                continue;
            }
        };
        is_broken = false;
        if shown.get(&key(&changed)).is_some_and(|before| !differs(table, before, &changed)) {
            continue;
        }
        let is_selected = match query.selects(cluster, &changed).await {
            Ok(is_selected) => is_selected,
            // The next change of this row is another attempt.
            Err(error) => {
                message!("winddown: {}", sanitize(&ErrorChain(&error).to_string()));
                continue;
            }
        };
        shown.insert(key(&changed), changed.clone());
        if is_selected {
            let mut out = io::stdout().lock();
            grid.print(&[table.line(&changed, now())], &mut out)?;
            out.flush()?;
        }
    }
    Ok(Exit::Success)
}

/// Whether another row would be printed, apart from its age.
fn differs(table: Table, before: &Row, after: &Row) -> bool {
    let cells = |row: &Row| row.cells(table.width, winddown_core::observation::Timestamp::from_second(0));
    cells(before) != cells(after)
}

fn key(row: &Row) -> (String, String) {
    (row.namespace.clone(), row.title())
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
