//! Certificates of the webhook, without cert-manager.
//!
//! One certificate authority is stored in a Secret; it is all that the replicas share. Every replica signs its own serving
//! certificate and keeps it in memory, so there is no volume that is updated late and no serving key on disk. The authority
//! is valid for a year, a serving certificate for a week; each is replaced after two thirds of its validity.
//!
//! A rotation does not break TLS handshakes. The new authority is added to the bundle, the bundle is written to the
//! `caBundle` of both webhook configurations, and a replica serves a certificate of the new authority only after both have
//! contained it for some time. The old authority stays in the bundle for the lifetime of a serving certificate.
//!
//! If the Secret cannot be read or written, the authority in it, or else the last one in memory, signs until it expires.
//! Every certificate is valid from two days before its creation, so that replicas and API servers whose clocks differ by a
//! day accept it, and no replica takes the authority of another one for invalid.
//!
//! Decisions are pure functions of their arguments, the time included ([`authority`], [`bundle`], [`known`],
//! [`secret`], [`rotation`], [`reminder`]); [`rotator`] reads and writes. [`mounted`] serves certificates of cert-manager instead.

pub(crate) mod authority;
pub(crate) mod bundle;
pub(crate) mod certificate;
pub(crate) mod configurations;
pub(crate) mod known;
pub(crate) mod mounted;
pub(crate) mod reminder;
pub(crate) mod resolver;
pub(crate) mod rotation;
pub(crate) mod rotator;
pub(crate) mod secret;
pub(crate) mod serving_certificate;

/// Why a certificate cannot be created or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Key generation or signing failed.
    #[error("cannot create a certificate")]
    Create(#[source] rcgen::Error),
    /// A date that X.509 cannot represent.
    #[error("a certificate cannot contain the date {0}")]
    Date(jiff::Timestamp),
    /// No PEM block of the expected type.
    #[error("no PEM block with a {0}")]
    NoPem(&'static str),
    /// The DER is not an X.509 certificate.
    #[error("not an X.509 certificate: {0}")]
    NotACertificate(String),
    /// Larger than any common certificate.
    #[error("the certificate has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// Bytes of the DER.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The certificate must not sign others.
    #[error("the certificate is not a certificate authority (CA:TRUE is missing)")]
    NotAnAuthority,
    /// The private key cannot be parsed.
    #[error("cannot read the private key")]
    Key(#[source] rcgen::Error),
    /// Certificate and key belong to different key pairs.
    #[error("certificate and private key do not match")]
    KeyMismatch,
    /// The TLS library rejects the certificate or the key.
    #[error("cannot serve the certificate and key")]
    Serve(#[source] rustls::Error),
}
