//! The certificate authority: made, read back, and signing.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Error;
use super::certificate::{Certificate, Validity};
use super::serving_certificate::Leaf;

/// How long an authority lasts.
const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How long a serving certificate lasts.
const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Certificates begin this much in the past, for clocks that are behind ours.
const BACKDATED: SignedDuration = SignedDuration::from_mins(10);

/// A certificate that may sign others, with its private key (ECDSA P-256).
#[derive(Debug)]
pub(crate) struct Authority {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    /// A new authority, good from now for a year.
    pub(crate) fn generate(now: Timestamp) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(Error::Make)?;
        let mut parameters = parameters(Vec::new(), now, now + AUTHORITY_LIFE)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        // The time makes the name unique, so that a client that holds two of ours picks the right one.
        parameters.distinguished_name.push(DnType::CommonName, format!("winddown CA {now:.0}"));
        let certificate = parameters.self_signed(&key).map_err(Error::Make)?;
        Ok(Self { certificate: Certificate::from_der(certificate.der().clone())?, key })
    }

    /// Reads certificate and private key (PKCS#8), each a PEM block.
    pub(crate) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        let certificate = Certificate::from_pem(certificate)?;
        if !certificate.is_authority() {
            return Err(Error::NotAnAuthority);
        }
        let key = str::from_utf8(key).map_err(|_| Error::NoPem("private key"))?;
        let key = KeyPair::from_pem(key).map_err(Error::Key)?;
        if key.subject_public_key_info() != certificate.public_key() {
            return Err(Error::KeyMismatch);
        }
        Ok(Self { certificate, key })
    }

    /// The certificate, without the key.
    #[must_use]
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key as PEM, for the Secret.
    #[must_use]
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// From when until when the authority is good.
    #[must_use]
    pub(crate) fn validity(&self) -> Validity {
        self.certificate.validity()
    }

    /// Signs a new serving certificate for these DNS names and IP addresses, with a key of its own: good for a week, but
    /// never longer than the authority.
    pub(crate) fn sign(&self, names: &[String], now: Timestamp) -> Result<Leaf, Error> {
        let key = KeyPair::generate().map_err(Error::Make)?;
        let until = (now + LEAF_LIFE).min(self.validity().not_after);
        let mut parameters = parameters(names.to_vec(), now, until)?;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        parameters.distinguished_name.push(DnType::CommonName, "winddown webhook");
        let issuer = Issuer::from_ca_cert_der(self.certificate.der(), &self.key).map_err(Error::Make)?;
        let certificate = parameters.signed_by(&key, &issuer).map_err(Error::Make)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Leaf::new(certificate.der().clone(), key, self.certificate.clone())
    }
}

/// What authority and leaf have in common. Serial number and key identifiers are rcgen's.
fn parameters(names: Vec<String>, now: Timestamp, until: Timestamp) -> Result<CertificateParams, Error> {
    let mut parameters = CertificateParams::new(names).map_err(Error::Make)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    // rcgen wants the dates in the types of the crate `time`, but has a way to make one.
    let date = |timestamp: Timestamp| {
        let since_1970 = u64::try_from(timestamp.as_second()).map_err(|_| Error::Date(timestamp))?;
        Ok(rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(since_1970))
    };
    parameters.not_before = date(now - BACKDATED)?;
    parameters.not_after = date(until)?;
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_authority_comes_back_from_its_pem() {
        let authority = Authority::generate(now()).unwrap();
        let again =
            Authority::from_pem(authority.certificate().to_pem().as_bytes(), authority.key_pem().as_bytes()).unwrap();
        assert_eq!(again.certificate(), authority.certificate());
        assert_eq!(authority.validity().not_after, now() + AUTHORITY_LIFE);
    }

    #[test]
    fn a_key_of_another_pair_is_refused() {
        let [one, other] = [(); 2].map(|()| Authority::generate(now()).unwrap());
        let error = Authority::from_pem(one.certificate().to_pem().as_bytes(), other.key_pem().as_bytes()).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch), "{error}");
    }

    #[test]
    fn a_serving_certificate_is_no_authority() {
        let leaf = Authority::generate(now()).unwrap().sign(&["winddown".into()], now()).unwrap();
        let error = Authority::from_pem(leaf.certificate().to_pem().as_bytes(), b"").unwrap_err();
        assert!(matches!(error, Error::NotAnAuthority), "{error}");
    }

    #[test]
    fn a_serving_certificate_lasts_a_week_but_never_longer_than_its_authority() {
        let authority = Authority::generate(now()).unwrap();
        let end = authority.validity().not_after;
        for (signed, until) in [(now(), now() + LEAF_LIFE), (end - SignedDuration::from_hours(1), end)] {
            assert_eq!(authority.sign(&["winddown".into()], signed).unwrap().validity().not_after, until);
        }
    }

    #[test]
    fn addresses_and_names_are_both_taken() {
        let authority = Authority::generate(now()).unwrap();
        let names = ["winddown.winddown.svc", "127.0.0.1", "::1"].map(String::from);
        assert!(authority.sign(&names, now()).is_ok());
    }
}
