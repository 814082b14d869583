//! An API server for tests that keeps objects by path in memory.
//!
//! It supports what the operator uses: get, create, update with optimistic locking, JSON and merge patches, server-side
//! apply of a Lease, and cluster-wide lists of namespaced objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use kube::Client;
use serde_json::{Value, json};

#[derive(Clone, Default)]
pub(crate) struct FakeApiServer(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    writes: u64,
    forbidden: bool,
}

type Answer = (StatusCode, String);

impl FakeApiServer {
    pub(crate) fn client(&self) -> Client {
        Client::new(Router::new().fallback(answer).with_state(self.clone()), "default")
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.store().objects.get(path).cloned()
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.store().put(path, object);
    }

    pub(crate) fn delete(&self, path: &str) {
        self.store().objects.remove(path);
    }

    /// How many writes it has accepted.
    pub(crate) fn writes(&self) -> u64 {
        self.store().writes
    }

    /// Makes every request fail with 403, or none.
    pub(crate) fn forbid(&self, forbidden: bool) {
        self.store().forbidden = forbidden;
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap()
    }
}

impl Store {
    fn put(&mut self, path: &str, mut object: Value) -> Answer {
        self.writes += 1;
        object["metadata"]["resourceVersion"] = json!(self.writes.to_string());
        let answer = (StatusCode::OK, object.to_string());
        self.objects.insert(path.to_owned(), object);
        answer
    }

    /// The namespaced objects of a resource, given its cluster-wide path `/apis/GROUP/VERSION/RESOURCE`.
    fn list(&self, path: &str) -> Answer {
        let (version, resource) = path.rsplit_once('/').unwrap();
        let in_namespace = |object: &str| {
            object.strip_prefix(&format!("{version}/namespaces/")).and_then(|rest| rest.split('/').nth(1))
                == Some(resource)
        };
        let items: Vec<_> =
            self.objects.iter().filter(|(path, _)| in_namespace(path)).map(|(_, object)| object).collect();
        (StatusCode::OK, json!({"metadata": {}, "items": items}).to_string())
    }
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
) -> Answer {
    let mut store = server.store();
    if store.forbidden {
        return error(StatusCode::FORBIDDEN);
    }
    let mut path = uri.path().to_owned();
    if method == Method::GET && path.split('/').count() == 5 {
        return store.list(&path);
    }
    let body = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    if method == Method::POST {
        path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
    }
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let patch_type = headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap());
    match (method, store.objects.get(&path).cloned()) {
        (Method::POST, None) => store.put(&path, body),
        (Method::POST, Some(_)) => error(StatusCode::CONFLICT),
        (_, None) => error(StatusCode::NOT_FOUND),
        (Method::GET, Some(found)) => (StatusCode::OK, found.to_string()),
        (Method::PUT, Some(found)) if version(&found) != version(&body) => error(StatusCode::CONFLICT),
        (Method::PUT, Some(_)) => store.put(&path, body),
        (_, Some(mut found)) if patch_type.contains("json-patch") => {
            let operations: json_patch::Patch = serde_json::from_value(body).unwrap();
            match json_patch::patch(&mut found, &operations) {
                Ok(()) => store.put(&path, found),
                Err(_) => error(StatusCode::UNPROCESSABLE_ENTITY),
            }
        }
        (_, Some(mut found)) => {
            // The holder of a Lease belongs to the field manager that applied it.
            let holder = |object: &Value| object["spec"]["holderIdentity"].as_str().map(str::to_owned);
            if patch_type.contains("apply-patch") && holder(&found).is_some_and(|held| holder(&body) != Some(held)) {
                return error(StatusCode::CONFLICT);
            }
            json_patch::merge(&mut found, &body);
            store.put(&path, found)
        }
    }
}
