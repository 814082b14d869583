//! The webhooks' TLS server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;

use super::connections::{Limited, MAX_CONNECTIONS};
use super::timeouts::Timeouts;
use crate::certificates::resolver::Resolver;

/// Interval of the pings that detect a broken HTTP/2 connection. API servers keep their connections open.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// The maximum number of bytes that are read before their request has a permit.
const BUFFER: u32 = 64 * 1024;
/// The same for a whole HTTP/2 connection. Requests that wait must not use it up: others on the connection would wait, too.
const CONNECTION_WINDOW: u32 = 20 * 1024 * 1024;

/// Requests at the same time on one connection, so that one connection cannot use up the permits of all. The API server's client
/// opens another connection when it needs more.
const MAX_STREAMS: u32 = 64;

/// Serves the routes over TLS 1.2 or newer until the handle shuts it down.
pub(crate) async fn serve(
    listener: TcpListener,
    resolver: Resolver,
    routes: Router,
    timeouts: Timeouts,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(Limited::new(acceptor(resolver)?, MAX_CONNECTIONS))
        .handle(handle)
        .first_request_timeout(timeouts.first_request)
        .accept_error_handler(|client, error| {
            // For example a client that does not trust the certificate.
            tracing::debug!(client = client.map(tracing::field::display), %error, "TLS handshake failed");
        });
    server.http_builder().http1().header_read_timeout(timeouts.headers).max_buf_size(BUFFER as usize);
    server
        .http_builder()
        .http2()
        .keep_alive_interval(Some(PING_INTERVAL))
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(BUFFER)
        .initial_connection_window_size(CONNECTION_WINDOW);
    server.serve(routes.into_make_service()).await
}

/// Sets `TCP_NODELAY`: an HTTP/2 answer is written in several small segments, and Nagle's algorithm would hold the last one
/// until the client's delayed acknowledgement, up to 40 ms.
fn acceptor(resolver: Resolver) -> io::Result<RustlsAcceptor<NoDelayAcceptor>> {
    let config = RustlsConfig::from_config(Arc::new(tls_config(resolver)?));
    Ok(RustlsAcceptor::new(config).acceptor(NoDelayAcceptor::new()))
}

fn tls_config(resolver: Resolver) -> io::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    // API servers keep their connections and resume no session, and the memory of sessions would be scattered over all pages.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests;
