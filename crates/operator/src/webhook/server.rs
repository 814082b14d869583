//! The webhooks' TLS server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsConfig, from_tcp_rustls};
use rustls::ServerConfig;

use super::Patience;
use crate::certificates::resolver::Resolver;

/// How often an idle HTTP/2 connection is asked whether anybody is there. API servers keep theirs open.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves the routes over TLS 1.2 or newer until the handle shuts it down.
pub(crate) async fn serve(
    listener: TcpListener,
    resolver: Resolver,
    routes: Router,
    patience: Patience,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let config = RustlsConfig::from_config(Arc::new(tls(resolver)?));
    let mut server = from_tcp_rustls(listener, config)?
        .handle(handle)
        .first_request_timeout(patience.first_request)
        .accept_error_handler(|client, error| {
            // A client that does not trust us says so here.
            tracing::debug!(client = client.map(tracing::field::display), "handshake failed: {error}");
        });
    server.http_builder().http1().header_read_timeout(patience.headers);
    server.http_builder().http2().keep_alive_interval(Some(PING_INTERVAL));
    server.serve(routes.into_make_service()).await
}

fn tls(resolver: Resolver) -> io::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use jiff::Timestamp;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::*;
    use crate::certificates::authority::Authority;
    use crate::certificates::resolver::{self, Serving};
    use crate::certificates::serving_certificate::Leaf;
    use winddown_core::policy::Policy;

    fn leaf(authority: &Authority) -> Leaf {
        authority.sign(&["127.0.0.1".to_owned()], Timestamp::now()).unwrap()
    }

    async fn start(patience: Patience) -> (Serving, SocketAddr, Handle<SocketAddr>) {
        let (serving, resolver) = resolver::channel();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let routes = super::super::router(Arc::new(Policy::default()), patience);
        let handle = Handle::new();
        tokio::spawn(serve(listener, resolver, routes, patience, handle.clone()));
        let address = handle.listening().await.unwrap();
        (serving, address, handle)
    }

    async fn connect(address: SocketAddr, trusted: &Authority) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.certificate().der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::IpAddress(address.ip().into()), stream).await
    }

    /// Sends text, and reads until the server closes.
    async fn exchange(stream: &mut TlsStream<TcpStream>, text: &str) -> String {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that just hangs up is as good as one that says goodbye; one that does neither is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await;
        String::from_utf8(answer).unwrap()
    }

    const EMPTY_REVIEW: &str = "POST /mutate HTTP/1.1\r\nhost: w\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn a_new_certificate_is_served_without_a_restart_and_kept_connections_live_on() {
        let [old, new] = [(); 2].map(|()| Authority::generate(Timestamp::now()).unwrap());
        let (serving, address, _handle) = start(Patience::default()).await;
        connect(address, &old).await.expect_err("there is no certificate yet");

        serving.send_replace(Some(leaf(&old).certified_key()));
        let mut kept = connect(address, &old).await.unwrap();
        connect(address, &new).await.expect_err("nothing of the new authority is served yet");

        serving.send_replace(Some(leaf(&new).certified_key()));
        connect(address, &old).await.expect_err("nothing of the old authority is served any more");
        let mut fresh = connect(address, &new).await.unwrap();
        for stream in [&mut kept, &mut fresh] {
            assert!(exchange(stream, EMPTY_REVIEW).await.starts_with("HTTP/1.1 400 "));
        }
    }

    #[tokio::test]
    async fn slow_clients_are_cut() {
        let authority = Authority::generate(Timestamp::now()).unwrap();
        let short = Duration::from_millis(100);
        let (serving, address, _handle) =
            start(Patience { first_request: short, headers: short * 2, request: short * 3 }).await;
        serving.send_replace(Some(leaf(&authority).certified_key()));

        for (slow_at, text, status) in [
            ("the first byte", "", ""),
            ("the first headers", "POST /mutate HTTP/1.1\r\nhost: ", ""),
            (
                "later headers",
                "POST /mutate HTTP/1.1\r\nhost: w\r\ncontent-length: 0\r\n\r\nPOST /mut",
                "HTTP/1.1 400 ",
            ),
            ("the body", "POST /mutate HTTP/1.1\r\nhost: w\r\ncontent-length: 9\r\n\r\n{", "HTTP/1.1 408 "),
        ] {
            let mut stream = connect(address, &authority).await.unwrap();
            let start = Instant::now();
            let answer = exchange(&mut stream, text).await;
            assert!(start.elapsed() < Duration::from_secs(2), "slow at {slow_at}: cut after {:?}", start.elapsed());
            assert!(answer.starts_with(status), "slow at {slow_at}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_shutdown_answers_what_is_under_way_and_takes_nothing_new() {
        let authority = Authority::generate(Timestamp::now()).unwrap();
        let (serving, address, handle) = start(Patience::default()).await;
        serving.send_replace(Some(leaf(&authority).certified_key()));

        let mut stream = connect(address, &authority).await.unwrap();
        stream.write_all(b"POST /mutate HTTP/1.1\r\nhost: w\r\ncontent-length: 2\r\n\r\n{").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        handle.graceful_shutdown(Some(Duration::from_secs(5)));
        tokio::time::sleep(Duration::from_millis(100)).await;
        TcpStream::connect(address).await.expect_err("nobody listens any more");
        assert!(exchange(&mut stream, "}").await.starts_with("HTTP/1.1 400 "));
    }
}
