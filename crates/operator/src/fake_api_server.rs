//! An API server for tests that keeps objects by path in memory.
//!
//! It supports what the operator uses: get, create, delete, update with optimistic locking, JSON and merge patches, also of a status,
//! server-side apply of a Lease, and lists and cluster-wide watches of namespaced objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, future};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

#[derive(Clone, Default)]
pub(crate) struct FakeApiServer(Arc<Mutex<Store>>);

/// Changes one object that a write is about to store, like a mutating webhook.
type Webhook = Box<dyn Fn(&str, &mut Value) + Send>;

struct Store {
    objects: BTreeMap<String, Value>,
    writes: u64,
    /// The requests by method and path.
    requests: BTreeMap<(Method, String), u64>,
    forbidden: bool,
    /// The answer to requests of this method to this path.
    failing: BTreeMap<(Method, String), StatusCode>,
    /// Requests that are carried out, but answered with 504.
    lost: BTreeSet<(Method, String)>,
    /// Collections of namespaces that are being deleted.
    terminating: BTreeSet<String>,
    /// Paths to which no request is answered.
    silent: BTreeSet<String>,
    /// Paths, and the watch events of their objects.
    events: broadcast::Sender<(String, Value)>,
    webhook: Option<Webhook>,
}

impl Default for Store {
    fn default() -> Self {
        let events = broadcast::channel(4096).0;
        Self {
            objects: BTreeMap::new(),
            writes: 0,
            requests: BTreeMap::new(),
            forbidden: false,
            failing: BTreeMap::new(),
            lost: BTreeSet::new(),
            terminating: BTreeSet::new(),
            silent: BTreeSet::new(),
            events,
            webhook: None,
        }
    }
}

type Answer = (StatusCode, String);

impl FakeApiServer {
    pub(crate) fn client(&self) -> Client {
        Client::new(Router::new().fallback(answer).with_state(self.clone()), "default")
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.store().objects.get(path).cloned()
    }

    /// The objects whose paths start like this.
    pub(crate) fn under(&self, prefix: &str) -> Vec<Value> {
        let store = self.store();
        store.objects.iter().filter(|(path, _)| path.starts_with(prefix)).map(|(_, object)| object.clone()).collect()
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.store().put(path, object);
    }

