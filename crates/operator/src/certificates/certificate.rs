//! One X.509 certificate and the span of time it is good for.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Error;

/// From when until when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    /// The first moment it is good.
    pub not_before: Timestamp,
    /// The last moment it is good.
    pub not_after: Timestamp,
}

impl Validity {
    /// Whether two thirds of the span are over: time for a new one.
    #[must_use]
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let life = self.not_after.as_second() - self.not_before.as_second();
        now.as_second() >= self.not_before.as_second() + life / 3 * 2
    }

    /// Whether the span is over.
    #[must_use]
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now > self.not_after
    }
}

/// A certificate that was read, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    validity: Validity,
    authority: bool,
    public_key: Vec<u8>,
}

impl Certificate {
    /// Reads DER.
    pub(crate) fn from_der(der: CertificateDer<'static>) -> Result<Self, Error> {
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| Error::NotACertificate(error.to_string()))?;
        let date = |date: x509_parser::time::ASN1Time| {
            Timestamp::from_second(date.timestamp()).map_err(|error| Error::NotACertificate(error.to_string()))
        };
        let validity =
            Validity { not_before: date(parsed.validity().not_before)?, not_after: date(parsed.validity().not_after)? };
        let authority = parsed.is_ca();
        let public_key = parsed.public_key().raw.to_vec();
        Ok(Self { der, validity, authority, public_key })
    }

    /// Reads the first PEM block of a certificate.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        Self::from_der(CertificateDer::from_pem_slice(pem).map_err(|_| Error::NoPem("certificate"))?)
    }

    /// Every certificate that can be read; what cannot be is left out.
    #[must_use]
    pub(crate) fn all_from_pem(pem: &[u8]) -> Vec<Self> {
        CertificateDer::pem_slice_iter(pem).filter_map(|der| Self::from_der(der.ok()?).ok()).collect()
    }

    /// The certificate as one PEM block.
    #[must_use]
    pub(crate) fn to_pem(&self) -> String {
        let block = pem::Pem::new("CERTIFICATE", self.der.as_ref());
        pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }

    /// The certificate's bytes.
    #[must_use]
    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// From when until when it is good.
    #[must_use]
    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether it may sign others.
    #[must_use]
    pub(crate) fn is_authority(&self) -> bool {
        self.authority
    }

    /// The `SubjectPublicKeyInfo`, DER.
    #[must_use]
    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_one_is_due_when_two_thirds_of_the_life_are_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let validity = Validity { not_before: at(0), not_after: at(900) };
        for (second, due, over) in [
            (-5, false, false),
            (0, false, false),
            (599, false, false),
            (600, true, false),
            (900, true, false),
            (901, true, true),
        ] {
            assert_eq!((validity.is_due(at(second)), validity.is_over(at(second))), (due, over), "{second}");
        }
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(Certificate::from_pem(b"").is_err());
        assert!(Certificate::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        assert_eq!(Certificate::all_from_pem(b"\xff\xfe-----BEGIN CERTIFICATE-----\n%%%\n"), []);
    }
}
