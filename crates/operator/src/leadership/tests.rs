use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};

use super::*;

/// As much of an API server as a Lease needs: one object, merged; what is applied must not take another's holder away.
#[derive(Clone, Default)]
struct ApiServer {
    lease: Arc<Mutex<Option<Value>>>,
    refuses: Arc<AtomicBool>,
}

impl ApiServer {
    fn holder(&self) -> Option<String> {
        self.lease.lock().unwrap().as_ref()?["spec"]["holderIdentity"].as_str().map(str::to_owned)
    }

    /// Lets a candidate stand; returns what it believes, how to stop it, and its end.
    fn stand(&self, identity: &str) -> (watch::Receiver<bool>, CancellationToken, tokio::task::JoinHandle<()>) {
        let candidate = Candidate {
            client: Client::new(Router::new().fallback(call).with_state(self.clone()), "ops"),
            namespace: "ops".to_owned(),
            lease: "winddown".to_owned(),
            identity: identity.to_owned(),
        };
        let (sender, leading) = watch::channel(false);
        let shutdown = CancellationToken::new();
        let end = tokio::spawn(candidate.stand(sender, shutdown.clone()));
        (leading, shutdown, end)
    }
}

async fn call(
    State(server): State<ApiServer>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let refuse = |status: StatusCode, reason: &str| {
        let object = json!({"kind": "Status", "status": "Failure", "reason": reason, "code": status.as_u16()});
        (status, object.to_string())
    };
    if server.refuses.load(Ordering::SeqCst) {
        return refuse(StatusCode::FORBIDDEN, "Forbidden");
    }
    let mut lease = server.lease.lock().unwrap();
    let body = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    if method == Method::POST {
        *lease = Some(body);
    } else if method == Method::PATCH {
        let applies = headers[header::CONTENT_TYPE].to_str().unwrap().contains("apply-patch");
        let holder = |object: &Value| object["spec"]["holderIdentity"].as_str().map(str::to_owned);
        if let Some(lease) = lease.as_mut() {
            if applies && holder(lease).is_some_and(|other| holder(&body) != Some(other)) {
                return refuse(StatusCode::CONFLICT, "Conflict");
            }
            json_patch::merge(lease, &body);
        }
    }
    match &*lease {
        Some(lease) => (StatusCode::OK, lease.to_string()),
        None => refuse(StatusCode::NOT_FOUND, "NotFound"),
    }
}

async fn becomes(leading: &mut watch::Receiver<bool>, leads: bool) {
    tokio::time::timeout(Duration::from_secs(8), leading.wait_for(|now| *now == leads)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_leader_that_shuts_down_leaves_the_lease_to_the_next_at_once() {
    let server = ApiServer::default();
    let (mut first, shutdown, end) = server.stand("first");
    becomes(&mut first, true).await;
    let (mut second, _shutdown, _end) = server.stand("second");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!*second.borrow());

    shutdown.cancel();
    end.await.unwrap();
    assert!(!*first.borrow());
    becomes(&mut second, true).await;
    assert_eq!(server.holder().as_deref(), Some("second"));
}

#[tokio::test]
async fn a_leader_whose_lease_was_taken_stops_leading() {
    let server = ApiServer::default();
    let (mut leading, _shutdown, _end) = server.stand("first");
    becomes(&mut leading, true).await;
    let now = jiff::Timestamp::now();
    let taken = json!({"spec": {"holderIdentity": "second", "renewTime": format!("{now:.6}")}});
    json_patch::merge(server.lease.lock().unwrap().as_mut().unwrap(), &taken);
    becomes(&mut leading, false).await;
}

#[tokio::test]
async fn nobody_leads_while_the_api_server_refuses() {
    let server = ApiServer::default();
    server.refuses.store(true, Ordering::SeqCst);
    let (mut leading, _shutdown, _end) = server.stand("first");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!*leading.borrow());
    server.refuses.store(false, Ordering::SeqCst);
    becomes(&mut leading, true).await;
}

#[test]
fn a_field_manager_fits_and_keeps_the_end_of_the_name() {
    assert_eq!(field_manager("winddown-7d4b9-x2x9p"), "winddown-winddown-7d4b9-x2x9p");
    for long in [format!("{}-x2x9p", "a".repeat(250)), format!("{}-x2x9p", "ü".repeat(250))] {
        let name = field_manager(&long);
        assert!(name.len() <= FIELD_MANAGER_LIMIT && name.ends_with("-x2x9p"), "{name}");
    }
}
