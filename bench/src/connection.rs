//! A kept TLS connection to a webhook, over HTTP/1.1 or HTTP/2.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls;

/// No answer takes that long; a webhook that gives none ends the run.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How client and server talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Protocol {
    #[serde(rename = "HTTP/1.1")]
    Http1,
    /// What API servers use.
    #[serde(rename = "HTTP/2")]
    Http2,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }

    /// Its name in the TLS handshake.
    fn alpn(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

pub(crate) struct Connection {
    sender: Sender,
    origin: String,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Connects to a port of this machine and trusts the certificate in `directory`.
    pub(crate) async fn open(port: u16, protocol: Protocol, directory: &Path) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let config = tls::client(directory, protocol.alpn())?;
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        ensure!(agreed == Some(protocol.alpn().as_bytes()), "the server does not speak {}", protocol.name());
        let stream = TokioIo::new(stream);
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Ok(Self { sender, origin: format!("127.0.0.1:{port}") })
    }

    /// Sends a review. The time is from before the request is sent until the last byte of the answer is there.
    pub(crate) async fn review(&mut self, path: &str, body: Vec<u8>) -> Result<(Duration, Bytes)> {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes> {
        Ok(self.send(Method::GET, path, Vec::new()).await?.1)
    }

    async fn send(&mut self, method: Method, path: &str, body: Vec<u8>) -> Result<(Duration, Bytes)> {
        let request = Request::builder().method(method).header(header::CONTENT_TYPE, "application/json");
        let body = Full::new(Bytes::from(body));
        let exchange = async {
            let request = match &self.sender {
                Sender::Http1(_) => request.uri(path).header(header::HOST, &self.origin),
                Sender::Http2(_) => request.uri(format!("https://{}{path}", self.origin)),
            };
            let request = request.body(body)?;
            let start = Instant::now();
            let response = match &mut self.sender {
                Sender::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await?
                }
                Sender::Http2(sender) => sender.send_request(request).await?,
            };
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            let duration = start.elapsed();
            ensure!(status == StatusCode::OK, "answered {status}: {}", String::from_utf8_lossy(&body));
            Ok((duration, body))
        };
        tokio::time::timeout(ANSWER_LIMIT, exchange).await.context("no answer in time")?
    }
}