    /// Ends the watches of a cluster-wide collection, which did not report these changes, so that it is listed again.
    pub(crate) fn expire(&self, collection: &str, unseen: impl FnOnce(&mut BTreeMap<String, Value>)) {
        let mut store = self.store();
        unseen(&mut store.objects);
        let status = json!({"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410});
        // Fails without a watch.
        let _ = store.events.send((format!("{collection}/"), json!({"type": "ERROR", "object": status})));
    }

    pub(crate) fn delete(&self, path: &str) {
        self.store().objects.remove(path);
    }

    /// Deletes an object, which watches see.
    pub(crate) fn remove(&self, path: &str) {
        self.store().remove(path);
    }

    /// Sends an event to the watches of the object at a path.
    pub(crate) fn send(&self, path: &str, event: Value) {
        // Fails without a watch.
        let _ = self.store().events.send((path.to_owned(), event));
    }

    /// Ends all watches.
    pub(crate) fn disconnect(&self) {
        self.store().events = broadcast::channel(4096).0;
    }

    /// How many writes it has accepted.
    pub(crate) fn writes(&self) -> u64 {
        self.store().writes
    }

    /// Makes every request fail with 403, or none.
    pub(crate) fn forbid(&self, forbidden: bool) {
        self.store().forbidden = forbidden;
    }

    /// Answers requests of this method to this path with a status; `None` answers them normally again.
    pub(crate) fn fail(&self, method: Method, path: &str, status: Option<StatusCode>) {
        let failing = &mut self.store().failing;
        match status {
            Some(status) => failing.insert((method, path.to_owned()), status),
            None => failing.remove(&(method, path.to_owned())),
        };
    }

    /// Carries out requests of this method to this path, but loses the answer, or not any more.
    pub(crate) fn lose_answers(&self, method: Method, path: &str, lost: bool) {
        let requests = &mut self.store().lost;
        if lost {
            requests.insert((method, path.to_owned()))
        } else {
            requests.remove(&(method, path.to_owned()))
        };
    }

    /// Creates nothing in this collection any more, because its namespace is being deleted.
    pub(crate) fn terminate(&self, collection: &str) {
        self.store().terminating.insert(collection.to_owned());
    }

    /// Answers no request to this path any more, or those from now on again.
    pub(crate) fn silence(&self, path: &str, silent: bool) {
        let paths = &mut self.store().silent;
        if silent {
            paths.insert(path.to_owned())
        } else {
            paths.remove(path)
        };
    }

    /// How many requests of this method had a path with this prefix.
    pub(crate) fn requests(&self, method: &Method, prefix: &str) -> u64 {
        let store = self.store();
        let counted = store.requests.iter().filter(|((used, path), _)| used == method && path.starts_with(prefix));
        counted.map(|(_, count)| count).sum()
    }

    /// How many cluster-wide lists and watches were requested.
    pub(crate) fn lists(&self) -> u64 {
        self.store().requests.iter().filter(|((_, path), _)| is_collection(path)).map(|(_, count)| count).sum()
    }

    /// How many watches run.
    pub(crate) fn watches(&self) -> usize {
        self.store().events.receiver_count()
    }

    /// Changes objects in every later patch or write of a status.
    pub(crate) fn admit(&self, webhook: impl Fn(&str, &mut Value) + Send + 'static) {
        self.store().webhook = Some(Box::new(webhook));
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap()
    }
}

impl Store {
    /// With a UID; a status is written separately.
    fn create(&mut self, path: &str, mut object: Value) -> Answer {
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.writes));
        }
        if let Some(object) = object.as_object_mut() {
            object.remove("status");
        }
        self.put(path, object)
    }

    fn remove(&mut self, path: &str) {
        if let Some(object) = self.objects.remove(path) {
            // Fails without a watch.
            let _ = self.events.send((path.to_owned(), json!({"type": "DELETED", "object": object})));
        }
    }

    fn put(&mut self, path: &str, mut object: Value) -> Answer {
        self.writes += 1;
        object["metadata"]["resourceVersion"] = json!(self.writes.to_string());
        let answer = (StatusCode::OK, object.to_string());
        let event = if self.objects.contains_key(path) { "MODIFIED" } else { "ADDED" };
        // Fails without a watch.
        let _ = self.events.send((path.to_owned(), json!({"type": event, "object": object})));
        self.objects.insert(path.to_owned(), object);
        answer
    }

    /// The objects of a collection, or one page of them: `continue` is the number of those before.
    fn list(&self, collection: &str, query: &str) -> Answer {
        let number = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.parse::<usize>().ok());
        let (before, limit) = (number("continue=").unwrap_or_default(), number("limit=").unwrap_or(usize::MAX));
        let objects = self.objects.iter().filter(|(path, _)| is_in(path, collection)).map(|(_, object)| object);
        let items: Vec<_> = objects.clone().skip(before).take(limit).collect();
        let mut metadata = json!({"resourceVersion": self.writes.to_string()});
        if objects.count() > before + items.len() {
            metadata["continue"] = json!((before + items.len()).to_string());
        }
        (StatusCode::OK, json!({"metadata": metadata, "items": items}).to_string())
    }

    /// The events of a collection from now on. A watch starts right after a list in these tests.
    fn watch(&self, collection: String) -> Response {
        let events = BroadcastStream::new(self.events.subscribe()).filter_map(move |event| {
            let line = event.ok().filter(|(path, _)| is_in(path, &collection)).map(|(_, event)| format!("{event}\n"));
            future::ready(line.map(Ok::<_, std::convert::Infallible>))
        });
        Response::new(Body::from_stream(events))
    }
}

/// Whether the path is `/apis/GROUP/VERSION/RESOURCE` or `/api/v1/RESOURCE`.
fn is_collection(path: &str) -> bool {
    path.split('/').count() == if path.starts_with("/api/") { 4 } else { 5 }
}

/// Whether the object at a path is in a cluster-wide collection.
fn is_in(path: &str, collection: &str) -> bool {
    let (version, resource) = collection.rsplit_once('/').unwrap();
    let namespaced = path.strip_prefix(&format!("{version}/namespaces/")).and_then(|rest| rest.split('/').nth(1));
    namespaced == Some(resource) || path.strip_prefix(collection).is_some_and(|name| name.matches('/').count() == 1)
}

