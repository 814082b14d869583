//! The watches of pods and endpoint slices.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde::de::DeserializeOwned;

use super::watched::{View, Watched};
use crate::telemetry::FailureLog;
use winddown_core::annotations::MANAGED;
use winddown_core::observation::{EndpointSliceView, PodView};

/// Seconds until the API server ends a watch. A connection that breaks silently is noticed five seconds later, and the API
/// server remembers at least 75 s, so nothing is lost.
const TIMEOUT: u32 = 60;

/// Objects in one answer to a list, which is in memory as a whole.
const PAGE_SIZE: u32 = 100;

/// First delay after a failure; doubles up to [`LAST_RETRY`], which is short for the same reason as [`TIMEOUT`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(8);

/// Slices that Kubernetes maintains. The pods of others, such as mirrored ones, are in these, too.
const OF_KUBERNETES: &str = "endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io";

/// Managed pods. The stream never ends.
pub(super) fn pods(client: &Client) -> impl Stream<Item = watcher::Event<Watched<PodView>>> + Send + use<> {
    events(client, &format!("{MANAGED}=true"), FailureLog::new("the watch of pods failed"))
}

/// Endpoint slices. The stream never ends.
pub(super) fn slices(client: &Client) -> impl Stream<Item = watcher::Event<Watched<EndpointSliceView>>> + Send + use<> {
    events(client, OF_KUBERNETES, FailureLog::new("the watch of endpoint slices failed"))
}

type Events<V> = Pin<Box<dyn Stream<Item = watcher::Result<watcher::Event<Watched<V>>>> + Send>>;

/// The events of the raw watcher: a store would replace a pod by its successor of the same name.
fn events<V>(
    client: &Client,
    labels: &str,
    failures: FailureLog,
) -> impl Stream<Item = watcher::Event<Watched<V>>> + Send + use<V>
where
    V: View + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().labels(labels).timeout(TIMEOUT).page_size(PAGE_SIZE);
    let events: Events<V> = Box::pin(watcher(Api::<Watched<V>>::all(client.clone()), config));
    stream::unfold((events, failures, FIRST_RETRY), async |(mut events, mut failures, mut retry)| {
        loop {
            match events.next().await? {
                Ok(event) => {
                    // The request follows the first event of a list. (kube's own back-off starts again at it.)
                    if !matches!(event, watcher::Event::Init) {
                        failures.record(None::<&watcher::Error>);
                        retry = FIRST_RETRY;
                    }
                    return Some((event, (events, failures, retry)));
                }
                Err(error) => {
                    failures.record(Some(&error));
                    tokio::time::sleep(retry).await;
                    retry = LAST_RETRY.min(2 * retry);
                }
            }
        }
    })
}
