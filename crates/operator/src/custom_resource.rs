//! The watch of a custom resource, also where its definition is not installed.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

use crate::kubernetes::status_code;
use crate::listing;
use crate::telemetry::FailureLog;

/// First delay after a failure, or while the resource is absent; doubles up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// What is done with the objects.
pub(crate) trait Objects {
    fn apply(&mut self, event: Event<DynamicObject>);

    /// The API server does not know the resource, so there are no objects.
    fn not_installed(&mut self);

    /// The operator may not list the objects.
    fn forbidden(&mut self);
}

/// Watches all objects of a resource, with this number of them in one answer to a list, which is in memory as a whole. Never
/// ends. While the API server does not answer, the objects stay as they are.
pub(crate) async fn watch(
    client: Client,
    resource: &ApiResource,
    page_size: u32,
    mut failures: FailureLog,
    mut objects: impl Objects,
) {
    let api = Api::<DynamicObject>::all_with(client, resource);
    let mut retry = FIRST_RETRY;
    loop {
        let mut events = pin!(listing::events(api.clone(), watcher::Config::default().page_size(page_size)));
        while let Some(event) = events.next().await {
            let error = match event {
                // The request follows, so this is no success yet. (kube's own back-off starts again at this event.)
                Ok(event @ Event::Init) => {
                    objects.apply(event);
                    continue;
                }
                Ok(event) => {
                    retry = FIRST_RETRY;
                    failures.record(None::<&watcher::Error>);
                    objects.apply(event);
                    continue;
                }
                Err(error) => error,
            };
            let is_list = matches!(error, watcher::Error::InitialListFailed(_));
            let code = status_code(&error);
            if code != Some(404) {
                failures.record(Some(&error));
            }
            match code {
                Some(404) if is_list => objects.not_installed(),
                Some(403) if is_list => objects.forbidden(),
                _ => {}
            }
            tokio::time::sleep(retry).await;
            retry = LAST_RETRY.min(2 * retry);
            // A watch that is not found can be one of an API server that has just started: a list tells.
            if code == Some(404) && !is_list {
                break;
            }
        }
    }
}
