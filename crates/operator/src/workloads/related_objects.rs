//! Reads the objects that are related to the workloads of a namespace: they refine findings, and cause some of their own.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::try_join;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::changes::PAGE_SIZE;
use super::context::now;
use super::publish::RETRY;
use crate::kubernetes::{Error, within};
use crate::trimming::Trimming;
use winddown_core::error_chain::ErrorChain;
use winddown_core::related::Related;

/// How long the objects of a namespace, and the `IngressClasses` of the cluster, are not read again.
const FRESH: Duration = Duration::from_secs(5);
/// An installation creates a workload before its autoscaler. The findings about related objects wait that long, and for
/// objects that are as new. Twice [`FRESH`]: the `IngressClasses` of a namespace may be that old.
pub(super) const SETTLE: Duration = Duration::from_secs(10);
/// Objects of one kind in a namespace; more are not considered.
const MAX_OBJECTS: usize = 500;
/// For all objects of a namespace, so that slow or many ones do not delay the workloads of other namespaces for long.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// A read that takes longer would delay the watch of all workloads of a kind.
const LONG: Duration = Duration::from_secs(1);
/// Namespaces in memory.
const MAX_NAMESPACES: usize = 64;

type Outcome = Result<Arc<Related>, Arc<Error>>;

/// The related objects of each namespace, for a short time.
pub(super) struct RelatedObjects {
    client: Client,
    read: Mutex<HashMap<String, (Instant, Outcome)>>,
    /// They belong to no namespace, so they are not read once for each.
    ingress_classes: Mutex<Option<(Instant, Arc<Related>)>>,
    /// Held while objects are read: one namespace at a time, a page of each kind, for the memory.
    reading: tokio::sync::Mutex<()>,
    /// When a read last took longer than [`LONG`].
    slow: Mutex<Option<Instant>>,
    /// Whether missing rights were logged.
    forbidden: AtomicBool,
    trimming: Trimming,
}

impl RelatedObjects {
    pub(super) fn new(client: Client, trimming: Trimming) -> Self {
        let (read, ingress_classes, reading, slow) = Default::default();
        Self { client, read, ingress_classes, reading, slow, forbidden: AtomicBool::new(false), trimming }
    }

    /// The same, or nothing if that could take long, because another read did.
    pub(super) async fn of_soon(&self, namespace: &str) -> Option<Result<Option<Arc<Related>>, Arc<Error>>> {
        let slow = *self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let is_slow = slow.is_some_and(|slow| now().saturating_duration_since(slow) < RETRY);
        if is_slow && self.kept(namespace).is_none() {
            return None;
        }
        Some(self.of(namespace).await)
    }

    /// The objects of a namespace; `None` without the rights to read them: the findings that need them are then withheld. After
    /// a failure, they are not read again before [`RETRY`].
    pub(super) async fn of(&self, namespace: &str) -> Result<Option<Arc<Related>>, Arc<Error>> {
        if let Some(kept) = self.kept(namespace) {
            return kept.map(Some);
        }
        let _reading = self.reading.lock().await;
        // Another controller may have read them meanwhile.
        if let Some(kept) = self.kept(namespace) {
            return kept.map(Some);
        }
        let start = now();
        let read = tokio::time::timeout(READ_LIMIT, Box::pin(self.read(namespace))).await;
        let timed_out =
            || Error::TimedOut { call: format!("read the related objects in {namespace}"), limit: READ_LIMIT };
        let read = read.unwrap_or_else(|_| Err(timed_out()));
        self.trimming.request();
        if now().saturating_duration_since(start) > LONG {
            *self.slow.lock().unwrap_or_else(PoisonError::into_inner) = Some(now());
        }
        if let Err(error) = &read
            && error.status().is_some_and(|status| status.code == 403)
        {
            if !self.forbidden.swap(true, Ordering::Relaxed) {
                tracing::warn!(error = %ErrorChain(error), "findings that need related objects are withheld");
            }
            return Ok(None);
        }
        let outcome = read.map(Arc::new).map_err(Arc::new);
        self.keep(namespace, outcome.clone());
        outcome.map(Some)
    }

