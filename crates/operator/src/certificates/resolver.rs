//! Hands the TLS server the certificate of the moment.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

/// Serves what the sender of its channel sent last: a rotation is one send, and kept connections live on. Until something
/// was sent, handshakes fail.
#[derive(Debug)]
pub(crate) struct Resolver(watch::Receiver<Option<Arc<CertifiedKey>>>);

/// Where a new certificate goes.
pub(crate) type Serving = watch::Sender<Option<Arc<CertifiedKey>>>;

/// The two ends: the keeper loads, the TLS server resolves.
#[must_use]
pub(crate) fn channel() -> (Serving, Resolver) {
    let (serving, receiver) = watch::channel(None);
    (serving, Resolver(receiver))
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.borrow().clone()
    }
}
