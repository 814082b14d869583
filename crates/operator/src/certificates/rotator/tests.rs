use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use jiff::SignedDuration;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::*;
use crate::certificates::certificate::Certificate;
use crate::certificates::resolver;

const SECRET: &str = "/api/v1/namespaces/ops/secrets/ca";
const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/wd";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/wd";

/// As much of an API server as the keeper uses: objects by path, each write a new version.
#[derive(Clone, Default)]
struct ApiServer(Arc<Mutex<(BTreeMap<String, Value>, u64)>>);

impl ApiServer {
    /// With both configurations, two webhooks each, and no Secret.
    fn new() -> Self {
        let server = Self::default();
        let webhook = |name: &str| json!({"name": name, "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": ["v1"]});
        for path in [MUTATING, VALIDATING] {
            server.put(path, json!({"metadata": {"name": "wd"}, "webhooks": [webhook("a"), webhook("b")]}));
        }
        server
    }

    fn client(&self) -> Client {
        Client::new(Router::new().fallback(call).with_state(self.clone()), "ops")
    }

    fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().0.get(path).cloned()
    }

    fn put(&self, path: &str, mut object: Value) -> Value {
        let (objects, version) = &mut *self.0.lock().unwrap();
        *version += 1;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        objects.insert(path.to_owned(), object.clone());
        object
    }

    fn delete(&self, path: &str) {
        self.0.lock().unwrap().0.remove(path);
    }

    /// The authorities that each of the four webhooks is to trust.
    fn trusted(&self) -> Vec<Vec<Certificate>> {
        let decode = |bundle: &Value| {
            let ByteString(pem) = serde_json::from_value(bundle.clone()).unwrap_or_default();
            Certificate::all_from_pem(&pem)
        };
        [MUTATING, VALIDATING]
            .into_iter()
            .filter_map(|path| self.get(path))
            .flat_map(|object| object["webhooks"].as_array().unwrap().clone())
            .map(|webhook| decode(&webhook["clientConfig"]["caBundle"]))
            .collect()
    }
}

async fn call(State(server): State<ApiServer>, method: Method, uri: Uri, body: Bytes) -> (StatusCode, String) {
    let answer = |object: Value| (StatusCode::OK, object.to_string());
    let refuse = |status: StatusCode| {
        let object = json!({"kind": "Status", "status": "Failure", "message": "no", "code": status.as_u16()});
        (status, object.to_string())
    };
    let body = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let mut path = uri.path().to_owned();
    if method == Method::POST {
        path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
    }
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    match (method, server.get(&path)) {
        (Method::POST, None) => answer(server.put(&path, body)),
        (Method::POST, Some(_)) => refuse(StatusCode::CONFLICT),
        (_, None) => refuse(StatusCode::NOT_FOUND),
        (Method::GET, Some(found)) => answer(found),
        (Method::PUT, Some(found)) if version(&found) != version(&body) => refuse(StatusCode::CONFLICT),
        (Method::PUT, Some(_)) => answer(server.put(&path, body)),
        (_, Some(mut found)) => {
            let operations: json_patch::Patch = serde_json::from_value(body).unwrap();
            match json_patch::patch(&mut found, &operations) {
                Ok(()) => answer(server.put(&path, found)),
                Err(_) => refuse(StatusCode::UNPROCESSABLE_ENTITY),
            }
        }
    }
}

struct Replica {
    keeper: Keeper,
    readiness: Readiness,
    // Without a TLS server to resolve for, nothing could be sent.
    _resolver: resolver::Resolver,
}

impl Replica {
    fn of(server: &ApiServer) -> Self {
        let (serving, resolver) = resolver::channel();
        let readiness = Readiness::default();
        let target = Target {
            namespace: "ops".to_owned(),
            secret: "ca".to_owned(),
            configurations: "wd".to_owned(),
            names: vec!["winddown.ops.svc".to_owned()],
        };
        let keeper = Keeper::new(&server.client(), target, serving, readiness.clone());
        Self { keeper, readiness, _resolver: resolver }
    }

    async fn look(&mut self, now: Timestamp) -> Result<(), Error> {
        self.keeper.look(now).await
    }

    fn issuer(&self) -> Certificate {
        self.keeper.leaf.as_ref().unwrap().issuer().clone()
    }
}

