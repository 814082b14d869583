//! An X.509 certificate and its validity.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Validity {
    /// Whether two thirds of the validity have passed, after which the certificate is replaced.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let life = self.not_after.as_second() - self.not_before.as_second();
        now.as_second() >= self.not_before.as_second() + life / 3 * 2
    }

    pub(crate) fn has_started(&self, now: Timestamp) -> bool {
        self.not_before <= now
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }
}

/// A parsed certificate; its signature is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    validity: Validity,
    authority: bool,
    public_key: Vec<u8>,
}

impl Certificate {
    /// Limit of the DER in bytes. An RSA certificate with a 4096-bit key has about 1.5 KiB.
    const MAX_SIZE: usize = 8 * 1024;

    pub(crate) fn from_der(der: CertificateDer<'static>) -> Result<Self, Error> {
        if der.len() > Self::MAX_SIZE {
            return Err(Error::TooLarge { size: der.len(), limit: Self::MAX_SIZE });
        }
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

    /// Parses the first certificate in the PEM.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        Self::from_der(CertificateDer::from_pem_slice(pem).map_err(|_| Error::NoPem("certificate"))?)
    }

    /// Every certificate that can be parsed; others are skipped.
    pub(crate) fn all_from_pem(pem: &[u8]) -> Vec<Self> {
        CertificateDer::pem_slice_iter(pem).filter_map(|der| Self::from_der(der.ok()?).ok()).collect()
    }

    pub(crate) fn to_pem(&self) -> String {
        let block = pem::Pem::new("CERTIFICATE", self.der.as_ref());
        pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether it may sign other certificates (CA:TRUE).
    pub(crate) fn is_authority(&self) -> bool {
        self.authority
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_validity() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let validity = Validity { not_before: at(0), not_after: at(900) };
        for (second, due, expired) in [
            (-5, false, false),
            (0, false, false),
            (599, false, false),
            (600, true, false),
            (900, true, false),
            (901, true, true),
        ] {
            assert_eq!((validity.is_due(at(second)), validity.is_expired(at(second))), (due, expired), "{second}");
        }
    }

    #[test]
    fn invalid_pem_is_an_error() {
        assert!(Certificate::from_pem(b"").is_err());
        assert!(Certificate::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        assert!(matches!(Certificate::from_der(vec![0x30; 9000].into()), Err(Error::TooLarge { size: 9000, .. })));
        assert_eq!(Certificate::all_from_pem(b"\xff\xfe-----BEGIN CERTIFICATE-----\n%%%\n"), []);
    }
}