    fn kept(&self, namespace: &str) -> Option<Outcome> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(namespace).filter(|kept| is_kept(kept)).map(|(_, outcome)| outcome.clone())
    }

    fn keep(&self, namespace: &str, outcome: Outcome) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= MAX_NAMESPACES {
            read.retain(|_, kept| is_kept(kept));
        }
        // Workloads are listed by namespace, so the oldest is needed least.
        let oldest = read.iter().min_by_key(|(_, (when, _))| *when).map(|(namespace, _)| namespace.clone());
        if let (true, Some(oldest)) = (read.len() >= MAX_NAMESPACES, oldest) {
            read.remove(&oldest);
        }
        read.insert(namespace.to_owned(), (now(), outcome));
    }

    async fn read(&self, namespace: &str) -> Result<Related, Error> {
        let client = || self.client.clone();
        // At the same time: a start reads those of every namespace.
        let (autoscalers, budgets, services, ingresses, classes, labels) = try_join!(
            list(Api::<HorizontalPodAutoscaler>::namespaced(client(), namespace)),
            list(Api::<PodDisruptionBudget>::namespaced(client(), namespace)),
            list(Api::<Service>::namespaced(client(), namespace)),
            list(Api::<Ingress>::namespaced(client(), namespace)),
            self.ingress_classes(),
            self.labels(namespace),
        )?;
        let mut related = Related::clone(&classes);
        for objects in [autoscalers, budgets, services, ingresses, labels] {
            related.extend(objects);
        }
        Ok(related)
    }

    async fn labels(&self, namespace: &str) -> Result<Related, Error> {
        let mut related = Related::default();
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match within(format!("read Namespace {namespace}"), namespaces.get(namespace)).await {
            Ok(namespace) => add_object(&mut related, &namespace),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        Ok(related)
    }

    async fn ingress_classes(&self) -> Result<Arc<Related>, Error> {
        let read = self.ingress_classes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((when, classes)) = read
            && is_fresh(when)
        {
            return Ok(classes);
        }
        let classes = Arc::new(list(Api::<IngressClass>::all(self.client.clone())).await?);
        *self.ingress_classes.lock().unwrap_or_else(PoisonError::into_inner) = Some((now(), classes.clone()));
        Ok(classes)
    }
}

fn is_kept((when, outcome): &(Instant, Outcome)) -> bool {
    is_fresh(*when) || outcome.is_err() && now().saturating_duration_since(*when) < RETRY
}

fn is_fresh(when: Instant) -> bool {
    now().saturating_duration_since(when) < FRESH
}

