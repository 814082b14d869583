//! Passes the current certificate to the TLS server.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

/// Serves the certificate that was sent last. A rotation does not affect open connections. Until a certificate is sent,
/// handshakes fail.
#[derive(Debug)]
pub(crate) struct Resolver(watch::Receiver<Option<Arc<CertifiedKey>>>);

/// Sends a new certificate to the [`Resolver`].
pub(crate) type CertificateSender = watch::Sender<Option<Arc<CertifiedKey>>>;

pub(crate) fn channel() -> (CertificateSender, Resolver) {
    let (sender, receiver) = watch::channel(None);
    (sender, Resolver(receiver))
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.borrow().clone()
    }
}
