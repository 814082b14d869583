//! The certificates that the API server trusts, and those that are stored.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::report::{Check, Page};
use winddown_core::observation::Timestamp;

/// More than any authority writes; later ones are not read.
const MAX_CERTIFICATES: usize = 32;

/// A certificate, as far as it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    der: Vec<u8>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Certificate {
    /// The certificates of a PEM text; those that cannot be parsed are left out.
    pub(super) fn all(pem: &[u8]) -> Vec<Self> {
        let certificates = CertificateDer::pem_slice_iter(pem).take(MAX_CERTIFICATES);
        certificates.filter_map(|der| Self::from_der(der.ok()?.as_ref())).collect()
    }

    fn from_der(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp());
        let validity = parsed.validity();
        Some(Self { der: der.to_vec(), not_before: time(validity.not_before), not_after: time(validity.not_after) })
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// Operator and cert-manager replace a certificate after two thirds of its validity. Five sixths are late.
    fn is_late(&self, now: Timestamp) -> bool {
        let life = self.not_after.since(self.not_before);
        now.since(self.not_before) > life / 6 * 5
    }
}

/// Judges the `caBundle` of a webhook configuration. `log` is the command that shows the operator's log.
pub(super) fn bundle(title: String, pem: Option<&[u8]>, log: &str, now: Timestamp) -> Check {
    let Some(pem) = pem.filter(|pem| !pem.is_empty()) else {
        let message = "the caBundle is empty: the API server trusts no certificate of the webhook";
        return Check::failed(title, message, format!("the operator or cert-manager fills it; look at the log: {log}"))
            .see(Page::Certificates);
    };
    let all = Certificate::all(pem);
    let Some(first) = all.first() else {
        let message = "the caBundle contains no certificate that can be parsed";
        let hint = format!("the operator or cert-manager writes it again while it runs; look at the log: {log}");
        return Check::failed(title, message, hint).see(Page::Certificates);
    };
    validity(title, all.iter().find(|certificate| !certificate.is_expired(now)).unwrap_or(first), log, now)
}

/// Judges how long a certificate is valid. `log` is the command that shows the operator's log.
pub(super) fn validity(title: String, certificate: &Certificate, log: &str, now: Timestamp) -> Check {
    let until = certificate.not_after;
    if certificate.is_expired(now) {
        let hint = format!("the operator or cert-manager replaces it; restart the operator and look at its log: {log}");
        return Check::failed(title, format!("it expired at {until}"), hint).see(Page::Certificates);
    }
    if certificate.not_before > now {
        let message = format!("it is not valid before {}; is a clock wrong?", certificate.not_before);
        let hint = "compare the clock of this machine with those of the nodes: date -u";
        return Check::failed(title, message, hint).see(Page::Certificates);
    }
    if certificate.is_late(now) {
        return Check::warning(title, format!("it expires at {until} and should have been replaced"))
            .hint(format!("look at the log of the operator, or of cert-manager: {log}"))
            .see(Page::Certificates);
    }
    Check::ok(format!("{title}, until {until}"))
}

/// Whether the API server trusts the stored authority.
pub(super) fn is_trusted(authority: &Certificate, bundle: &[u8]) -> bool {
    Certificate::all(bundle).contains(authority)
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    fn certificate(from: i64, until: i64) -> Certificate {
        Certificate { der: vec![1], not_before: Timestamp::from_second(from), not_after: Timestamp::from_second(until) }
    }

    #[test]
    fn a_certificate_that_should_have_been_replaced_is_a_warning_and_an_expired_one_a_failure() {
        for (now, outcome) in [
            (-1, Outcome::Failed),
            (0, Outcome::Ok),
            (500, Outcome::Ok),
            (501, Outcome::Warning),
            (600, Outcome::Warning),
            (601, Outcome::Failed),
        ] {
            let check = validity("x".to_owned(), &certificate(0, 600), "log", Timestamp::from_second(now));
            assert_eq!(check.outcome, outcome, "{now}");
        }
    }

    #[test]
    fn a_bundle_without_a_certificate_is_a_failure() {
        let now = Timestamp::from_second(0);
        for pem in
            [None, Some(&b""[..]), Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Some(b"x")]
        {
            assert_eq!(bundle("x".to_owned(), pem, "log", now).outcome, Outcome::Failed, "{pem:?}");
        }
    }
}
