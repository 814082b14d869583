//! The serving certificate of this replica, and when it is time for the next.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Error;
use super::authority::Authority;
use super::certificate::{Certificate, Validity};

/// A serving certificate with its key, and the authority that signed it.
#[derive(Clone, Debug)]
pub struct Leaf {
    certificate: Certificate,
    issuer: Certificate,
    certified_key: Arc<CertifiedKey>,
}

impl Leaf {
    /// Puts together what an authority signed.
    pub fn new(
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        issuer: Certificate,
    ) -> Result<Self, Error> {
        let provider = rustls::crypto::ring::default_provider();
        let certified_key = CertifiedKey::from_der(vec![certificate.clone()], key, &provider).map_err(Error::Serve)?;
        Ok(Self { certificate: Certificate::from_der(certificate)?, issuer, certified_key: Arc::new(certified_key) })
    }

    /// The certificate, without the key.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority that signed it.
    #[must_use]
    pub fn issuer(&self) -> &Certificate {
        &self.issuer
    }

    /// From when until when it is good.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.certificate.validity()
    }

    /// What the TLS server needs.
    #[must_use]
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        self.certified_key.clone()
    }
}

/// The serving certificate that should replace the `current` one; none if that is fine.
///
/// `trusted` says that clients know `authority` by now. Until then a certificate of its predecessor goes on being served.
pub fn successor(
    current: Option<&Leaf>,
    authority: &Authority,
    trusted: bool,
    names: &[String],
    now: Timestamp,
) -> Result<Option<Leaf>, Error> {
    let wanted = match current {
        None => true,
        Some(leaf) if leaf.validity().is_over(now) => true,
        Some(leaf) if leaf.issuer() == authority.certificate() => leaf.validity().is_due(now),
        Some(_) => trusted,
    };
    if wanted { authority.sign(names, now).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_replica_changes_its_certificate_when_it_must_and_no_sooner() {
        let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let names = ["winddown.winddown.svc".to_owned()];
        let [old, new] = [(); 2].map(|()| Authority::generate(start).unwrap());
        let leaf = old.sign(&names, start).unwrap();
        for (case, current, authority, trusted, hours, changes) in [
            ("none yet", None, &old, false, 0, true),
            ("fresh", Some(&leaf), &old, true, 24, false),
            ("before two thirds of a week", Some(&leaf), &old, true, 111, false),
            ("after two thirds of a week", Some(&leaf), &old, true, 113, true),
            ("after two thirds, caBundle wiped", Some(&leaf), &old, false, 113, true),
            ("rotated, not yet in both configurations", Some(&leaf), &new, false, 24, false),
            ("rotated, due, not yet in both configurations", Some(&leaf), &new, false, 113, false),
            ("rotated, in both configurations", Some(&leaf), &new, true, 24, true),
            ("rotated, expired before anybody trusted the new one", Some(&leaf), &new, false, 169, true),
        ] {
            let now = start + SignedDuration::from_hours(hours);
            let next = successor(current, authority, trusted, &names, now).unwrap();
            assert_eq!(next.is_some(), changes, "{case}");
            if let Some(next) = next {
                assert_eq!(next.issuer(), authority.certificate(), "{case}");
            }
        }
    }
}
