mod clocks;
mod failures;

use jiff::SignedDuration;
use k8s_openapi::ByteString;
use serde_json::json;

use super::*;
use crate::certificates::certificate::Certificate;
use crate::certificates::resolver;
use crate::fake_api_server::FakeApiServer;

const SECRET: &str = "/api/v1/namespaces/ops/secrets/ca";
const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/wd";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/wd";

/// An API server with both configurations, two webhooks each, and no Secret.
fn server() -> FakeApiServer {
    let server = FakeApiServer::default();
    let webhook = |name: &str| json!({"name": name, "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    for path in [MUTATING, VALIDATING] {
        server.put(path, json!({"metadata": {"name": "wd"}, "webhooks": [webhook("a"), webhook("b")]}));
    }
    server
}

/// The authorities in the `caBundle` of each of the four webhooks.
fn trusted(server: &FakeApiServer) -> Vec<Vec<Certificate>> {
    let decode = |bundle: &serde_json::Value| {
        let ByteString(pem) = serde_json::from_value(bundle.clone()).unwrap_or_default();
        Certificate::all_from_pem(&pem)
    };
    [MUTATING, VALIDATING]
        .into_iter()
        .filter_map(|path| server.get(path))
        .flat_map(|object| object["webhooks"].as_array().unwrap().clone())
        .map(|webhook| decode(&webhook["clientConfig"]["caBundle"]))
        .collect()
}

struct Replica {
    rotator: Rotator,
    readiness: Readiness,
    // Keeps the channel open.
    _resolver: resolver::Resolver,
}

impl Replica {
    fn new(server: &FakeApiServer) -> Self {
        let (certificates, resolver) = resolver::channel();
        let readiness = Readiness::default();
        let target = Target {
            namespace: "ops".to_owned(),
            secret: "ca".to_owned(),
            configurations: "wd".to_owned(),
            names: vec!["winddown.ops.svc".to_owned()],
        };
        let rotator = Rotator::new(&server.client(), target, certificates, readiness.clone());
        Self { rotator, readiness, _resolver: resolver }
    }

    async fn sync(&mut self, now: Timestamp) -> Result<(), Error> {
        self.rotator.check(now).await
    }

    fn issuer(&self) -> Certificate {
        self.rotator.known.issuer().unwrap().clone()
    }
}

fn start() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn later(days: i64, seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(days * 86_400 + seconds)
}

#[tokio::test]
async fn without_a_secret_a_replica_is_ready_after_the_second_check() {
    let server = server();
    let mut replica = Replica::new(&server);
    replica.sync(start()).await.unwrap();
    assert_eq!(trusted(&server), vec![vec![replica.issuer()]; 4]);
    assert!(!replica.readiness.is_ready());
    replica.sync(start()).await.unwrap();
    assert!(replica.readiness.is_ready());
}

#[tokio::test]
async fn nothing_is_written_if_everything_is_up_to_date() {
    let server = server();
    let mut replica = Replica::new(&server);
    replica.sync(start()).await.unwrap();
    let writes = server.writes();
    replica.sync(later(0, 5)).await.unwrap();
    assert_eq!(server.writes(), writes);
}

#[tokio::test]
async fn replicas_that_start_at_the_same_time_use_one_authority() {
    let server = server();
    let mut replicas = [(); 5].map(|()| Replica::new(&server));
    let syncs = replicas.iter_mut().map(|replica| replica.sync(start()));
    for result in futures::future::join_all(syncs).await {
        result.unwrap();
    }
    for replica in &replicas {
        assert_eq!(replica.issuer(), replicas[0].issuer());
    }
    assert_eq!(trusted(&server), vec![vec![replicas[0].issuer()]; 4]);
}

#[tokio::test]
async fn a_removed_bundle_is_written_again() {
    let server = server();
    let mut replica = Replica::new(&server);
    replica.sync(start()).await.unwrap();
    let mut configuration = server.get(MUTATING).unwrap();
    configuration["webhooks"][1]["clientConfig"]["caBundle"].take();
    server.put(MUTATING, configuration);
    assert_eq!(trusted(&server).iter().filter(|bundle| bundle.is_empty()).count(), 1);
    replica.sync(later(0, 5)).await.unwrap();
    assert_eq!(trusted(&server), vec![vec![replica.issuer()]; 4]);
}

#[tokio::test]
async fn every_certificate_that_is_served_during_a_rotation_is_trusted() {
    let server = server();
    let mut replicas = [(); 2].map(|()| Replica::new(&server));
    for replica in &mut replicas {
        replica.sync(start()).await.unwrap();
    }
    let old = replicas[0].issuer();
    for (days, seconds, rotated) in
        [(242, 0, false), (243, 0, false), (243, 5, false), (243, 9, false), (243, 15, true)]
    {
        for replica in &mut replicas {
            replica.sync(later(days, seconds)).await.unwrap();
        }
        for replica in &replicas {
            let when = format!("after {days} days and {seconds} s");
            assert_eq!(replica.issuer() != old, rotated, "{when}");
            assert!(trusted(&server).iter().all(|bundle| bundle.contains(&replica.issuer())), "{when}");
            assert!(trusted(&server).iter().all(|bundle| bundle.contains(&old)), "{when}");
        }
    }
    replicas[0].sync(later(366, 0)).await.unwrap();
    assert_eq!(trusted(&server), vec![vec![replicas[0].issuer()]; 4]);
}

#[tokio::test]
async fn a_deleted_secret_is_created_again_and_the_trusted_certificate_stays() {
    let server = server();
    let mut replica = Replica::new(&server);
    replica.sync(start()).await.unwrap();
    let old = replica.issuer();
    server.delete(SECRET);
    replica.sync(later(0, 5)).await.unwrap();
    assert!(server.get(SECRET).is_some());
    assert_eq!(replica.issuer(), old);
    for bundle in trusted(&server) {
        assert_eq!(bundle.len(), 2);
        assert!(bundle.contains(&old));
    }
}

#[tokio::test]
async fn a_missing_configuration_is_an_error_and_the_other_one_is_updated() {
    let server = server();
    server.delete(VALIDATING);
    let mut replica = Replica::new(&server);
    for _ in 0..2 {
        let error = replica.sync(start()).await.unwrap_err();
        assert!(error.to_string().contains("ValidatingWebhookConfiguration"), "{error}");
    }
    assert_eq!(trusted(&server), vec![vec![replica.issuer()]; 2]);
    assert!(!replica.readiness.is_ready());
}
