//! One self-signed certificate for 127.0.0.1, which all servers of a run use, and the TLS configurations of both sides.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The names that Winddown's `--tls-dir` expects.
pub(crate) const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// Writes the certificate and its key into a directory, and returns the certificate as PEM.
pub(crate) fn generate(directory: &Path) -> Result<String> {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let generated = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
    fs::write(directory.join(CERTIFICATE), generated.cert.pem())?;
    fs::write(directory.join(KEY), generated.signing_key.serialize_pem())?;
    Ok(generated.cert.pem())
}

/// The constant webhook's side: both protocols, as Winddown offers them.
pub(crate) fn server(directory: &Path) -> Result<ServerConfig> {
    let key = PrivateKeyDer::from_pem_file(directory.join(KEY)).context("cannot read the key")?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate(directory)?], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The load client's side, for one protocol.
pub(crate) fn client(directory: &Path, protocol: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(directory)?)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(config)
}

fn certificate(directory: &Path) -> Result<CertificateDer<'static>> {
    CertificateDer::from_pem_file(directory.join(CERTIFICATE)).context("cannot read the certificate")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
