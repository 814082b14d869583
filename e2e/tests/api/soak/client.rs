//! Sends reviews to the webhook port, without the API server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::environment::CONFIGURATIONS;
use crate::namespace::Namespace;

/// Longer than the webhook waits for a body.
const LIMIT: Duration = Duration::from_secs(12);

/// The webhook port of the first replica.
pub(super) struct Webhook {
    port: u16,
    connector: TlsConnector,
}

impl Webhook {
    /// Trusts the `caBundle` of the webhook configuration.
    pub(super) async fn of(namespace: &Namespace) -> Result<Self> {
        let configuration = namespace.environment.configuration(CONFIGURATIONS[0]).await?;
        let bundle = configuration["webhooks"][0]["clientConfig"]["caBundle"].clone();
        let k8s_openapi::ByteString(bundle) = serde_json::from_value(bundle).context("there is no caBundle")?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&bundle) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { port: namespace.environment.webhook_port(), connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Sends a review and returns the status of the answer.
    pub(super) async fn post(&self, path: &str, review: &[u8]) -> Result<u16> {
        let exchange = async {
            let mut stream = self.begin(path, review.len()).await?;
            stream.write_all(review).await?;
            answer(stream).await
        };
        tokio::time::timeout(LIMIT, exchange).await.context("no answer in time")?
    }

    /// Sends a body but for its last byte, and returns the status of the answer.
    pub(super) async fn post_without_the_last_byte(&self, path: &str, size: usize) -> Result<u16> {
        let exchange = async {
            let mut stream = self.begin(path, size).await?;
            stream.write_all(&vec![b' '; size - 1]).await?;
            answer(stream).await
        };
        tokio::time::timeout(LIMIT, exchange).await.context("no answer in time")?
    }

    async fn begin(&self, path: &str, length: usize) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let mut stream = self.connector.connect(ServerName::try_from("127.0.0.1")?, stream).await?;
        let head = format!("POST {path} HTTP/1.1\r\nhost: w\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        Ok(stream)
    }
}

async fn answer(mut stream: TlsStream<TcpStream>) -> Result<u16> {
    stream.flush().await?;
    let mut answer = Vec::new();
    // The server may close without a TLS close_notify.
    let _ = stream.read_to_end(&mut answer).await;
    let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    status.context("the connection was closed without an answer")
}
