//! The serving certificate of this replica, and when it is time for the next.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Error;
use super::authority::Authority;
use super::certificate::{Certificate, Validity};

/// A serving certificate with its key, and the authority that signed it.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    certificate: Certificate,
    issuer: Certificate,
    certified_key: Arc<CertifiedKey>,
}

impl Leaf {
    /// Puts together what an authority signed.
    pub(crate) fn new(
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        issuer: Certificate,
    ) -> Result<Self, Error> {
        let provider = rustls::crypto::ring::default_provider();
        let certified_key = CertifiedKey::from_der(vec![certificate.clone()], key, &provider).map_err(Error::Serve)?;
        Ok(Self { certificate: Certificate::from_der(certificate)?, issuer, certified_key: Arc::new(certified_key) })
    }

    /// The certificate, without the key.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority that signed it.
    #[must_use]
    pub(crate) fn issuer(&self) -> &Certificate {
        &self.issuer
    }

    /// From when until when it is good.
    #[must_use]
    pub(crate) fn validity(&self) -> Validity {
        self.certificate.validity()
    }

    /// What the TLS server needs.
    #[must_use]
    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        self.certified_key.clone()
    }
}

/// Since when clients know an authority.
#[derive(Debug, Default)]
pub(crate) struct Trust(Option<(Certificate, Timestamp)>);

impl Trust {
    /// How long a new authority must have been seen in both configurations before anything that it signed is served: the
    /// time for every API server to hear of it.
    const SETTLING: SignedDuration = SignedDuration::from_secs(10);

    /// Takes note of whether both configurations carry `authority` at this moment; says whether they have for long enough.
    pub(crate) fn note(&mut self, authority: &Certificate, carried: bool, now: Timestamp) -> bool {
        self.0 = self.0.take().filter(|(known, _)| carried && known == authority);
        if carried {
            let (_, since) = self.0.get_or_insert_with(|| (authority.clone(), now));
            now.duration_since(*since) >= Self::SETTLING
        } else {
            false
        }
    }
}

/// The serving certificate that should replace the `current` one; none if that is fine.
///
/// `trusted` says that clients know `authority` by now. Until then a certificate of its predecessor goes on being served.
pub(crate) fn successor(
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
    use super::*;

    #[test]
    fn an_authority_is_trusted_when_both_configurations_have_carried_it_for_a_while() {
        let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let [old, new] = [(); 2].map(|()| Authority::generate(start).unwrap());
        let mut trust = Trust::default();
        for (second, authority, carried, trusted) in [
            (0, &old, false, false),
            (5, &old, true, false),
            (14, &old, true, false),
            (15, &old, true, true),
            (20, &old, false, false),
            (25, &old, true, false),
            (35, &old, true, true),
            // Another replica made a new authority and has written it already.
            (40, &new, true, false),
            (50, &new, true, true),
        ] {
            let now = start + SignedDuration::from_secs(second);
            assert_eq!(trust.note(authority.certificate(), carried, now), trusted, "after {second} s");
        }
    }

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