fn start() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn later(days: i64, seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(days * 86_400 + seconds)
}

#[tokio::test]
async fn from_nothing_a_replica_is_ready_after_the_second_look() {
    let server = ApiServer::new();
    let mut replica = Replica::of(&server);
    replica.look(start()).await.unwrap();
    assert_eq!(server.trusted(), vec![vec![replica.issuer()]; 4]);
    assert!(!replica.readiness.is_ready());
    replica.look(start()).await.unwrap();
    assert!(replica.readiness.is_ready());
}

#[tokio::test]
async fn what_is_as_it_should_be_is_not_written() {
    let server = ApiServer::new();
    let mut replica = Replica::of(&server);
    replica.look(start()).await.unwrap();
    let writes = server.0.lock().unwrap().1;
    replica.look(later(0, 5)).await.unwrap();
    assert_eq!(server.0.lock().unwrap().1, writes);
}

#[tokio::test]
async fn replicas_that_start_together_agree_on_one_authority() {
    let server = ApiServer::new();
    let mut replicas = [(); 5].map(|()| Replica::of(&server));
    let looks = replicas.iter_mut().map(|replica| replica.look(start()));
    for result in futures::future::join_all(looks).await {
        result.unwrap();
    }
    for replica in &replicas {
        assert_eq!(replica.issuer(), replicas[0].issuer());
    }
    assert_eq!(server.trusted(), vec![vec![replicas[0].issuer()]; 4]);
}

#[tokio::test]
async fn a_wiped_bundle_is_written_again() {
    let server = ApiServer::new();
    let mut replica = Replica::of(&server);
    replica.look(start()).await.unwrap();
    let mut configuration = server.get(MUTATING).unwrap();
    configuration["webhooks"][1]["clientConfig"]["caBundle"].take();
    server.put(MUTATING, configuration);
    assert_eq!(server.trusted().iter().filter(|bundle| bundle.is_empty()).count(), 1);
    replica.look(later(0, 5)).await.unwrap();
    assert_eq!(server.trusted(), vec![vec![replica.issuer()]; 4]);
}

#[tokio::test]
async fn every_certificate_that_is_served_during_a_rotation_is_trusted() {
    let server = ApiServer::new();
    let mut replicas = [(); 2].map(|()| Replica::of(&server));
    for replica in &mut replicas {
        replica.look(start()).await.unwrap();
    }
    let old = replicas[0].issuer();
    for (days, seconds, rotated) in
        [(243, 0, false), (244, 0, false), (244, 5, false), (244, 9, false), (244, 15, true)]
    {
        for replica in &mut replicas {
            replica.look(later(days, seconds)).await.unwrap();
        }
        for replica in &replicas {
            let when = format!("after {days} days and {seconds} s");
            assert_eq!(replica.issuer() != old, rotated, "{when}");
            assert!(server.trusted().iter().all(|bundle| bundle.contains(&replica.issuer())), "{when}");
            assert!(server.trusted().iter().all(|bundle| bundle.contains(&old)), "{when}");
        }
    }
    replicas[0].look(later(366, 0)).await.unwrap();
    assert_eq!(server.trusted(), vec![vec![replicas[0].issuer()]; 4]);
}

#[tokio::test]
async fn a_deleted_secret_is_made_again_and_nobody_serves_what_is_not_trusted() {
    let server = ApiServer::new();
    let mut replica = Replica::of(&server);
    replica.look(start()).await.unwrap();
    let old = replica.issuer();
    server.delete(SECRET);
    replica.look(later(0, 5)).await.unwrap();
    assert!(server.get(SECRET).is_some());
    assert_eq!(replica.issuer(), old);
    for bundle in server.trusted() {
        assert_eq!(bundle.len(), 2);
        assert!(bundle.contains(&old));
    }
}

#[tokio::test]
async fn a_missing_configuration_is_said_and_the_other_one_is_kept_all_the_same() {
    let server = ApiServer::new();
    server.delete(VALIDATING);
    let mut replica = Replica::of(&server);
    for _ in 0..2 {
        let error = replica.look(start()).await.unwrap_err();
        assert!(error.to_string().contains("ValidatingWebhookConfiguration"), "{error}");
    }
    assert_eq!(server.trusted(), vec![vec![replica.issuer()]; 2]);
    assert!(!replica.readiness.is_ready());
}
