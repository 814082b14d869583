use std::time::Instant;

use axum_server::accept::Accept as _;
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::certificates::authority::Authority;
use crate::certificates::resolver::{self, CertificateSender};
use crate::certificates::serving_certificate::ServingCertificate;
use crate::cluster::Cluster;
use crate::fake_api_server::FakeApiServer;
use crate::trimming::Trimming;
use crate::webhook::routes::router;

fn signed_by(authority: &Authority) -> ServingCertificate {
    authority.sign(&["127.0.0.1".to_owned()], Timestamp::now()).unwrap()
}

async fn start(timeouts: Timeouts) -> (CertificateSender, SocketAddr, Handle<SocketAddr>) {
    let (certificates, resolver) = resolver::channel();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let cluster = Cluster::unwatched(FakeApiServer::default().client());
    let routes = router(cluster, timeouts, Trimming::default(), Arc::default());
    let handle = Handle::new();
    tokio::spawn(serve(listener, resolver, routes, timeouts, handle.clone()));
    let address = handle.listening().await.unwrap();
    (certificates, address, handle)
}

async fn connect(address: SocketAddr, trusted: &Authority) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector(trusted, b"http/1.1").connect(server_name(address), stream).await
}

fn server_name(address: SocketAddr) -> ServerName<'static> {
    ServerName::IpAddress(address.ip().into())
}

fn connector(trusted: &Authority, protocol: &[u8]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.certificate().der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Sends text and reads until the server closes the connection.
async fn exchange(stream: &mut TlsStream<TcpStream>, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The server may close with or without a TLS close_notify; either ends the read.
    let _ = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

const EMPTY_REVIEW: &str = "POST /mutate HTTP/1.1\r\nhost: w\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart_and_open_connections_stay() {
    let [old, new] = [(); 2].map(|()| Authority::generate(Timestamp::now()).unwrap());
    let (certificates, address, _handle) = start(Timeouts::default()).await;
    connect(address, &old).await.expect_err("no certificate yet");

    certificates.send_replace(Some(signed_by(&old).certified_key()));
    let mut kept = connect(address, &old).await.unwrap();
    connect(address, &new).await.expect_err("the new authority has signed nothing yet");

    certificates.send_replace(Some(signed_by(&new).certified_key()));
    connect(address, &old).await.expect_err("the old certificate is replaced");
    let mut fresh = connect(address, &new).await.unwrap();
    for stream in [&mut kept, &mut fresh] {
        assert!(exchange(stream, EMPTY_REVIEW).await.starts_with("HTTP/1.1 400 "));
    }
}

#[tokio::test]
async fn slow_clients_are_disconnected() {
    let authority = Authority::generate(Timestamp::now()).unwrap();
    let short = Duration::from_millis(100);
    let (certificates, address, _handle) =
        start(Timeouts { first_request: short, headers: short * 2, request: short * 3, ..Timeouts::default() }).await;
    certificates.send_replace(Some(signed_by(&authority).certified_key()));

    for (slow_at, text, status) in [
        ("the first byte", "", ""),
        ("the first headers", "POST /mutate HTTP/1.1\r\nhost: ", ""),
        ("later headers", "POST /mutate HTTP/1.1\r\nhost: w\r\ncontent-length: 0\r\n\r\nPOST /mut", "HTTP/1.1 400 "),
        ("the body", "POST /mutate HTTP/1.1\r\nhost: w\r\ncontent-length: 9\r\n\r\n{", "HTTP/1.1 408 "),
    ] {
        let mut stream = connect(address, &authority).await.unwrap();
        let start = Instant::now();
        let answer = exchange(&mut stream, text).await;
        assert!(start.elapsed() < Duration::from_secs(2), "slow at {slow_at}: closed after {:?}", start.elapsed());
        assert!(answer.starts_with(status), "slow at {slow_at}: {answer}");
    }
}

#[tokio::test]
async fn more_connections_than_the_limit_are_closed() {
    let authority = Authority::generate(Timestamp::now()).unwrap();
    let (certificates, address, _handle) = start(Timeouts::default()).await;
    certificates.send_replace(Some(signed_by(&authority).certified_key()));
    let mut open = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        open.push(connect(address, &authority).await.unwrap());
    }
    connect(address, &authority).await.expect_err("one too many");
    assert!(exchange(&mut open[0], EMPTY_REVIEW).await.starts_with("HTTP/1.1 400 "));
    drop(open);
    let deadline = Instant::now() + Duration::from_secs(5);
    while connect(address, &authority).await.is_err() {
        assert!(Instant::now() < deadline, "closed connections still count");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn shutdown_answers_open_requests_and_accepts_no_connections() {
    let authority = Authority::generate(Timestamp::now()).unwrap();
    let (certificates, address, handle) = start(Timeouts::default()).await;
    certificates.send_replace(Some(signed_by(&authority).certified_key()));

    let mut stream = connect(address, &authority).await.unwrap();
    stream.write_all(b"POST /mutate HTTP/1.1\r\nhost: w\r\ncontent-length: 2\r\n\r\n{").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    handle.graceful_shutdown(Some(Duration::from_secs(5)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    TcpStream::connect(address).await.expect_err("the listener is closed");
    assert!(exchange(&mut stream, "}").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn accepted_sockets_have_tcp_nodelay() {
    let authority = Authority::generate(Timestamp::now()).unwrap();
    let (certificates, resolver) = resolver::channel();
    certificates.send_replace(Some(signed_by(&authority).certified_key()));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = tokio::spawn(async move { connect(address, &authority).await });
    let (accepted, _) = listener.accept().await.unwrap();
    assert!(!accepted.nodelay().unwrap(), "not the system's default");
    let (stream, _) = acceptor(resolver).unwrap().accept(accepted, ()).await.unwrap();
    assert!(stream.get_ref().0.nodelay().unwrap());
    client.await.unwrap().unwrap();
}

#[tokio::test]
async fn reviews_over_http2_are_answered_on_one_connection() {
    let authority = Authority::generate(Timestamp::now()).unwrap();
    let (certificates, address, _handle) = start(Timeouts::default()).await;
    certificates.send_replace(Some(signed_by(&authority).certified_key()));
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = connector(&authority, b"h2").connect(server_name(address), stream).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let review = concat!(
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","#,
        r#""kind":{"group":"","version":"v1","kind":"Pod"},"object":{}}}"#
    );
    for path in ["/mutate", "/validate", "/mutate", "/validate"] {
        let request = http::Request::post(format!("https://{address}{path}")).body(()).unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(review.into(), true).unwrap();
        let mut response = response.await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
        let mut answer = Vec::new();
        while let Some(data) = response.body_mut().data().await {
            answer.extend(data.unwrap());
        }
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["response"]["allowed"], true, "{path}: {answer}");
    }
}