async fn list<K>(api: Api<K>) -> Result<Related, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
{
    let mut related = Related::default();
    let mut page = ListParams::default().limit(PAGE_SIZE);
    let mut read = 0;
    while read < MAX_OBJECTS {
        let list = within(format!("list {}", K::plural(&())), api.list(&page)).await?;
        read += list.items.len();
        for object in list.items {
            add_object(&mut related, &object);
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    Ok(related)
}

fn add_object(related: &mut Related, object: &impl Serialize) {
    if let Ok(object) = serde_json::to_value(object) {
        related.add(&object);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, StatusCode};
    use serde_json::json;

    use std::time::Duration;

    use super::{MAX_NAMESPACES, MAX_OBJECTS, RETRY, Related, RelatedObjects, Trimming};
    use crate::fake_api_server::FakeApiServer;

    fn autoscaler(name: &str) -> serde_json::Value {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "namespace": "web"},
            "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 9},
        })
    }

    #[tokio::test]
    async fn objects_are_read_once_in_a_short_time() {
        let server = FakeApiServer::default();
        let objects = RelatedObjects::new(server.client(), Trimming::default());
        let path = "/apis/autoscaling/v2/namespaces/web/horizontalpodautoscalers/shop";
        server.put(path, autoscaler("shop"));
        let first = objects.of("web").await.unwrap().unwrap();
        assert_ne!(*first, winddown_core::related::Related::default());
        server.delete(path);
        assert_eq!(objects.of("web").await.unwrap().unwrap(), first);
        assert_ne!(objects.of("other").await.unwrap().unwrap(), first);
    }

    #[tokio::test]
    async fn the_ingress_classes_of_the_cluster_are_read_once_for_all_namespaces() {
        let server = FakeApiServer::default();
        let objects = RelatedObjects::new(server.client(), Trimming::default());
        let class = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        });
        server.put("/apis/networking.k8s.io/v1/ingressclasses/nginx", class);
        for namespace in ["web", "shop", "cart"] {
            assert_ne!(*objects.of(namespace).await.unwrap().unwrap(), Related::default());
        }
        let lists = |path: &str| server.requests(&Method::GET, path);
        assert_eq!(lists("/apis/networking.k8s.io/v1/ingressclasses"), 1);
        assert_eq!(lists("/apis/networking.k8s.io/v1/namespaces/"), 3);
    }

    #[tokio::test]
    async fn objects_of_several_pages_are_read_up_to_a_maximum() {
        let (server, paths) =
            (FakeApiServer::default(), "/apis/autoscaling/v2/namespaces/web/horizontalpodautoscalers");
        for number in 0..=MAX_OBJECTS {
            let name = format!("shop-{number:03}");
            server.put(&format!("{paths}/{name}"), autoscaler(&name));
        }
        let related = RelatedObjects::new(server.client(), Trimming::default()).of("web").await.unwrap().unwrap();
        let mut expected = Related::default();
        (0..MAX_OBJECTS).for_each(|number| expected.add(&autoscaler(&format!("shop-{number:03}"))));
        assert_eq!(*related, expected);
        assert_eq!(server.requests(&Method::GET, paths), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_they_are_not_read_again_for_a_while() {
        let server = FakeApiServer::default();
        let objects = RelatedObjects::new(server.client(), Trimming::default());
        let services = "/api/v1/namespaces/web/services";
        server.fail(Method::GET, services, Some(StatusCode::INTERNAL_SERVER_ERROR));
        for _ in 0..3 {
            assert!(objects.of("web").await.is_err());
        }
        assert_eq!(server.requests(&Method::GET, services), 1);
        assert!(objects.of("shop").await.is_ok(), "other namespaces are read");
        server.fail(Method::GET, services, None);
        tokio::time::advance(RETRY).await;
        assert!(objects.of("web").await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_slow_read_only_what_is_kept_is_there_soon() {
        let server = FakeApiServer::default();
        let objects = RelatedObjects::new(server.client(), Trimming::default());
        assert!(objects.of_soon("web").await.unwrap().is_ok());
        server.silence("/api/v1/namespaces/slow/services", true);
        assert!(objects.of_soon("slow").await.unwrap().is_err());
        assert!(objects.of_soon("slow").await.is_some(), "the failure is kept");
        assert!(objects.of_soon("shop").await.is_none());
        assert!(objects.of("shop").await.is_ok(), "with patience");
        assert!(objects.of_soon("shop").await.is_some(), "kept now");
        tokio::time::advance(RETRY).await;
        assert!(objects.of_soon("cart").await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_namespaces_the_last_ones_are_kept() {
        let server = FakeApiServer::default();
        let objects = RelatedObjects::new(server.client(), Trimming::default());
        for number in 0..=MAX_NAMESPACES {
            objects.of(&number.to_string()).await.unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(objects.kept("0").is_none());
        assert!(objects.kept("1").is_some() && objects.kept(&MAX_NAMESPACES.to_string()).is_some());
    }

    #[tokio::test]
    async fn without_the_rights_nothing_is_known() {
        let server = FakeApiServer::default();
        let objects = RelatedObjects::new(server.client(), Trimming::default());
        server.forbid(true);
        assert_eq!(objects.of("web").await.unwrap(), None);
        server.forbid(false);
        assert!(objects.of("web").await.unwrap().is_some());
    }
}
