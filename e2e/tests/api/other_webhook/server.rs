//! A mutating webhook that answers every review with the same JSON Patch, over HTTPS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use k8s_openapi::ByteString;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A running server. Dropping it stops it.
pub(super) struct Server {
    port: u16,
    certificate: String,
    reviews: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(patch: &Value) -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let reviews = Arc::new(AtomicUsize::new(0));
        let (patch, counted) = (ByteString(patch.to_string().into_bytes()), reviews.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(acceptor.clone(), stream, patch.clone(), counted.clone()));
            }
        });
        Ok(Self { port, certificate: cert.pem(), reviews, _task: task })
    }

    /// How to reach it, for a webhook configuration.
    pub(super) fn client_config(&self) -> Value {
        let bundle = ByteString(self.certificate.clone().into_bytes());
        json!({"url": format!("https://127.0.0.1:{}/", self.port), "caBundle": bundle})
    }

    /// How many reviews it has answered.
    pub(super) fn reviews(&self) -> usize {
        self.reviews.load(Ordering::Relaxed)
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, patch: ByteString, reviews: Arc<AtomicUsize>) -> Result<()> {
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    loop {
        let review = read(&mut stream).await?;
        let response =
            json!({"uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch", "patch": patch});
        let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        reviews.fetch_add(1, Ordering::Relaxed);
        stream.write_all((head + &body).as_bytes()).await?;
        stream.flush().await?;
    }
}

/// Reads one request of HTTP/1.1 and parses its body.
async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = Some(value.trim().parse::<usize>()?);
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length.context("no content-length")?];
    stream.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}
