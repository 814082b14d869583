//! The certificate authority: creates, parses and signs certificates.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Error;
use super::certificate::{Certificate, Validity};
use super::serving_certificate::ServingCertificate;

const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);
pub(crate) const SERVING_CERTIFICATE_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// `notBefore` is this much in the past: a certificate that a replica with a clock a day ahead creates is immediately valid for
/// the API servers, and for a replica with a clock a day behind.
pub(crate) const BACKDATED: SignedDuration = SignedDuration::from_hours(48);

/// A CA certificate with its private key (ECDSA P-256).
#[derive(Debug)]
pub(crate) struct Authority {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    /// Creates an authority that is valid for a year.
    pub(crate) fn generate(now: Timestamp) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(Error::Create)?;
        let mut parameters = parameters(Vec::new(), now, now + AUTHORITY_LIFETIME)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        // The time makes the name unique, so that a client that trusts two authorities selects the right one.
        parameters.distinguished_name.push(DnType::CommonName, format!("winddown CA {now:.0}"));
        let certificate = parameters.self_signed(&key).map_err(Error::Create)?;
        Ok(Self { certificate: Certificate::from_der(certificate.der().clone())?, key })
    }

    /// Parses the PEM blocks of a certificate and its private key (PKCS#8).
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

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn validity(&self) -> Validity {
        self.certificate.validity()
    }

    /// Signs a serving certificate with a new key for these DNS names and IP addresses. It is valid for a week, at most as
    /// long as the authority.
    pub(crate) fn sign(&self, names: &[String], now: Timestamp) -> Result<ServingCertificate, Error> {
        let key = KeyPair::generate().map_err(Error::Create)?;
        let until = (now + SERVING_CERTIFICATE_LIFETIME).min(self.validity().not_after);
        let mut parameters = parameters(names.to_vec(), now, until)?;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        parameters.distinguished_name.push(DnType::CommonName, "winddown webhook");
        let issuer = Issuer::from_ca_cert_der(self.certificate.der(), &self.key).map_err(Error::Create)?;
        let certificate = parameters.signed_by(&key, &issuer).map_err(Error::Create)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServingCertificate::new(certificate.der().clone(), key, self.certificate.clone())
    }
}

/// Parameters of both kinds of certificates. rcgen chooses serial number and key identifiers.
fn parameters(names: Vec<String>, now: Timestamp, until: Timestamp) -> Result<CertificateParams, Error> {
    let mut parameters = CertificateParams::new(names).map_err(Error::Create)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    // rcgen uses dates of the crate `time`, which it can construct.
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
    fn an_authority_can_be_parsed_from_its_pem() {
        let authority = Authority::generate(now()).unwrap();
        let parsed =
            Authority::from_pem(authority.certificate().to_pem().as_bytes(), authority.key_pem().as_bytes()).unwrap();
        assert_eq!(parsed.certificate(), authority.certificate());
        assert_eq!(authority.validity().not_after, now() + AUTHORITY_LIFETIME);
    }

    #[test]
    fn a_key_of_another_pair_is_rejected() {
        let [one, other] = [(); 2].map(|()| Authority::generate(now()).unwrap());
        let error = Authority::from_pem(one.certificate().to_pem().as_bytes(), other.key_pem().as_bytes()).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch), "{error}");
    }

    #[test]
    fn a_serving_certificate_is_rejected_as_an_authority() {
        let serving = Authority::generate(now()).unwrap().sign(&["winddown".into()], now()).unwrap();
        let error = Authority::from_pem(serving.certificate().to_pem().as_bytes(), b"").unwrap_err();
        assert!(matches!(error, Error::NotAnAuthority), "{error}");
    }

    #[test]
    fn a_serving_certificate_expires_after_a_week_or_with_its_authority() {
        let authority = Authority::generate(now()).unwrap();
        let end = authority.validity().not_after;
        for (signed, until) in
            [(now(), now() + SERVING_CERTIFICATE_LIFETIME), (end - SignedDuration::from_hours(1), end)]
        {
            assert_eq!(authority.sign(&["winddown".into()], signed).unwrap().validity().not_after, until);
        }
    }

    #[test]
    fn dns_names_and_ip_addresses_are_both_accepted() {
        let authority = Authority::generate(now()).unwrap();
        let names = ["winddown.winddown.svc", "127.0.0.1", "::1"].map(String::from);
        assert!(authority.sign(&names, now()).is_ok());
    }
}