fn error(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or_default().replace(' ', "");
    let object = json!({"kind": "Status", "status": "Failure", "reason": reason, "code": status.as_u16()});
    (status, object.to_string())
}

async fn answer(
    State(server): State<FakeApiServer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if server.store().silent.contains(uri.path()) {
        future::pending::<()>().await;
    }
    let mut store = server.store();
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default());
    *store.requests.entry((method.clone(), path.clone())).or_default() += 1;
    if store.forbidden {
        return error(StatusCode::FORBIDDEN).into_response();
    }
    if let Some(status) = store.failing.get(&(method.clone(), path.clone())) {
        return error(*status).into_response();
    }
    if method == Method::GET && is_collection(&path) {
        let watch = query.contains("watch=true");
        return if watch { store.watch(path) } else { store.list(&path, query).into_response() };
    }
    let in_namespace = path.split_once("/namespaces/").map(|(_, rest)| rest.split('/').count());
    if method == Method::GET && in_namespace == Some(2) {
        return store.list(&path, query).into_response();
    }
    if method == Method::POST && store.terminating.contains(&path) {
        let causes = json!([{"reason": "NamespaceTerminating", "message": "namespace shop is being terminated"}]);
        let status = json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403,
            "message": "forbidden", "details": {"causes": causes}});
        return (StatusCode::FORBIDDEN, status.to_string()).into_response();
    }
    let is_lost = store.lost.contains(&(method.clone(), path.clone()));
    let answer = object_request(&mut store, method, path, &headers, &body);
    if is_lost { error(StatusCode::GATEWAY_TIMEOUT) } else { answer }.into_response()
}

fn object_request(store: &mut Store, method: Method, mut path: String, headers: &HeaderMap, body: &[u8]) -> Answer {
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if method == Method::POST {
        let name = body["metadata"]["name"].as_str().map_or_else(|| store.writes.to_string(), str::to_owned);
        path = format!("{path}/{name}");
    }
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    // A patch of the status is one of the whole object, because its other parts are not in the body.
    let is_status = path.ends_with("/status");
    if let Some(object) = path.strip_suffix("/status") {
        path = object.to_owned();
    }
    let patch_type = headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap());
    match (method, store.objects.get(&path).cloned()) {
        (Method::POST, None) => store.create(&path, body),
        (Method::POST, Some(_)) => error(StatusCode::CONFLICT),
        (_, None) => error(StatusCode::NOT_FOUND),
        (Method::GET, Some(found)) => (StatusCode::OK, found.to_string()),
        (Method::PUT, Some(found)) if version(&found) != version(&body) => error(StatusCode::CONFLICT),
        (Method::PUT, Some(mut found)) if is_status => {
            found["status"] = body["status"].clone();
            if let Some(webhook) = &store.webhook {
                webhook(&path, &mut found);
            }
            store.put(&path, found)
        }
        (Method::PUT, Some(_)) => store.put(&path, body),
        (Method::DELETE, Some(found)) => {
            let expected = &body["preconditions"]["resourceVersion"];
            if !expected.is_null() && *expected != version(&found) {
                return error(StatusCode::CONFLICT);
            }
            store.remove(&path);
            (StatusCode::OK, json!({"kind": "Status", "status": "Success"}).to_string())
        }
        (_, Some(mut found)) if patch_type.contains("json-patch") => {
            let operations: json_patch::Patch = serde_json::from_value(body).unwrap();
            match json_patch::patch(&mut found, &operations) {
                Ok(()) => {
                    if let Some(webhook) = &store.webhook {
                        webhook(&path, &mut found);
                    }
                    store.put(&path, found)
                }
                Err(_) => error(StatusCode::UNPROCESSABLE_ENTITY),
            }
        }
        (_, Some(mut found)) => {
            // The holder of a Lease belongs to the field manager that applied it.
            let holder = |object: &Value| object["spec"]["holderIdentity"].as_str().map(str::to_owned);
            if patch_type.contains("apply-patch") && holder(&found).is_some_and(|held| holder(&body) != Some(held)) {
                return error(StatusCode::CONFLICT);
            }
            if !version(&body).is_null() && version(&found) != version(&body) {
                return error(StatusCode::CONFLICT);
            }
            json_patch::merge(&mut found, &body);
            if let Some(webhook) = &store.webhook {
                webhook(&path, &mut found);
            }
            store.put(&path, found)
        }
    }
}
