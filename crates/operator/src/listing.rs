//! Watches with a time limit for their lists. The client of the watches has none, and kube limits only the watch itself.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// How long an object of a list may take.
const LIST_LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", LIST_LIMIT.as_secs())]
struct NotAnswered;

type Events<K> = Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>;

/// The events of a watch. A list that is not answered fails, and is requested again.
pub(crate) fn events<K>(api: Api<K>, config: Config) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let start = move || -> Events<K> { Box::pin(watcher(api.clone(), config.clone())) };
    let state = (start(), true);
    stream::unfold((state, start), async |((mut events, is_listing), start)| {
        let limit = if is_listing { LIST_LIMIT } else { Duration::MAX };
        let Ok(event) = timeout(limit, events.next()).await else {
            let error = kube::Error::Service(Box::new(NotAnswered));
            return Some((Err(watcher::Error::InitialListFailed(error)), ((start(), true), start)));
        };
        let event = event?;
        let is_listing = match &event {
            Ok(event) => matches!(event, Event::Init | Event::InitApply(_)),
            Err(_) => is_listing,
        };
        Some((event, ((events, is_listing), start)))
    })
}
