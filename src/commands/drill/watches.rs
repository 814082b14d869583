//! The watches of a pod, its endpoints and its Events, as one stream.

use std::pin::Pin;

use futures::stream::{BoxStream, SelectAll, select_all};
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Event as PodEvent, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{ListParams, WatchParams};
use kube::core::Status;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cluster::{Cluster, Error};
use winddown_core::drill::Candidate;
use winddown_core::error_chain::ErrorChain;
use winddown_core::observation::{EndpointSliceView, PodView};

/// What a watch reports. A watch that fails starts again; of endpoints and Events, one that is forbidden reports nothing.
pub(super) enum Seen {
    /// The user may not watch pods: the answer of the API server.
    Denied(String),
    Pod(Event<PodView>),
    Slice {
        listed: bool,
        slice: EndpointSliceView,
    },
    Event {
        name: String,
        count: i64,
        reason: String,
        message: String,
    },
}

/// The watches of one pod.
pub(super) struct Watches(SelectAll<BoxStream<'static, Seen>>);

/// Whether the user may watch pods; if not, the answer of the API server. The watches begin with a list, so that without this
/// right a pod would be evicted whose end is not seen.
pub(super) async fn permitted(cluster: &Cluster, namespace: &str, candidate: &Candidate) -> Result<(), String> {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), namespace);
    let parameters = WatchParams::default().fields(&format!("metadata.name={}", candidate.name)).timeout(1);
    let started = cluster.within(format!("watch the pod {}", candidate.name), pods.watch(&parameters, "0")).await;
    started.map(drop).map_err(|error| ErrorChain(&error).to_string())
}

/// Where the user may not list or watch endpoints or Events: the answers of the API server. Without them, the timeline is shorter.
pub(super) async fn forbidden(cluster: &Cluster, namespace: &str, candidate: &Candidate) -> Result<Vec<String>, Error> {
    let slices = Api::<EndpointSlice>::namespaced(cluster.client.clone(), namespace);
    let events = Api::<PodEvent>::namespaced(cluster.client.clone(), namespace);
    let mut answers = denied(cluster, "endpointslices", &slices, None).await?;
    let of_pod = format!("involvedObject.uid={}", candidate.uid);
    answers.extend(denied(cluster, "events", &events, Some(of_pod)).await?);
    Ok(answers)
}

async fn denied<K>(cluster: &Cluster, what: &str, api: &Api<K>, fields: Option<String>) -> Result<Vec<String>, Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let list = ListParams { field_selector: fields.clone(), limit: Some(1), ..ListParams::default() };
    let watch = WatchParams { field_selector: fields, ..WatchParams::default() }.timeout(1);
    let listed = cluster.within(format!("list {what}"), api.list(&list)).await.map(drop);
    let watched = cluster.within(format!("watch {what}"), api.watch(&watch, "0")).await.map(drop);
    let mut answers = Vec::new();
    for answer in [listed, watched] {
        match answer {
            Err(error) if error.is_forbidden() => answers.push(error.to_string()),
            answer => answer?,
        }
    }
    Ok(answers)
}

impl Watches {
    pub(super) fn start(cluster: &Cluster, namespace: &str, candidate: &Candidate) -> Self {
        let client = &cluster.client;
        let of_name = watcher::Config::default().fields(&format!("metadata.name={}", candidate.name));
        let pods = watcher(Api::<Pod>::namespaced(client.clone(), namespace), of_name).default_backoff();
        let pods = pods.filter_map(async |event| match event {
            Ok(event) => viewed(event).map(Seen::Pod),
            Err(error) => denial(&error).map(|status| Seen::Denied(status.message.clone())),
        });

        let slices = watcher(Api::<EndpointSlice>::namespaced(client.clone(), namespace), watcher::Config::default());
        let slices = until_forbidden(slices.default_backoff()).filter_map(async |event| {
            let (listed, slice) = match event {
                Event::InitApply(slice) => (true, slice),
                Event::Apply(slice) => (false, slice),
                _ => return None,
            };
            Some(Seen::Slice { listed, slice: view(&slice)? })
        });

        let of_uid = watcher::Config::default().fields(&format!("involvedObject.uid={}", candidate.uid));
        let events = watcher(Api::<PodEvent>::namespaced(client.clone(), namespace), of_uid);
        let events = until_forbidden(events.default_backoff()).filter_map(async |event| {
            let (Event::InitApply(event) | Event::Apply(event)) = event else { return None };
            Some(Seen::Event {
                name: event.metadata.name.unwrap_or_default(),
                count: event.count.unwrap_or(1).into(),
                reason: event.reason.unwrap_or_default(),
                message: event.message.unwrap_or_default(),
            })
        });
        Self(select_all([pods.boxed(), slices.boxed(), events.boxed()]))
    }

    /// The next report; the watch of the pod goes on for as long as this is called.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        self.0.next().await
    }
}

/// Ends a stream where the user may not watch; other errors are retried.
fn until_forbidden<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
) -> Pin<Box<dyn Stream<Item = Event<K>> + Send>> {
    let is_allowed = |event: &watcher::Result<Event<K>>| event.as_ref().err().and_then(denial).is_none();
    let allowed = events.take_while(move |event| std::future::ready(is_allowed(event)));
    allowed.filter_map(async |event| event.ok()).boxed()
}

/// The answer of the API server, if the user lacks a right.
fn denial(error: &watcher::Error) -> Option<&Status> {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return None;
    };
    Some(status.as_ref()).filter(|status| status.code == 403)
}

fn viewed(event: Event<Pod>) -> Option<Event<PodView>> {
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(pod) => Event::InitApply(view(&pod)?),
        Event::Apply(pod) => Event::Apply(view(&pod)?),
        Event::Delete(pod) => Event::Delete(view(&pod)?),
    })
}

/// The fields that the core reads.
fn view<T: DeserializeOwned>(object: &impl Serialize) -> Option<T> {
    serde_json::from_value(serde_json::to_value(object).ok()?).ok()
}
