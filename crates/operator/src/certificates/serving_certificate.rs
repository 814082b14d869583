//! The certificate that a replica serves.

use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Error;
use super::certificate::{Certificate, Validity};

/// A serving certificate with its key, and the authority that signed it.
#[derive(Clone, Debug)]
pub(crate) struct ServingCertificate {
    certificate: Certificate,
    issuer: Certificate,
    certified_key: Arc<CertifiedKey>,
}

impl ServingCertificate {
    pub(crate) fn new(
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        issuer: Certificate,
    ) -> Result<Self, Error> {
        let provider = rustls::crypto::ring::default_provider();
        let certified_key = CertifiedKey::from_der(vec![certificate.clone()], key, &provider).map_err(Error::Serve)?;
        Ok(Self { certificate: Certificate::from_der(certificate)?, issuer, certified_key: Arc::new(certified_key) })
    }

    #[cfg(test)]
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn issuer(&self) -> &Certificate {
        &self.issuer
    }

    pub(crate) fn validity(&self) -> Validity {
        self.certificate.validity()
    }

    /// Certificate and key in the form of the TLS server.
    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        self.certified_key.clone()
    }
}
