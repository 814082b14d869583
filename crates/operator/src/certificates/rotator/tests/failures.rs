//! The Secret or a configuration cannot be read or written, is deleted, or is replaced.

use axum::http::{Method, StatusCode};

use super::*;
use crate::certificates::authority::Authority;
use crate::certificates::bundle::Bundle;

const SECRETS: &str = "/api/v1/namespaces/ops/secrets";

async fn ready_replica(server: &FakeApiServer) -> Replica {
    let mut replica = Replica::new(server);
    for second in [0, 5] {
        replica.sync(later(0, second)).await.unwrap();
    }
    assert!(replica.readiness.is_ready());
    replica
}

/// Replaces the Secret's authority; the bundle in the Secret stays.
fn replace_authority(server: &FakeApiServer, authority: &Authority) {
    let mut secret = server.get(SECRET).unwrap();
    let field = |pem: String| json!(ByteString(pem.into_bytes()));
    secret["data"]["ca.crt"] = field(authority.certificate().to_pem());
    secret["data"]["ca.key"] = field(authority.key_pem());
    server.put(SECRET, secret);
}

/// Every API server accepts what the replica serves.
fn assert_serves(server: &FakeApiServer, replica: &Replica, now: Timestamp, case: &str) {
    let validity = replica.rotator.known.serving.as_ref().unwrap().validity();
    assert!(validity.has_started(now) && !validity.is_expired(now), "{case}");
    for bundle in trusted(server) {
        assert!(bundle.contains(&replica.issuer()), "{case}");
        assert!(bundle.len() <= Bundle::MAX, "{case}");
    }
}

#[tokio::test]
async fn while_the_secret_cannot_be_read_or_written_the_authority_is_used_until_it_expires() {
    for (case, method, path, status, first_failure) in [
        ("is immutable", Method::GET, "", StatusCode::OK, 243),
        ("write Secret ops/ca", Method::PUT, SECRET, StatusCode::FORBIDDEN, 243),
        ("write Secret ops/ca", Method::PUT, SECRET, StatusCode::UNPROCESSABLE_ENTITY, 243),
        ("read Secret ops/ca", Method::GET, SECRET, StatusCode::FORBIDDEN, 1),
        ("read Secret ops/ca", Method::GET, SECRET, StatusCode::INTERNAL_SERVER_ERROR, 1),
        ("create Secret ops/ca", Method::POST, SECRETS, StatusCode::FORBIDDEN, 1),
    ] {
        let server = server();
        let mut replica = ready_replica(&server).await;
        let authority = replica.issuer();
        server.fail(method.clone(), path, Some(status));
        if path.is_empty() {
            let mut secret = server.get(SECRET).unwrap();
            secret["immutable"] = json!(true);
            server.put(SECRET, secret);
        }
        if method == Method::POST {
            server.delete(SECRET);
        }
        let writes = server.writes();
        for day in (1..365).step_by(2) {
            let now = later(day, 0);
            let result = replica.sync(now).await;
            assert_eq!(result.is_err(), day >= first_failure, "{case} after {day} days");
            if let Err(error) = result {
                let text = ErrorChain(&error).to_string();
                assert!(text.contains(case) && text.contains("expires on 2027-11-23"), "{text}");
            }
            assert_serves(&server, &replica, now, case);
            assert!(replica.readiness.is_ready(), "{case}");
        }
        assert_eq!((replica.issuer(), server.writes()), (authority, writes), "{case}");

        for (seconds, ready) in [(86_300, true), (86_345, false), (86_401, false), (86_500, false)] {
            replica.sync(later(364, seconds)).await.unwrap_err();
            assert_eq!(replica.readiness.is_ready(), ready, "{case} {seconds}");
        }
        server.fail(method, path, None);
        if path.is_empty() {
            server.delete(SECRET);
        }
        for second in [0, 5] {
            replica.sync(later(366, second)).await.unwrap();
        }
        assert_serves(&server, &replica, later(366, 5), case);
        assert!(replica.readiness.is_ready(), "{case}");
    }
}

