use serde_json::json;

use super::*;
use crate::fake_api_server::FakeApiServer;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/ops/leases/winddown";

/// Starts a candidate; returns its state, its shutdown token and its task.
fn start(
    server: &FakeApiServer,
    identity: &str,
) -> (watch::Receiver<bool>, CancellationToken, tokio::task::JoinHandle<()>) {
    let candidate = Candidate {
        client: server.client(),
        namespace: "ops".to_owned(),
        lease: "winddown".to_owned(),
        identity: identity.to_owned(),
    };
    let (sender, leading) = watch::channel(false);
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(candidate.run(sender, shutdown.clone()));
    (leading, shutdown, task)
}

async fn wait_until(leading: &mut watch::Receiver<bool>, leads: bool) {
    tokio::time::timeout(Duration::from_secs(8), leading.wait_for(|now| *now == leads)).await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_releases_the_lease_for_the_next_leader() {
    let server = FakeApiServer::default();
    let (mut first, shutdown, task) = start(&server, "first");
    wait_until(&mut first, true).await;
    let (mut second, _shutdown, _task) = start(&server, "second");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!*second.borrow());

    shutdown.cancel();
    task.await.unwrap();
    assert!(!*first.borrow());
    wait_until(&mut second, true).await;
    assert_eq!(server.get(LEASE).unwrap()["spec"]["holderIdentity"], json!("second"));
}

#[tokio::test]
async fn a_leader_stops_leading_when_another_replica_holds_the_lease() {
    let server = FakeApiServer::default();
    let (mut leading, _shutdown, _task) = start(&server, "first");
    wait_until(&mut leading, true).await;
    let now = jiff::Timestamp::now();
    let taken = json!({"spec": {"holderIdentity": "second", "renewTime": format!("{now:.6}")}});
    let mut lease = server.get(LEASE).unwrap();
    json_patch::merge(&mut lease, &taken);
    server.put(LEASE, lease);
    wait_until(&mut leading, false).await;
}

#[tokio::test]
async fn no_replica_leads_while_requests_are_forbidden() {
    let server = FakeApiServer::default();
    server.forbid(true);
    let (mut leading, _shutdown, _task) = start(&server, "first");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!*leading.borrow());
    server.forbid(false);
    wait_until(&mut leading, true).await;
}

#[test]
fn a_field_manager_is_cut_at_the_start_of_the_name() {
    assert_eq!(field_manager("winddown-7d4b9-x2x9p"), "winddown-winddown-7d4b9-x2x9p");
    for long in [format!("{}-x2x9p", "a".repeat(250)), format!("{}-x2x9p", "ü".repeat(250))] {
        let name = field_manager(&long);
        assert!(name.len() <= FIELD_MANAGER_LIMIT && name.ends_with("-x2x9p"), "{name}");
    }
}
