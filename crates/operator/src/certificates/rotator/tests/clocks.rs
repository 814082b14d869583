//! Two replicas whose clocks differ from the API server's, by up to a day.

use super::*;
use crate::certificates::authority::Authority;

const DAY: i64 = 86_400;

#[tokio::test]
async fn replicas_whose_clocks_differ_by_a_day_serve_valid_certificates_and_do_not_fight() {
    for offsets in [[0, DAY], [0, -DAY], [-DAY, DAY]] {
        let server = server();
        let mut replicas = [(); 2].map(|()| Replica::new(&server));
        for day in (0..240).step_by(3).chain(240..256) {
            for second in [0, 5, 20] {
                for (replica, offset) in replicas.iter_mut().zip(offsets) {
                    replica.sync(later(day, second + offset)).await.unwrap();
                }
            }
            for replica in &replicas {
                let case = format!("clocks {offsets:?} after {day} days");
                let validity = replica.rotator.known.serving.as_ref().unwrap().validity();
                assert!(validity.has_started(later(day, 0)) && !validity.is_expired(later(day, 60)), "{case}");
                assert!(trusted(&server).iter().all(|bundle| bundle.contains(&replica.issuer())), "{case}");
                assert!(replica.readiness.is_ready(), "{case}");
            }
        }
        // The objects of the test; then the authority, its successor, and the end of the first one, each in the Secret and
        // both configurations.
        assert!(server.writes() <= 2 + 3 * 3, "clocks {offsets:?}: {} writes", server.writes());
    }
}

#[tokio::test]
async fn an_authority_that_is_not_valid_yet_is_kept_and_served_when_it_is_valid() {
    let server = server();
    let mut replicas = [(); 2].map(|()| Replica::new(&server));
    for replica in &mut replicas {
        replica.sync(start()).await.unwrap();
        replica.sync(start()).await.unwrap();
    }
    let old = replicas[0].issuer();
    let future = Authority::generate(later(7, 0)).unwrap();
    let mut secret = server.get(SECRET).unwrap();
    for (field, pem) in [("ca.crt", future.certificate().to_pem()), ("ca.key", future.key_pem())] {
        secret["data"][field] = json!(ByteString(pem.into_bytes()));
    }
    server.put(SECRET, secret);
    // One bundle in the Secret and in each configuration.
    let writes = server.writes() + 3;
    for day in 0..10 {
        for (replica, offset) in replicas.iter_mut().zip([0, DAY]) {
            for second in [10, 25] {
                replica.sync(later(day, second + offset)).await.unwrap();
            }
            let valid = later(day, offset + 25) >= later(5, 0);
            let issuer = if valid { future.certificate() } else { &old };
            assert_eq!(&replica.issuer(), issuer, "after {day} days");
        }
        assert_eq!(server.writes(), writes, "after {day} days");
    }
    let mut new = Replica::new(&server);
    for second in [0, 5] {
        new.sync(later(3, second)).await.unwrap();
    }
    assert!(!new.readiness.is_ready());
}
