//! The watches of pods and endpoint slices.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::watched::{View, Watched};
use crate::kubernetes::status_code;
use crate::listing;
use crate::telemetry::FailureLog;
use winddown_core::annotations::MANAGED;
use winddown_core::observation::{EndpointSliceView, PodView};

/// Seconds until the API server ends a watch. A connection that breaks silently is noticed five seconds later, and the API
/// server remembers at least 75 s, so nothing is lost.
const TIMEOUT: u32 = 60;

/// Objects in one answer to a list, which is in memory as a whole.
const PAGE_SIZE: u32 = 100;

/// First delay after a failure; doubles up to [`LAST_RETRY`], which is short because the end of a pod that is removed meanwhile
/// is not seen.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// A list follows at once no more often.
const RARE: Duration = Duration::from_secs(10);

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

struct State<V> {
    events: Events<V>,
    /// When a list last followed at once.
    at_once: Option<Instant>,
    failures: FailureLog,
    retry: Duration,
}

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
    let api = Api::<Watched<V>>::all(client.clone());
    let events: Events<V> = Box::pin(listing::events(api, config));
    let state = State { events, at_once: None, failures, retry: FIRST_RETRY };
    stream::unfold(state, async |mut state| {
        loop {
            match state.events.next().await? {
                Ok(event) => {
                    // The request follows the first event of a list. (kube's own back-off starts again at it.)
                    if !matches!(event, watcher::Event::Init) {
                        state.failures.record(None::<&watcher::Error>);
                        state.retry = FIRST_RETRY;
                    }
                    return Some((event, state));
                }
                Err(error) => {
                    state.failures.record(Some(&error));
                    // Usual after a restart of the API server. It answers, and a list shows the pods that still stop.
                    let is_rare = state.at_once.is_none_or(|at_once| at_once.elapsed() > RARE);
                    if status_code(&error) == Some(410) && is_rare {
                        state.at_once = Some(Instant::now());
                        continue;
                    }
                    tokio::time::sleep(state.retry).await;
                    state.retry = LAST_RETRY.min(2 * state.retry);
                }
            }
        }
    })
}