#[tokio::test]
async fn an_unreadable_secret_does_not_stop_the_repair_of_the_configurations() {
    let server = server();
    let mut replica = ready_replica(&server).await;
    server.fail(Method::GET, SECRET, Some(StatusCode::FORBIDDEN));
    let mut configuration = server.get(MUTATING).unwrap();
    configuration["webhooks"][1]["clientConfig"]["caBundle"].take();
    server.put(MUTATING, configuration);
    replica.sync(later(0, 10)).await.unwrap_err();
    assert_serves(&server, &replica, later(0, 10), "restored");

    let mut new = Replica::new(&server);
    new.sync(later(0, 10)).await.unwrap_err();
    assert!(!new.readiness.is_ready());
}

#[tokio::test]
async fn replicas_that_serve_different_authorities_agree_although_the_secret_is_immutable() {
    let server = server();
    let mut replicas = [(); 3].map(|()| Replica::new(&server));
    // Each starts alone with an authority of its own.
    for replica in &mut replicas {
        server.delete(SECRET);
        for second in [0, 5] {
            replica.sync(later(0, second)).await.unwrap();
        }
    }
    let mut secret = server.get(SECRET).unwrap();
    secret["immutable"] = json!(true);
    server.put(SECRET, secret);
    let mut writes = 0;
    for second in [10, 15, 20, 25, 30, 35] {
        writes = server.writes();
        for replica in &mut replicas {
            let _ = replica.sync(later(0, second)).await;
            assert_serves(&server, replica, later(0, second), "its own check");
        }
    }
    assert_eq!(server.writes(), writes);
    for replica in &replicas {
        assert_eq!(trusted(&server), vec![vec![replica.issuer()]; 4]);
    }
}

#[tokio::test]
async fn a_secret_that_is_wiped_again_and_again_interrupts_nothing_and_the_bundle_stays_small() {
    let server = server();
    let mut replicas = [ready_replica(&server).await, ready_replica(&server).await];
    for wipe in 2..100 {
        server.delete(SECRET);
        for index in [wipe % 2, (wipe + 1) % 2] {
            let now = later(0, 5 * i64::try_from(wipe).unwrap());
            replicas[index].sync(now).await.unwrap();
            for replica in &replicas {
                assert_serves(&server, replica, now, "wiped");
            }
        }
    }
}

#[tokio::test]
async fn somebodys_authority_is_served_after_it_is_trusted() {
    let server = server();
    let mut replicas = [ready_replica(&server).await, ready_replica(&server).await];
    for round in 1..20 {
        let other = Authority::generate(later(-100, 0)).unwrap();
        let before = replicas[0].issuer();
        replace_authority(&server, &other);
        for (second, served) in [(0, &before), (5, &before), (16, other.certificate())] {
            let now = later(0, round * 30 + second);
            for index in 0..2 {
                replicas[index].sync(now).await.unwrap();
                assert_eq!(&replicas[index].issuer(), served);
                for replica in &replicas {
                    assert_serves(&server, replica, now, "replaced");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_revoked_authority_does_not_come_back() {
    let server = server();
    let mut replica = ready_replica(&server).await;
    let revoked = replica.issuer();

    // With running replicas: the Secret is deleted, and later the bundle in it.
    server.delete(SECRET);
    for second in [10, 15, 30] {
        replica.sync(later(0, second)).await.unwrap();
    }
    assert_ne!(replica.issuer(), revoked);
    let mut secret = server.get(SECRET).unwrap();
    secret["data"].as_object_mut().unwrap().remove("ca-bundle.crt");
    server.put(SECRET, secret);
    for second in [70, 75] {
        replica.sync(later(0, second)).await.unwrap();
        assert_eq!(trusted(&server), vec![vec![replica.issuer()]; 4]);
    }

    // With replicas that were stopped: the Secret is deleted.
    let revoked = replica.issuer();
    drop(replica);
    server.delete(SECRET);
    let mut replica = Replica::new(&server);
    replica.sync(later(0, 100)).await.unwrap();
    assert_ne!(replica.issuer(), revoked);
    assert_eq!(trusted(&server), vec![vec![replica.issuer()]; 4]);
}
